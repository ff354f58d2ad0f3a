/// Why bytes are not the SIP that they should be: what was expected, what came, and where.
public struct SIPParseError: Error, Equatable, CustomStringConvertible {
    /// What stood where something else was expected.
    public enum Found: Equatable, Sendable {
        /// The text, line or message ended.
        case end
        case byte(UInt8)
        /// A number or count outside its range, such as the bytes of a message that is too long.
        case count(Int)
    }

    /// What answers a request with this fault: 400, 505 for another version of SIP, 513 for one over a limit.
    public let status: Int
    public let expected: String
    public let found: Found
    /// Counts bytes from 0, in the message where the text was part of one.
    public let offset: Int

    public init(expected: String, found: Found, offset: Int, status: Int = 400) {
        self.expected = expected
        self.found = found
        self.offset = offset
        self.status = status
    }

    /// For the reason phrase of the answer: ASCII, one line, nothing of the peer's text in it.
    public var reason: String {
        switch status {
        case 505: "Version Not Supported"
        case 513: "Message Too Large (\(expected))"
        default: "Bad Request (expected \(expected) at byte \(offset))"
        }
    }

    public var description: String {
        switch found {
        case .end: "expected \(expected) at byte \(offset), but there it ends"
        case .byte(let byte): "expected \(expected) at byte \(offset), found byte \(byte)"
        case .count(let count): "expected \(expected) at byte \(offset), found \(count)"
        }
    }
}
