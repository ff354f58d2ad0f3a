/// Why bytes could not be read as what was expected.
public struct MessagePackError: Error, Equatable, CustomStringConvertible {
    private enum Reason: Equatable {
        case malformed
        case truncated
        case trailingBytes(Int)
        case tooDeep(Int)
        case outOfMemory
        case missing(Int)
        case invalidText
        case unexpected(String)
    }

    private let reason: Reason

    private init(_ reason: Reason) { self.reason = reason }

    /// A byte that begins no value.
    public static let malformed = MessagePackError(.malformed)

    /// The bytes end inside a value, or a length claims more than there is.
    public static let truncated = MessagePackError(.truncated)

    /// The memory for the parsed value was refused.
    public static let outOfMemory = MessagePackError(.outOfMemory)

    /// A string that is not UTF-8.
    public static let invalidText = MessagePackError(.invalidText)

    /// More bytes follow where the value should have ended.
    public static func trailingBytes(_ count: Int) -> MessagePackError { MessagePackError(.trailingBytes(count)) }

    /// Arrays and maps are nested deeper than the reader allows.
    public static func tooDeep(_ limit: Int) -> MessagePackError { MessagePackError(.tooDeep(limit)) }

    /// An array that lacks a field.
    public static func missing(_ index: Int) -> MessagePackError { MessagePackError(.missing(index)) }

    /// A value of another kind or range than the reader needs; `what` says what was expected.
    public static func unexpected(_ what: String) -> MessagePackError { MessagePackError(.unexpected(what)) }

    public var description: String {
        switch reason {
        case .malformed: "malformed MessagePack: a byte that begins no value"
        case .truncated: "truncated MessagePack: the bytes end inside a value"
        case .trailingBytes(let count): "\(count) bytes follow after the MessagePack value"
        case .tooDeep(let limit): "MessagePack nested deeper than \(limit)"
        case .outOfMemory: "no memory for the MessagePack value"
        case .missing(let index): "the array lacks field \(index)"
        case .invalidText: "a string that is not UTF-8"
        case .unexpected(let what): "unexpected value; expected \(what)"
        }
    }
}
