/// What a request asks for. Methods are case-sensitive (RFC 3261 section 7.1).
public enum SIPMethod: Hashable, Sendable {
    case invite, ack, bye, cancel, options, register
    /// RFC 6665.
    case subscribe, notify
    /// RFC 3903, 3428, 6086, 3262, 3311 and 3515.
    case publish, message, info, prack, update, refer
    /// A token that none of these is.
    case other(String)

    public var name: String {
        switch self {
        case .invite: "INVITE"
        case .ack: "ACK"
        case .bye: "BYE"
        case .cancel: "CANCEL"
        case .options: "OPTIONS"
        case .register: "REGISTER"
        case .subscribe: "SUBSCRIBE"
        case .notify: "NOTIFY"
        case .publish: "PUBLISH"
        case .message: "MESSAGE"
        case .info: "INFO"
        case .prack: "PRACK"
        case .update: "UPDATE"
        case .refer: "REFER"
        case .other(let name): name
        }
    }

    public init(_ text: SIPText) {
        let candidates = Self.candidates(text.isEmpty ? 0 : text[0])
        if let (method, name) = candidates.0, text.isExactly(name) {
            self = method
        } else if let (method, name) = candidates.1, text.isExactly(name) {
            self = method
        } else {
            self = .other(text.string)
        }
    }

    private typealias Candidate = (method: SIPMethod, name: StaticString)

    /// The first byte leaves two methods at most.
    @inline(__always)
    private static func candidates(_ first: UInt8) -> (Candidate?, Candidate?) {
        switch first {
        case UInt8(ascii: "R"): ((.register, "REGISTER"), (.refer, "REFER"))
        case UInt8(ascii: "O"): ((.options, "OPTIONS"), nil)
        case UInt8(ascii: "S"): ((.subscribe, "SUBSCRIBE"), nil)
        case UInt8(ascii: "N"): ((.notify, "NOTIFY"), nil)
        case UInt8(ascii: "I"): ((.invite, "INVITE"), (.info, "INFO"))
        case UInt8(ascii: "A"): ((.ack, "ACK"), nil)
        case UInt8(ascii: "B"): ((.bye, "BYE"), nil)
        case UInt8(ascii: "C"): ((.cancel, "CANCEL"), nil)
        case UInt8(ascii: "P"): ((.publish, "PUBLISH"), (.prack, "PRACK"))
        case UInt8(ascii: "M"): ((.message, "MESSAGE"), nil)
        case UInt8(ascii: "U"): ((.update, "UPDATE"), nil)
        default: (nil, nil)
        }
    }
}

extension SIPMethod: CustomStringConvertible {
    public var description: String { name }
}

extension SIPText {
    /// Whether the text is this one, byte for byte.
    public func isExactly(_ other: StaticString) -> Bool {
        guard count == other.utf8CodeUnitCount else { return false }
        return other.withUTF8Buffer { expected in
            withUnsafeBytes { $0.elementsEqual(expected) }
        }
    }
}
