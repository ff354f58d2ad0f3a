/// Where the fields of a Digest header stand, while it is read; those in quotes with their quotes.
struct DigestFields: Sendable {
    var username = Part.absent
    var extendedUsername = Part.absent
    var realm = Part.absent
    var nonce = Part.absent
    var uri = Part.absent
    var response = Part.absent
    var algorithm = Part.absent
    var cnonce = Part.absent
    var opaque = Part.absent
    var qop = Part.absent
    var nonceCount = Part.absent
    var userhash = Part.absent

    /// `name=value` or `name="value"`, commas between; fields that are not known are passed over.
    mutating func read(_ cursor: inout Cursor) throws(SIPParseError) {
        repeat {
            cursor.skipBlanks()
            let name = try cursor.token("a field of Digest")
            guard cursor.takeSeparator(Ascii.equals) else { throw cursor.failure("an equals sign") }
            let value = cursor.next == Ascii.quote ? try cursor.quoted() : try Self.bare(&cursor)
            try take(name, value, cursor)
        } while cursor.takeSeparator(Ascii.comma)
        guard cursor.isAtEnd else { throw cursor.failure("a comma") }
    }

    /// The first field that every client must send and this one did not.
    var missing: String? {
        if username.isAbsent && extendedUsername.isAbsent { return "a username" }
        if realm.isAbsent { return "a realm" }
        if nonce.isAbsent { return "a nonce" }
        if uri.isAbsent { return "a uri" }
        return response.isAbsent ? "a response" : nil
    }

    /// A token, or what clients put without the quotes that it should have.
    private static func bare(_ cursor: inout Cursor) throws(SIPParseError) -> Part {
        let start = cursor.position
        while let byte = cursor.next, byte != Ascii.comma, byte != Ascii.quote, !Ascii.isBlank(byte) {
            cursor.move(to: cursor.position + 1)
        }
        guard cursor.position > start else { throw cursor.failure("a value") }
        return Part(start, cursor.position)
    }

    private mutating func take(_ name: Part, _ value: Part, _ cursor: Cursor) throws(SIPParseError) {
        switch name.count {
        case 2: try Self.set(&nonceCount, "nc", name, value, cursor)
        case 3:
            try Self.set(&uri, "uri", name, value, cursor)
            try Self.set(&qop, "qop", name, value, cursor)
        case 5:
            try Self.set(&realm, "realm", name, value, cursor)
            try Self.set(&nonce, "nonce", name, value, cursor)
        case 6:
            try Self.set(&cnonce, "cnonce", name, value, cursor)
            try Self.set(&opaque, "opaque", name, value, cursor)
        case 8:
            try Self.set(&username, "username", name, value, cursor)
            try Self.set(&response, "response", name, value, cursor)
            try Self.set(&userhash, "userhash", name, value, cursor)
        case 9:
            try Self.set(&algorithm, "algorithm", name, value, cursor)
            try Self.set(&extendedUsername, "username*", name, value, cursor)
        default: break
        }
    }

    @inline(__always)
    private static func set(
        _ field: inout Part, _ expected: StaticString, _ name: Part, _ value: Part, _ cursor: Cursor
    ) throws(SIPParseError) {
        guard cursor.storage.matches(name, expected) else { return }
        guard field.isAbsent else { throw cursor.failure("each field of Digest once", at: name) }
        field = value
    }
}
