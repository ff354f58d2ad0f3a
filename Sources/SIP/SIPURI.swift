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
    let parts: SIPURIParts

    public var port: UInt16? { parts.port }
    var userPart: Part { parts.user }
    var passwordPart: Part { parts.password }
    var hostPart: Part { parts.host }
    var parametersPart: Part { parts.parameters }
    var headersPart: Part { parts.headers }

    public var scheme: Scheme {
        switch parts.kind {
        case .sip: .sip
        case .sips: .sips
        case .tel: .tel
        case .other: .other(SIPText(text.storage, parts.scheme).string.lowercased())
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
    public var isSIP: Bool { parts.kind == .sip || parts.kind == .sips }

    public init(parsing text: SIPText) throws(SIPParseError) {
        self.init(text, try SIPURIParts(parsing: text))
    }

    /// - Parameter parts: of this text.
    init(_ text: SIPText, _ parts: SIPURIParts) {
        self.text = text
        self.parts = parts
    }

    private func optional(_ part: Part) -> SIPText? { part.isAbsent ? nil : SIPText(text.storage, part) }
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
