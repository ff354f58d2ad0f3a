import SIP
import Testing

/// What RFC 4475, RFC 5118 and RFC 3261 ask to be done with their messages, as far as the grammar has a part in it.
@Suite struct TortureTests {
    enum Outcome: Sendable {
        /// Read, with all that every message must have.
        case accepted
        /// Refused by `parse` with this status, and readable enough to be answered.
        case refused(Int)
        /// Refused by `parse`, and not to be answered: a response, or without what an answer repeats.
        case dropped
        /// Read, but a header that every message must have is missing, double or wrong: 400.
        case lacking
        /// Read; something else in it is for the registrar to answer, and the grammar must show it.
        case shows(@Sendable (SIPMessage) throws -> Bool)
    }

    static let rfc4475: [(name: String, outcome: Outcome)] = [
        // 3.1.1: valid messages.
        ("wsinv", .accepted), ("intmeth", .accepted), ("esc01", .accepted), ("escnull", .accepted),
        ("esc02", .accepted), ("lwsdisp", .accepted), ("longreq", .accepted), ("dblreq", .accepted),
        ("semiuri", .accepted), ("transports", .accepted), ("mpart01", .accepted), ("unreason", .accepted),
        ("noreason", .accepted),
        // 3.1.2: invalid messages.
        ("badinv01", .lacking),
        ("clerr", .refused(400)), ("ncl", .refused(400)),
        ("scalar02", .lacking),
        // A response with numbers that are too large is discarded; its CSeq cannot be matched.
        ("scalarlg", .lacking),
        ("quotbal", .lacking),
        // The Request-URI in brackets: 400.
        ("ltgtruri", .shows { throwsError { try SIPURI(parsing: try #require($0.requestURI)) }($0) }),
        ("lwsruri", .refused(400)), ("lwsstart", .refused(400)), ("trws", .refused(400)),
        // Headers in the Request-URI: 400, or ignored.
        ("escruri", .shows { try SIPURI(parsing: try #require($0.requestURI)).hasHeaders }),
        // A date that is not GMT: 400, or ignored as a registrar may.
        ("baddate", .accepted),
        // A contact with a question mark and without brackets: 400.
        ("regbadct", .shows { throwsError { try ContactField(parsing: try #require($0.first(.contact))) }($0) }),
        ("badaspec", .lacking), ("baddn", .lacking),
        ("badvers", .refused(505)),
        ("mismatch01", .lacking), ("mismatch02", .lacking),
        ("bigcode", .dropped),
        // 3.2: a branch that is the magic cookie and no more identifies no transaction.
        ("badbranch", .shows { try !$0.essentials().via.hasUniqueBranch }),
        // 3.3: what applications answer.
        ("insuf", .lacking),
        // 416.
        (
            "unkscm",
            .shows {
                try SIPURI(parsing: try #require($0.requestURI)).scheme == .other("nobodyknowsthisscheme")
            }
        ),
        ("novelsc", .shows { try SIPURI(parsing: try #require($0.requestURI)).scheme == .other("soap.beep") }),
        // To of a scheme that a registrar does not serve: 400 or 404; the contact's scheme is for the registrar.
        ("unksm2", .shows { try $0.essentials().to.uri.scheme == .other("isbn") }),
        // 420 with Unsupported.
        (
            "bext01",
            .shows {
                try OptionTags($0, .require).others(than: ["path"]).map(\.string)
                    == ["nothingSupportsThis", "nothingSupportsThisEither"]
            }
        ),
        // 415.
        (
            "invut",
            .shows {
                try AcceptRange(parsing: try #require($0.first(.contentType))).includes(
                    "application", "unknownformat")
            }
        ),
        // A scheme of authorization that nobody knows: challenged as if there were none.
        (
            "regaut01",
            .shows { try DigestAuthorization(parsing: try #require($0.first(.authorization))) == nil }
        ),
        ("multi01", .lacking), ("mcl01", .refused(400)),
        // A response that is not for us: seen by its second Via.
        ("bcast", .shows { try Via(parsing: $0.all(.via)[1]).sentByHost.string == "255.255.255.255" }),
        ("zeromf", .shows { try $0.essentials().maxForwards?.hops == 0 }),
        // The parameter is the header's in one, the URI's in the other.
        (
            "cparam01",
            .shows { try contact($0).parameters.contains("unknownparam") && !contact($0).uri.has("unknownparam") }
        ),
        (
            "cparam02",
            .shows { try contact($0).uri.has("unknownparam") && !contact($0).parameters.contains("unknownparam") }
        ),
        ("regescrt", .shows { try contact($0).uri.headers.first?.name.string == "Route" }),
        // 406.
        ("sdp01", .shows { try $0.accept()?.contains { $0.includes("application", "sdp") } == false }),
        // 3.4: of RFC 2543, without a branch, a tag and Max-Forwards.
        (
            "inv2543",
            .shows {
                let essentials = try $0.essentials()
                return essentials.via.branch == nil && essentials.from.tag == nil && essentials.maxForwards == nil
            }
        ),
    ]

    static let rfc5118: [(name: String, outcome: Outcome)] = [
        ("ipv6-good", .accepted),
        // 4.2: an address without brackets: 400.
        ("ipv6-bad", .shows { throwsError { try SIPURI(parsing: try #require($0.requestURI)) }($0) }),
        ("port-ambiguous", .shows { try host($0) == ("[2001:db8::10:5070]", nil) }),
        ("port-unambiguous", .shows { try host($0) == ("[2001:db8::10]", 5070) }),
        ("via-received-param-with-delim", .shows { try $0.essentials().via.received?.string == "[2001:db8::9:255]" }),
        ("via-received-param-no-delim", .shows { try $0.essentials().via.received?.string == "2001:db8::9:255" }),
        ("ipv6-in-sdp", .accepted),
        (
            "mult-ip-in-header",
            .shows { try $0.all(.via).map { try Via(parsing: $0).sentByPort } == [6050, nil, nil] }
        ),
        ("mult-ip-in-sdp", .accepted),
        ("ipv4-mapped-ipv6", .shows { try $0.essentials().via.sentByHost.string == "[::ffff:192.0.2.10]" }),
        // 4.10: three colons are tolerated, and are the address that two are.
        ("ipv6-bug-abnf-3-colons", .shows(isTheAddressOfTwoColons)),
        ("ipv6-correct-abnf-2-colons", .shows(isTheAddressOfTwoColons)),
    ]

    static let rfc3261: [(name: String, outcome: Outcome)] = Vectors.names.filter { $0.hasPrefix("3261") }.map {
        ($0, .accepted)
    }

    @Test func everyVectorHasAnOutcome() {
        let listed = (Self.rfc4475 + Self.rfc5118 + Self.rfc3261).map(\.name).sorted()
        #expect(listed == Vectors.names)
        #expect(Self.rfc4475.count == 49 && Self.rfc5118.count == 12 && Self.rfc3261.count == 9)
    }

    @Test(arguments: (rfc4475 + rfc5118 + rfc3261).map(\.name))
    func outcomeIsAsTheRFCAsks(_ name: String) throws {
        let bytes = try Vectors.bytes(name)
        let outcome = try #require((Self.rfc4475 + Self.rfc5118 + Self.rfc3261).first { $0.name == name }?.outcome)
        switch outcome {
        case .accepted:
            _ = try SIPMessage.parse(bytes).essentials()
        case .refused(let status):
            #expect(throws: SIPParseError.self) { try SIPMessage.parse(bytes) }
            do { _ = try SIPMessage.parse(bytes) } catch { #expect(error.status == status) }
            let request = try #require(SIPMessage.salvage(bytes))
            let answer = try SIPMessage.parse(ResponseWriter(status, to: request, toTag: "t").finish())
            #expect(answer.status == status && answer.first(.callID) == request.first(.callID))
        case .dropped:
            #expect(throws: SIPParseError.self) { try SIPMessage.parse(bytes) }
            #expect(SIPMessage.salvage(bytes) == nil)
        case .lacking:
            let message = try SIPMessage.parse(bytes)
            #expect(throws: SIPParseError.self) { try message.essentials() }
        case .shows(let isShown):
            #expect(try isShown(try SIPMessage.parse(bytes)))
        }
    }

    private static func contact(_ message: SIPMessage) throws -> NameAddress {
        let field = try ContactField(parsing: try #require(message.first(.contact)))
        guard case .address(let address, _, _, _, _) = field else { throw Missing() }
        return address
    }

    private static func host(_ message: SIPMessage) throws -> (String, UInt16?) {
        let uri = try SIPURI(parsing: try #require(message.requestURI))
        #expect(uri.hostIsIPv6)
        return (uri.host.string, uri.port)
    }

    private static func isTheAddressOfTwoColons(_ message: SIPMessage) throws -> Bool {
        let uri = try SIPURI(parsing: try #require(message.requestURI))
        return try uri.canonical == SIPURI(parsing: SIPText("sip:user@[2001:db8::c000:201]")).canonical
    }

    private static func throwsError<Value>(
        _ read: @escaping (SIPMessage) throws -> Value
    ) -> (SIPMessage) -> Bool {
        { message in
            do {
                _ = try read(message)
                return false
            } catch { return error is SIPParseError }
        }
    }

    private struct Missing: Error {}
}
