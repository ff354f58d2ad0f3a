/// What a peer may send at most. At a limit the message is refused with an answer; nothing is cut short in silence.
public struct SIPLimits: Sendable {
    /// Bytes of a whole message, head and body. 65,535 is what a datagram can hold (RFC 3261 section 18.1.1).
    public let messageBytes: Int
    /// Header fields of a message, each line of a repeated one counted.
    public let headers: Int
    /// Bytes of the start line, and of one header field with its continuation lines.
    public let headerLineBytes: Int

    /// The most that `messageBytes` may be: positions within a message are kept in 32 bits.
    public static let maximumMessageBytes = 1 << 30

    public init(messageBytes: Int = 65_535, headers: Int = 256, headerLineBytes: Int = 8_192) {
        precondition(
            (1...Self.maximumMessageBytes).contains(messageBytes),
            "messageBytes is \(messageBytes), not within 1...\(Self.maximumMessageBytes)")
        precondition(headers > 0, "headers is \(headers), not positive")
        precondition(headerLineBytes > 0, "headerLineBytes is \(headerLineBytes), not positive")
        self.messageBytes = messageBytes
        self.headers = headers
        self.headerLineBytes = headerLineBytes
    }
}
