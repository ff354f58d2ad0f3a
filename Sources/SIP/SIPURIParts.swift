/// Where the parts of a URI stand in its text, without the text.
struct SIPURIParts: Sendable {
    /// The schemes that are taken apart, and all others.
    enum Kind: Sendable { case sip, sips, tel, other }

    let kind: Kind
    /// What stands before the colon.
    let scheme: Part
    var user = Part.absent
    var password = Part.absent
    var host = Part.absent
    var port: UInt16?
    /// From the first semicolon to before the question mark.
    var parameters = Part.absent
    /// Behind the question mark.
    var headers = Part.absent

    init(parsing text: SIPText) throws(SIPParseError) {
        var cursor = Cursor(text)
        scheme = cursor.run(of: .scheme)
        guard scheme.count > 0, !Ascii.isDigit(text.storage[scheme.lower]) else { throw cursor.failure("a scheme") }
        kind = Kind(text.storage, scheme)
        try cursor.expect(Ascii.colon, "a colon after the scheme")
        switch kind {
        case .sip, .sips: try readSIP(&cursor)
        case .tel: try readTel(&cursor)
        case .other: try readOther(&cursor)
        }
    }

    /// `[user[:password]@]host[:port][;parameters][?headers]`
    private mutating func readSIP(_ cursor: inout Cursor) throws(SIPParseError) {
        // A user may hold what separates the parts of a URI; an at sign stands in no part but before the host.
        if cursor.rest(contains: Ascii.at) {
            user = try cursor.escapedRun(of: .user)
            guard user.count > 0 else { throw cursor.failure("a user before the at sign") }
            if cursor.take(Ascii.colon) { password = try cursor.escapedRun(of: .password) }
            try cursor.expect(Ascii.at, "an at sign after the user")
        }
        host = try cursor.host()
        if cursor.take(Ascii.colon) { port = try cursor.port() }
        try readParameters(&cursor)
        if cursor.take(Ascii.question) { try readHeaders(&cursor) }
        guard cursor.isAtEnd else { throw cursor.failure("the end of the URI") }
    }

    /// `number[;parameters]`; digits, visual separators, and what local numbers have besides (RFC 3966 section 3).
    private mutating func readTel(_ cursor: inout Cursor) throws(SIPParseError) {
        user = cursor.run(of: .telephone)
        guard user.count > 0 else { throw cursor.failure("a telephone number") }
        try readParameters(&cursor)
        guard cursor.isAtEnd else { throw cursor.failure("the end of the URI") }
    }

    /// Anything that can stand in a URI.
    private mutating func readOther(_ cursor: inout Cursor) throws(SIPParseError) {
        let opaque = try cursor.escapedRun(of: .opaque)
        guard opaque.count > 0 else { throw cursor.failure("more than a scheme") }
        guard cursor.isAtEnd else { throw cursor.failure("the end of the URI") }
    }

    private mutating func readParameters(_ cursor: inout Cursor) throws(SIPParseError) {
        let start = cursor.position
        while cursor.take(Ascii.semicolon) {
            guard try cursor.escapedRun(of: .uriParameter).count > 0 else {
                throw cursor.failure("a URI parameter's name")
            }
            if cursor.take(Ascii.equals), try cursor.escapedRun(of: .uriParameter).count == 0 {
                throw cursor.failure("a URI parameter's value")
            }
        }
        if cursor.position > start { parameters = Part(start, cursor.position) }
    }

    private mutating func readHeaders(_ cursor: inout Cursor) throws(SIPParseError) {
        let start = cursor.position
        repeat {
            guard try cursor.escapedRun(of: .uriHeader).count > 0 else {
                throw cursor.failure("a URI header's name")
            }
            try cursor.expect(Ascii.equals, "an equals sign in a URI header")
            _ = try cursor.escapedRun(of: .uriHeader)
        } while cursor.take(Ascii.ampersand)
        headers = Part(start, cursor.position)
    }
}

extension SIPURIParts.Kind {
    init(_ bytes: [UInt8], _ part: Part) {
        if bytes.matches(part, "sip") {
            self = .sip
        } else if bytes.matches(part, "sips") {
            self = .sips
        } else if bytes.matches(part, "tel") {
            self = .tel
        } else {
            self = .other
        }
    }
}
