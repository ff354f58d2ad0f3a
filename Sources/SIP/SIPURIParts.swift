/// Where the parts of a URI stand, while it is read.
struct SIPURIParts {
    var user = Part.absent
    var password = Part.absent
    var host = Part.absent
    var port: UInt16?
    var parameters = Part.absent
    var headers = Part.absent

    /// `[user[:password]@]host[:port][;parameters][?headers]`
    mutating func readSIP(_ cursor: inout Cursor) throws(SIPParseError) {
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
    mutating func readTel(_ cursor: inout Cursor) throws(SIPParseError) {
        user = cursor.run(of: .telephone)
        guard user.count > 0 else { throw cursor.failure("a telephone number") }
        try readParameters(&cursor)
        guard cursor.isAtEnd else { throw cursor.failure("the end of the URI") }
    }

    /// Anything that can stand in a URI.
    mutating func readOther(_ cursor: inout Cursor) throws(SIPParseError) {
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

/// Walks over `name=value` pairs that were read already.
struct SIPURIPairs {
    private let bytes: [UInt8]
    private let separator: UInt8
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], _ part: Part, separator: UInt8) {
        self.bytes = bytes
        self.separator = separator
        position = part.isAbsent ? 0 : part.lower
        end = part.isAbsent ? 0 : part.upper
    }

    /// The next pair; its value is absent when there is no equals sign.
    mutating func next() -> (name: Part, value: Part)? {
        if position < end, bytes[position] == separator { position += 1 }
        guard position < end else { return nil }
        let start = position
        var equals: Int?
        while position < end, bytes[position] != separator {
            if bytes[position] == Ascii.equals, equals == nil { equals = position }
            position += 1
        }
        guard let equals else { return (Part(start, position), .absent) }
        return (Part(start, equals), Part(equals + 1, position))
    }
}
