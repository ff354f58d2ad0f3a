/// A URI as SIP has them: `sip:`, `sips:` and `tel:` taken apart, others kept whole.
///
/// Sources: RFC 3261 sections 19.1 and 25.1, RFC 3966 for `tel`, RFC 5118 for IPv6 references. What
/// phones send and the grammar does not have is taken where nothing can be misread: `#` in a user, `_` in a host.
public struct SIPURI: Sendable {
    public enum Scheme: Hashable, Sendable {
        case sip, sips, tel
        case other(String)
    }

    /// The URI as it was written.
    public let text: SIPText
    public let port: UInt16?
    let kind: Kind
    /// What stands before the colon.
    private let schemePart: Part
    let userPart: Part
    let passwordPart: Part
    let hostPart: Part
    /// From the first semicolon to before the question mark.
    let parametersPart: Part
    /// Behind the question mark.
    let headersPart: Part

    /// The schemes that are taken apart; without a text, so that a URI holds one reference only.
    enum Kind: Sendable { case sip, sips, tel, other }

    public var scheme: Scheme {
        switch kind {
        case .sip: .sip
        case .sips: .sips
        case .tel: .tel
        case .other: .other(SIPText(text.storage, schemePart).string.lowercased())
        }
    }

    /// As it was written; nil when there is none. Of a `tel` URI the number.
    public var user: SIPText? { optional(userPart) }
    /// With escapes resolved: the name of an account.
    public var decodedUser: String? { user?.percentDecoded.string }
    public var password: SIPText? { optional(passwordPart) }
    /// A name or an address, an IPv6 address in its brackets; empty unless the scheme is `sip` or `sips`.
    public var host: SIPText { optional(hostPart) ?? SIPText(text.storage, Part(0, 0)) }
    /// Whether the host is an IPv6 reference.
    public var hostIsIPv6: Bool { !hostPart.isAbsent && text.storage[hostPart.lower] == Ascii.leftBracket }
    /// Whether it is `sip` or `sips`.
    public var isSIP: Bool { kind == .sip || kind == .sips }

    public init(parsing text: SIPText) throws(SIPParseError) {
        self.text = text
        var cursor = Cursor(text)
        let name = cursor.run(of: .scheme)
        guard name.count > 0, !Ascii.isDigit(text.storage[name.lower]) else { throw cursor.failure("a scheme") }
        try cursor.expect(Ascii.colon, "a colon after the scheme")
        schemePart = name
        kind = Kind(text.storage, name)
        var parts = SIPURIParts()
        switch kind {
        case .sip, .sips: try parts.readSIP(&cursor)
        case .tel: try parts.readTel(&cursor)
        case .other: try parts.readOther(&cursor)
        }
        port = parts.port
        userPart = parts.user
        passwordPart = parts.password
        hostPart = parts.host
        parametersPart = parts.parameters
        headersPart = parts.headers
    }

    private func optional(_ part: Part) -> SIPText? { part.isAbsent ? nil : SIPText(text.storage, part) }
}

extension SIPURI.Kind {
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

extension SIPURI.Scheme {
    public var name: String {
        switch self {
        case .sip: "sip"
        case .sips: "sips"
        case .tel: "tel"
        case .other(let name): name
        }
    }
}

extension SIPURI {
    /// The value of the first parameter of this name as it was written; empty for a flag; nil when there is none.
    public func parameter(_ name: StaticString) -> SIPText? {
        var pairs = SIPURIPairs(text.storage, parametersPart, separator: Ascii.semicolon)
        while let pair = pairs.next() {
            guard text.storage.matches(pair.name, name) else { continue }
            return SIPText(text.storage, pair.value.isAbsent ? Part(0, 0) : pair.value)
        }
        return nil
    }

    public func has(_ parameter: StaticString) -> Bool { self.parameter(parameter) != nil }

    /// All parameters in their order; the value is nil for a flag.
    public var parameters: [(name: SIPText, value: SIPText?)] {
        pairs(parametersPart, separator: Ascii.semicolon)
    }

    /// What stands behind the question mark: fields that a request made from the URI is to have.
    public var headers: [(name: SIPText, value: SIPText?)] { pairs(headersPart, separator: Ascii.ampersand) }
    public var hasHeaders: Bool { !headersPart.isAbsent }

    public var transport: Via.Transport? {
        parameter("transport").map { Via.Transport($0.storage, $0.part) }
    }
    public var maddr: SIPText? { parameter("maddr") }
    /// RFC 3261 section 19.1.1.
    public var isLooseRouter: Bool { has("lr") }
    /// The parameter `gr` of a GRUU (RFC 5627 section 4.4); empty for a temporary one.
    public var gruu: SIPText? { parameter("gr") }
    /// The parameter `ob`: keep to the flow (RFC 5626 section 4).
    public var isOutbound: Bool { has("ob") }

    private func pairs(_ part: Part, separator: UInt8) -> [(name: SIPText, value: SIPText?)] {
        var pairs = SIPURIPairs(text.storage, part, separator: separator)
        var all: [(name: SIPText, value: SIPText?)] = []
        while let pair = pairs.next() {
            let value = pair.value.isAbsent ? nil : SIPText(text.storage, pair.value)
            all.append((SIPText(text.storage, pair.name), value))
        }
        return all
    }
}
