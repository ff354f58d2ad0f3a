/// Who sent a request, over what, and so where its response goes: one element of a Via header.
///
/// Sources: RFC 3261 sections 18.2 and 20.42, RFC 3581 for `rport`, RFC 7118 section 5 for websockets, RFC 5118
/// section 4.5 for `received` with brackets.
public struct Via: Sendable {
    public enum Transport: Hashable, Sendable {
        case udp, tcp, tls, sctp, ws, wss
        case other(String)
    }

    /// Whether the sender asks for the port that its request came from.
    public enum RPort: Hashable, Sendable {
        case absent
        /// `;rport`: asks for it.
        case flag
        /// As a server answered.
        case value(UInt16)
    }

    /// The element as it was written.
    public let text: SIPText
    public let sentByPort: UInt16?
    public let rport: RPort
    /// How many routers a multicast request may cross; nil when there is none from 0 to 255.
    public let ttl: UInt8?
    private let transportPart: Part
    private let version: Part
    private let host: Part
    private let branchPart: Part
    private let receivedPart: Part
    private let maddrPart: Part
    private let parametersStart: Int
    /// Where `rport` ends, with its value when it has one.
    let rportEnd: Int
    /// Where the name `rport` ends.
    let rportNameEnd: Int
    /// The first `received` from its semicolon to its end.
    let receivedParameter: Part

    public var transport: Transport { Transport(text.storage, transportPart) }
    /// The version of the protocol: `2.0`.
    public var protocolVersion: SIPText { SIPText(text.storage, version) }
    /// A name or an address; an IPv6 address in its brackets.
    public var sentByHost: SIPText { SIPText(text.storage, host) }
    public var branch: SIPText? { optional(branchPart) }
    /// The address that a server saw; an IPv6 address with or without brackets.
    public var received: SIPText? { optional(receivedPart) }
    public var maddr: SIPText? { optional(maddrPart) }
    /// All parameters.
    public var parameters: SIPParameters {
        SIPParameters(read: SIPText(text.storage, Part(parametersStart, text.part.upper)))
    }

    /// What every branch of RFC 3261 begins with; one that is no more than this identifies nothing.
    public static let magicCookie: StaticString = "z9hG4bK"

    /// Whether the branch identifies the transaction by itself (RFC 3261 section 17.2.3).
    public var hasUniqueBranch: Bool {
        guard let branch, branch.count > 7 else { return false }
        return SIPText(branch.storage, Part(branch.part.lower, branch.part.lower + 7)).matches(Self.magicCookie)
    }

    public init(parsing text: SIPText) throws(SIPParseError) {
        self.text = text
        var cursor = Cursor(text)
        cursor.skipBlanks()
        let name = try cursor.token("a protocol")
        guard cursor.storage.matches(name, "SIP") else { throw cursor.failure("the protocol SIP", at: name) }
        guard cursor.takeSeparator(Ascii.slash) else { throw cursor.failure("a slash after the protocol") }
        version = try cursor.token("a protocol version")
        guard cursor.takeSeparator(Ascii.slash) else { throw cursor.failure("a slash after the version") }
        transportPart = try cursor.token("a transport")
        guard let blank = cursor.next, Ascii.isBlank(blank) else { throw cursor.failure("a space") }
        cursor.skipBlanks()
        host = try cursor.host()
        sentByPort = cursor.takeSeparator(Ascii.colon) ? try cursor.port() : nil
        parametersStart = cursor.position

        var parameters = ViaParameters()
        try parameters.read(&cursor)
        rport = parameters.rport
        ttl = parameters.ttl
        branchPart = parameters.branch
        receivedPart = parameters.received
        maddrPart = parameters.maddr
        rportEnd = parameters.rportEnd
        rportNameEnd = parameters.rportNameEnd
        receivedParameter = parameters.receivedParameter
    }

    private func optional(_ part: Part) -> SIPText? { part.isAbsent ? nil : SIPText(text.storage, part) }
}

extension Via.Transport {
    /// Transports are case-insensitive (RFC 3261 section 20.42).
    init(_ bytes: [UInt8], _ part: Part) {
        switch part.count {
        case 3 where bytes.matches(part, "UDP"): self = .udp
        case 3 where bytes.matches(part, "TCP"): self = .tcp
        case 3 where bytes.matches(part, "TLS"): self = .tls
        case 3 where bytes.matches(part, "WSS"): self = .wss
        case 2 where bytes.matches(part, "WS"): self = .ws
        case 4 where bytes.matches(part, "SCTP"): self = .sctp
        default: self = .other(SIPText(bytes, part).string)
        }
    }

    public var name: String {
        switch self {
        case .udp: "UDP"
        case .tcp: "TCP"
        case .tls: "TLS"
        case .sctp: "SCTP"
        case .ws: "WS"
        case .wss: "WSS"
        case .other(let name): name
        }
    }
}

/// What is found on the way through a Via's parameters. Of two of one name the first counts.
private struct ViaParameters {
    var rport = Via.RPort.absent
    var ttl: UInt8?
    var branch = Part.absent
    var received = Part.absent
    var maddr = Part.absent
    var rportEnd = 0
    var rportNameEnd = 0
    var receivedParameter = Part.absent

    mutating func read(_ cursor: inout Cursor) throws(SIPParseError) {
        while true {
            let start = cursor.position
            guard let parameter = try SIPParameters.next(&cursor) else { return }
            let (name, value) = (parameter.name, parameter.value)
            switch name.count {
            case 6 where branch.isAbsent && cursor.storage.matches(name, "branch"): branch = value
            case 5 where rport == .absent && cursor.storage.matches(name, "rport"):
                rport = try port(cursor, value)
                (rportNameEnd, rportEnd) = (name.upper, value.isAbsent ? name.upper : value.upper)
            case 5 where maddr.isAbsent && cursor.storage.matches(name, "maddr"): maddr = value
            case 8 where received.isAbsent && cursor.storage.matches(name, "received"):
                received = value
                receivedParameter = Part(start, cursor.position)
            case 3 where ttl == nil && cursor.storage.matches(name, "ttl"):
                ttl = cursor.storage.decimal(value).flatMap(UInt8.init(exactly:))
            default: break
            }
        }
    }

    private func port(_ cursor: Cursor, _ value: Part) throws(SIPParseError) -> Via.RPort {
        guard !value.isAbsent else { return .flag }
        guard let number = cursor.storage.decimal(value), let port = UInt16(exactly: number) else {
            throw cursor.failure("an rport of 65535 at most", at: value)
        }
        return .value(port)
    }
}
