/// An address with what belongs to it: the value of From, To, Route or Path, and of a Contact that is not `*`.
///
/// Source: `name-addr` and `addr-spec` of RFC 3261 section 25.1. An address without angle brackets ends before its
/// first semicolon, what follows being the header's parameters, and may hold neither comma nor question mark (section
/// 20).
public struct NameAddress: Sendable {
    /// The whole value as it was written.
    public let text: SIPText
    private let name: Part
    private let uriPart: Part
    private let uriParts: SIPURIParts
    private let parametersPart: Part
    let contact: ContactParameters

    /// What stands before the address, without quotes; nil when there is nothing.
    public var displayName: SIPText? {
        name.count == 0 ? nil : SIPText(text.storage, name).unquoted
    }

    /// The parameter `tag` of From and To (RFC 3261 section 19.3).
    public var tag: SIPText? { contact.tag.isAbsent ? nil : SIPText(text.storage, contact.tag) }

    /// Whether there is a tag, without a text made of it.
    var hasTag: Bool { !contact.tag.isAbsent }

    public var uri: SIPURI { SIPURI(uriText, uriParts) }
    public var uriText: SIPText { SIPText(text.storage, uriPart) }
    /// The parameters of the header, not those of the URI.
    public var parameters: SIPParameters { SIPParameters(read: SIPText(text.storage, parametersPart)) }

    public init(parsing text: SIPText) throws(SIPParseError) {
        self.text = text
        var cursor = Cursor(text)
        cursor.skipBlanks()
        let start = cursor.position
        name = try Self.displayName(&cursor)
        if cursor.take(Ascii.less) {
            uriPart = try Self.bracketed(&cursor)
        } else if name.count > 0, text.storage[name.lower] == Ascii.quote {
            throw cursor.failure("an opening angle bracket")
        } else {
            cursor.move(to: start)
            uriPart = try Self.bare(&cursor)
        }
        uriParts = try SIPURIParts(parsing: SIPText(text.storage, uriPart))
        parametersPart = Part(cursor.position, cursor.end)
        var parameters = ContactParameters()
        try parameters.read(&cursor)
        contact = parameters
    }

    /// A quoted string, or tokens with white space between; perhaps nothing. Names in UTF-8 without the quotes that
    /// they need are taken, as phones send them.
    private static func displayName(_ cursor: inout Cursor) throws(SIPParseError) -> Part {
        if cursor.next == Ascii.quote {
            let name = try cursor.quoted()
            cursor.skipBlanks()
            return name
        }
        let tokens = ByteSet.token
        let start = cursor.position
        var index = start
        var end = start
        while index < cursor.end {
            let byte = cursor.storage[index]
            guard tokens.contains(byte) || byte >= 0x80 || Ascii.isBlank(byte) else { break }
            index += 1
            if !Ascii.isBlank(byte) { end = index }
        }
        cursor.move(to: index)
        return cursor.next == Ascii.less ? Part(start, end) : .absent
    }

    /// Up to the closing bracket.
    private static func bracketed(_ cursor: inout Cursor) throws(SIPParseError) -> Part {
        let inner = cursor.upTo(Ascii.greater)
        try cursor.expect(Ascii.greater, "a closing angle bracket")
        return inner
    }

    private static func bare(_ cursor: inout Cursor) throws(SIPParseError) -> Part {
        let start = cursor.position
        while let byte = cursor.next, byte != Ascii.semicolon, !Ascii.isBlank(byte) {
            guard byte != Ascii.comma, byte != Ascii.question else {
                throw cursor.failure("angle brackets around such an address")
            }
            cursor.move(to: cursor.position + 1)
        }
        guard cursor.position > start else { throw cursor.failure("an address") }
        return Part(start, cursor.position)
    }
}

/// What is found on the way through an address's parameters. Of two of one name the first counts.
struct ContactParameters: Sendable {
    var tag = Part.absent
    var expires = Part.absent
    var q = Part.absent
    var instance = Part.absent
    var regID = Part.absent

    @inline(__always)
    mutating func read(_ cursor: inout Cursor) throws(SIPParseError) {
        while let parameter = try SIPParameters.next(&cursor) {
            // A flag of one of these names says nothing.
            guard !parameter.value.isAbsent else { continue }
            switch parameter.name.count {
            case 1: Self.take(parameter, "q", &q, cursor.storage)
            case 3: Self.take(parameter, "tag", &tag, cursor.storage)
            case 6: Self.take(parameter, "reg-id", &regID, cursor.storage)
            case 7: Self.take(parameter, "expires", &expires, cursor.storage)
            case 13: Self.take(parameter, "+sip.instance", &instance, cursor.storage)
            default: break
            }
        }
    }

    @inline(__always)
    private static func take(
        _ parameter: SIPParameters.Parameter, _ name: StaticString, _ part: inout Part, _ bytes: [UInt8]
    ) {
        if part.isAbsent, bytes.matches(parameter.name, name) { part = parameter.value }
    }
}
