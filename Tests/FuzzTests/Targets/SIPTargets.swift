import SIP

extension FuzzTarget {
    /// What a phone's bytes go through: as a datagram they are read or salvaged, their headers decoded and the request
    /// answered; as a stream they are framed, in one piece and in small ones.
    static let sip = FuzzTarget("sip", words: sipWords, seeds: sipVectors) { input in
        if let request = SIPMessage.salvage(input) { try SIPPromises.answer(request) }
        // An input that is no message ends here: that is its error.
        if let message = try? SIPMessage.parse(input) {
            try SIPPromises.decode(message)
            if message.method != nil { try SIPPromises.answer(message) }
        }
        let whole = SIPPromises.frames(input, piece: max(1, input.count))
        try promise(whole == SIPPromises.frames(input, piece: 3), "the frames depend on how the bytes came")
    }

    /// URIs, addresses and Via elements by themselves.
    static let uri = FuzzTarget(
        "uri", maximumLength: 512, words: sipWords,
        seeds: {
            [
                "sip:1001@192.0.2.1:5060;transport=tcp;lr", "sips:%61lice@[2001:db8::9:1]", "tel:+1-201-555-0123",
                "\"A. Bell\" <sip:a@example.org;gr=urn:uuid:f81d4fae>;tag=x;q=0.7", "[::ffff:192.0.2.1]",
                "SIP/2.0/UDP [2001:db8:::192.0.2.1]:5060;branch=z9hG4bKas3;received=[::1];rport=7",
                "sip:a:b@c.example?subject=x&to=%3Csip:d%3E",
            ].map { Array($0.utf8) }
        },
        run: { input in
            let text = SIPText(input)
            try SIPPromises.decode(uri: text)
            // Each reads or refuses.
            if let address = try? NameAddress(parsing: text) { try SIPPromises.decode(address) }
            if let via = try? Via(parsing: text) { _ = (via.parameters.all, via.sentByHost, via.received, via.maddr) }
        })

    /// The keep-alive of phones: a binding request is told from all else, and its answer has the address in it.
    static let stun = FuzzTarget(
        "stun", maximumLength: 600,
        seeds: {
            let transaction = [UInt8](0..<12)
            let plain: [UInt8] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]
            let withSoftware: [UInt8] = [0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42]
            let software: [UInt8] = [0x80, 0x22, 0, 4, 65, 66, 67, 68]
            return [plain + transaction, withSoftware + transaction + software]
        },
        run: { input in
            guard STUN.isBindingRequest(input) else { return }
            let addresses: [[UInt8]] = [[127, 0, 0, 1], [UInt8](0..<16)]
            for address in addresses {
                let answer = STUN.bindingSuccess(to: input, address: address, port: 5_060)
                try promise(!STUN.isBindingRequest(answer), "an answer that is a request")
                try promise(answer[4..<20] == input[4..<20], "the answer is of another transaction")
                let mixed: [UInt8] = zip(answer[28...], input[4...]).map { $0 ^ $1 }
                try promise(mixed == address, "the address cannot be read from the answer")
                try promise(answer[26...27] == [0x13 ^ 0x21, 0xC4 ^ 0x12], "another port than 5060")
            }
        })

    private static let sipWords = [
        "REGISTER sip:", "SUBSCRIBE ", "OPTIONS ", " SIP/2.0\r\n", "SIP/2.0 200 OK\r\n", "Via: SIP/2.0/UDP ",
        "Contact: *",
        "Contact: <sip:", ";expires=", ";+sip.instance=\"<urn:uuid:", ";reg-id=1", "Authorization: Digest ",
        "username*=",
        "Content-Length: ", "Expires: ", "CSeq: ", "Call-ID: ", "From: ", "To: ", "Path: <sip:", "Event: reg;id=",
        "\r\n\r\n",
        "z9hG4bK", ";branch=", ";rport", ";received=", "Require: ", "Supported: gruu, outbound", ";tag=",
        "[2001:db8::1]",
    ]

    private static let sipVectors: @Sendable () throws -> [[UInt8]] = {
        try Fixtures.files(in: "Tests/SIPTests/Vectors", endings: [".sip"])
    }
}

private enum SIPPromises {
    /// Reads every header of a message by the reader it has. Errors are as good as values here.
    static func decode(_ message: SIPMessage) throws {
        _ = try? message.essentials()
        _ = try? message.accept()
        for header in HeaderName.allCases {
            for text in message.all(header) { try decode(header, text) }
        }
        for header in [HeaderName.require, .supported] {
            // A list that is none is the input's error.
            _ = (try? OptionTags(message, header))?.others(than: ["path"])
        }
        if let uri = message.requestURI { try decode(uri: uri) }
    }

    private static func decode(_ header: HeaderName, _ text: SIPText) throws {
        do {
            switch header {
            case .via: _ = try Via(parsing: text).parameters.all
            case .from, .to, .route, .path: try decode(try NameAddress(parsing: text))
            case .contact:
                if case .address(let address, _, _, _, _) = try ContactField(parsing: text) { try decode(address) }
            case .cseq: _ = try CSeq(parsing: text)
            case .maxForwards: _ = try MaxForwards(parsing: text)
            case .expires: _ = Expires(parsing: text)
            case .authorization: try decode(credentials: text)
            case .event: _ = try EventHeader(parsing: text).id
            default: _ = text.unquoted.percentDecoded.string
            }
        } catch let error as SIPParseError {
            try promise(error.reason.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "a reason that is no phrase")
        }
    }

    private static func decode(credentials text: SIPText) throws {
        guard let digest = try DigestAuthorization(parsing: text) else { return }
        _ = (digest.account, digest.realm, digest.nonce, digest.uri, digest.response, digest.algorithm)
        _ = (digest.cnonce, digest.opaque, digest.qop, digest.nonceCount, digest.nc, digest.userhash)
    }

    static func decode(_ address: NameAddress) throws {
        _ = (address.displayName?.string, address.tag, address.parameters.all)
        try decode(uri: address.uriText)
    }

    /// A canonical text is a URI, and its own canonical text; the URI equals itself.
    static func decode(uri text: SIPText) throws {
        // Most texts are no URI.
        guard let uri = try? SIPURI(parsing: text) else { return }
        let canonical = uri.canonical
        // A canonical text that is none has to be told.
        guard let again = try? SIPURI(parsing: SIPText(canonical)) else {
            throw Broken("a canonical text that is no URI: \(String(decoding: canonical, as: UTF8.self))")
        }
        try promise(again.canonical == canonical, "a canonical text that is not canonical")
        try promise(uri.isEquivalent(to: uri), "a URI that is not its own equal")
        _ = (uri.decodedUser, uri.parameters, uri.headers, uri.transport, uri.gruu, uri.port)
    }

    /// An answer is a message, with the request's Vias and no field that neither side put there.
    static func answer(_ request: SIPMessage) throws {
        var writer = ResponseWriter(200, to: request, received: "2001:db8::1", rport: 40_000, toTag: "tag")
        var contacts = 0
        for text in request.all(.contact) {
            writer.header("Contact", text)
            contacts += 1
        }
        let bytes = writer.finish(body: request.body.bytes.map { $0 })
        let limits = SIPLimits(messageBytes: 1 << 24, headers: 1 << 16, headerLineBytes: 1 << 24)
        let answer: SIPMessage
        do {
            answer = try SIPMessage.parse(bytes, limits: limits)
        } catch {
            throw Broken("the answer is no message: \(error)")
        }
        try promise(answer.occurrences(of: .via) == request.occurrences(of: .via), "a Via was lost or added")
        try promise(
            answer.headerCount <= answer.occurrences(of: .via) + contacts + 5, "a header field was added")
        try promise(answer.body == request.body, "the body is another")
    }

    /// Up to the first error, the frames of a stream that comes in such pieces.
    static func frames(_ bytes: [UInt8], piece: Int) -> [StreamFramer.Frame] {
        var framer = StreamFramer()
        var frames: [StreamFramer.Frame] = []
        var position = 0
        while position < bytes.count {
            framer.append(bytes[position..<min(bytes.count, position + piece)])
            position += piece
            do {
                while let frame = try framer.next() { frames.append(frame) }
            } catch { return frames }
        }
        return frames
    }
}
