extension SIPMessage {
    /// Reads one datagram, or what a stream's framer cut out of the stream.
    ///
    /// A `Content-Length` below what follows the head cuts off the surplus; without one all that follows is the body
    /// (RFC 3261 section 18.3).
    /// - Throws: 400 for what is no SIP message, 505 for another version of SIP, 513 for one over a limit. `salvage`
    ///   reads what an answer needs.
    public static func parse(
        _ bytes: [UInt8], limits: SIPLimits = SIPLimits()
    ) throws(SIPParseError) -> SIPMessage {
        guard bytes.count <= limits.messageBytes else {
            throw SIPParseError(
                expected: "\(limits.messageBytes) bytes at most", found: .count(bytes.count), offset: 0, status: 513)
        }
        var scanner = HeadScanner(limits: limits)
        let span = bytes.span
        scanner.skipEmptyLines(span)
        let line = try scanner.startLine(span)
        let start = try startLine(SIPText(bytes, line))
        try scanner.allFields(span)
        let unfolded = unfolded(bytes, scanner.folds)
        let length = try contentLength(unfolded, scanner.fields)
        let body = scanner.position
        guard length ?? 0 <= bytes.count - body else {
            throw SIPParseError(
                expected: "a body as long as its Content-Length", found: .count(bytes.count - body), offset: body)
        }
        return SIPMessage(
            bytes: unfolded, start: start, fields: scanner.fields,
            bodyRange: body..<(length.map { body + $0 } ?? bytes.count))
    }

    /// Whether it begins as a response does, whatever follows.
    public static func isResponse(_ bytes: [UInt8]) -> Bool {
        bytes.count > 3 && bytes.matches(Part(0, 4), "SIP/")
    }

    /// What can be read of a request that `parse` refused, so that the refusal can be answered: its fields, without
    /// those that cannot be read. The body is left out, and so is a start line's URI that is none.
    /// - Returns: nil when it is no request, or lacks one of Via, From, To, Call-ID and CSeq, which the answer repeats.
    public static func salvage(_ bytes: [UInt8], limits: SIPLimits = SIPLimits()) -> SIPMessage? {
        var scanner = HeadScanner(limits: limits)
        // A message that is too long is answered from its beginning.
        let head = bytes.count <= limits.messageBytes ? bytes : Array(bytes[..<limits.messageBytes])
        let span = head.span
        scanner.skipEmptyLines(span)
        // Without a start line there is nothing to answer.
        guard let line = try? scanner.startLine(span) else { return nil }
        var cursor = Cursor(SIPText(head, line))
        let method = cursor.run(of: .token)
        guard method.count > 0, cursor.next == Ascii.space, !head.matches(method, "SIP") else { return nil }
        scanner.readableFields(span)
        let message = SIPMessage(
            bytes: unfolded(head, scanner.folds),
            start: .request(SIPMethod(SIPText(head, method)), uri: method.upper..<method.upper),
            fields: scanner.fields, bodyRange: scanner.position..<scanner.position)
        let needed: [HeaderName] = [.via, .from, .to, .callID, .cseq]
        return needed.allSatisfy(message.has) ? message : nil
    }

    /// `Method SP Request-URI SP SIP-Version` or `SIP-Version SP Status-Code SP Reason-Phrase`, with exactly one space
    /// each (RFC 3261 sections 7.1 and 7.2).
    private static func startLine(_ line: SIPText) throws(SIPParseError) -> StartLine {
        var cursor = Cursor(line)
        let first = try cursor.token("a method or a SIP version")
        if cursor.next == Ascii.slash, cursor.storage.matches(first, "SIP") {
            return try statusLine(line)
        }
        try cursor.expect(Ascii.space, "a space after the method")
        let uri = try requestURI(&cursor)
        try cursor.expect(Ascii.space, "a space after the Request-URI")
        try version(&cursor)
        guard cursor.isAtEnd else { throw cursor.failure("the end of the line after the SIP version") }
        return .request(SIPMethod(SIPText(line.storage, first)), uri: uri.range)
    }

    /// Everything up to the next white space.
    private static func requestURI(_ cursor: inout Cursor) throws(SIPParseError) -> Part {
        let start = cursor.position
        var index = start
        while index < cursor.end, !Ascii.isBlank(cursor.storage[index]) { index += 1 }
        guard index > start else { throw cursor.failure("a Request-URI") }
        cursor.move(to: index)
        return Part(start, index)
    }

    private static func statusLine(_ line: SIPText) throws(SIPParseError) -> StartLine {
        var cursor = Cursor(line)
        try version(&cursor)
        try cursor.expect(Ascii.space, "a space after the SIP version")
        let digits = try cursor.digits("a status code")
        guard digits.count == 3, let status = cursor.storage.decimal(digits), (100...699).contains(status) else {
            throw cursor.failure("a status code from 100 to 699", at: digits)
        }
        try cursor.expect(Ascii.space, "a space after the status code")
        return .response(status: Int(status), reason: cursor.position..<cursor.end)
    }

    /// `SIP/2.0`; the name is case-insensitive (RFC 3261 section 7.1).
    private static func version(_ cursor: inout Cursor) throws(SIPParseError) {
        let name = cursor.run(of: .alphanumeric)
        guard cursor.storage.matches(name, "SIP") else { throw cursor.failure("a SIP version", at: name) }
        try cursor.expect(Ascii.slash, "a slash in the SIP version")
        let start = cursor.position
        _ = try cursor.digits("a major version")
        try cursor.expect(Ascii.dot, "a dot in the SIP version")
        _ = try cursor.digits("a minor version")
        let number = Part(start, cursor.position)
        guard cursor.storage.matches(number, "2.0") else {
            throw SIPParseError(
                expected: "version 2.0", found: .byte(cursor.storage[start]), offset: start, status: 505)
        }
    }

    /// - Throws: when there are two, even of the same value (RFC 4475 section 3.3.9), or it is no number.
    private static func contentLength(_ bytes: [UInt8], _ fields: [HeaderField]) throws(SIPParseError) -> Int? {
        var length: Int?
        for field in fields where field.header == .contentLength {
            let cursor = Cursor(SIPText(bytes, field.value))
            guard length == nil else { throw cursor.failure("one Content-Length", at: field.value) }
            guard let number = bytes.decimal(field.value), number <= UInt64(SIPLimits.maximumMessageBytes) else {
                throw cursor.failure("a Content-Length", at: field.value)
            }
            length = Int(number)
        }
        return length
    }

    /// The Content-Length of a head, up to and with its empty line, whose start line may be anything.
    static func contentLength(ofHead head: SIPText, limits: SIPLimits) throws(SIPParseError) -> Int? {
        var scanner = HeadScanner(limits: limits, position: head.part.lower)
        let span = head.storage.span.extracting(..<head.part.upper)
        _ = try scanner.startLine(span)
        try scanner.allFields(span)
        // A value is without the ends of continued lines around it, and a number has none within.
        return try contentLength(head.storage, scanner.fields)
    }

    /// The ends of continued lines made spaces, two for two bytes, so that nothing moves.
    private static func unfolded(_ bytes: [UInt8], _ folds: [Int]) -> [UInt8] {
        guard !folds.isEmpty else { return bytes }
        var bytes = bytes
        for fold in folds {
            bytes[fold] = Ascii.space
            bytes[fold + 1] = Ascii.space
        }
        return bytes
    }
}
