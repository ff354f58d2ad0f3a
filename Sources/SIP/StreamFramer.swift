/// Cuts a stream of TCP or TLS into messages.
///
/// Sources: RFC 3261 section 18.3 for Content-Length, without which a stream cannot be cut, and RFC 5626 section 4.4.1
/// for the keep-alive of two line ends. Each byte is looked at a bounded number of times, however they come. After an
/// error nothing in the stream can be trusted, so every later call gives the same error.
public struct StreamFramer: Sendable {
    public enum Frame: Equatable, Sendable {
        /// A whole message, for `SIPMessage.parse`.
        case message([UInt8])
        /// Two line ends: to be answered by one.
        case keepAlivePing
        /// One line end between messages: the answer to our ping, or nothing.
        case crlf
    }

    private let limits: SIPLimits
    private var buffer: [UInt8] = []
    /// Where the next frame begins in the buffer.
    private var start = 0
    /// No empty line that ends a head begins before this.
    private var searched = 0
    /// Where the message that is being waited for ends, once its head is known.
    private var messageEnd: Int?
    private var failure: SIPParseError?

    public init(limits: SIPLimits = SIPLimits()) { self.limits = limits }

    /// Bytes that wait for more.
    public var bufferedBytes: Int { buffer.count - start }

    public mutating func append(_ bytes: some Collection<UInt8>) {
        guard failure == nil else { return }
        // What was given out is dropped when it is most of the buffer, so that each byte moves once on average.
        if start > 0, start >= buffer.count - start { compact() }
        buffer.append(contentsOf: bytes)
    }

    /// The next frame; nil when more bytes are needed.
    ///
    /// Call it until it gives nil: what a peer may send ahead is bounded by how much is appended between calls.
    public mutating func next() throws(SIPParseError) -> Frame? {
        if let failure { throw failure }
        do {
            return try frame()
        } catch {
            failure = error
            buffer = []
            (start, searched, messageEnd) = (0, 0, nil)
            throw error
        }
    }

    private mutating func frame() throws(SIPParseError) -> Frame? {
        if messageEnd == nil {
            guard start < buffer.count else { return nil }
            if buffer[start] == Ascii.carriageReturn { return try lineEnds() }
            guard let headEnd = try headEnd() else { return nil }
            messageEnd = try messageEnd(headEnd)
        }
        guard let end = messageEnd, end <= buffer.count else { return nil }
        let message = Array(buffer[start..<end])
        advance(to: end)
        return .message(message)
    }

    /// One line end, or two. After one it waits for what follows, which may be the second.
    private mutating func lineEnds() throws(SIPParseError) -> Frame? {
        guard start + 1 < buffer.count else { return nil }
        guard buffer[start + 1] == Ascii.lineFeed else { throw unexpected("a line feed", at: start + 1) }
        guard start + 2 < buffer.count else { return nil }
        if buffer[start + 2] == Ascii.carriageReturn {
            guard start + 3 < buffer.count else { return nil }
            guard buffer[start + 3] == Ascii.lineFeed else { throw unexpected("a line feed", at: start + 3) }
            advance(to: start + 4)
            return .keepAlivePing
        }
        advance(to: start + 2)
        return .crlf
    }

    /// Behind the empty line that ends the head; nil when it is not there yet.
    private mutating func headEnd() throws(SIPParseError) -> Int? {
        var index = max(searched, start)
        while index + 3 < buffer.count {
            // A line feed that is not where an empty line has its last can be its second at best.
            if buffer[index + 3] == Ascii.lineFeed {
                if buffer[index + 2] == Ascii.carriageReturn, buffer[index + 1] == Ascii.lineFeed,
                    buffer[index] == Ascii.carriageReturn
                {
                    return try bounded(index + 4)
                }
                index += 2
            } else if buffer[index + 3] == Ascii.carriageReturn {
                index += 1
            } else {
                index += 4
            }
        }
        searched = index
        _ = try bounded(buffer.count)
        return nil
    }

    private func bounded(_ end: Int) throws(SIPParseError) -> Int {
        guard end - start <= limits.messageBytes else {
            throw SIPParseError(
                expected: "\(limits.messageBytes) bytes at most", found: .count(end - start), offset: 0, status: 513)
        }
        return end
    }

    private func messageEnd(_ headEnd: Int) throws(SIPParseError) -> Int {
        let head = SIPText(buffer, Part(start, headEnd))
        guard let length = try SIPMessage.contentLength(ofHead: head, limits: limits) else {
            throw SIPParseError(expected: "a Content-Length on a stream", found: .end, offset: headEnd - start)
        }
        return try bounded(headEnd + length)
    }

    private mutating func advance(to position: Int) {
        start = position
        searched = position
        messageEnd = nil
        if start == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 14)
            (start, searched) = (0, 0)
        }
    }

    private mutating func compact() {
        buffer.removeFirst(start)
        searched = max(0, searched - start)
        messageEnd = messageEnd.map { $0 - start }
        start = 0
    }

    private func unexpected(_ expected: String, at index: Int) -> SIPParseError {
        SIPParseError(expected: expected, found: .byte(buffer[index]), offset: index - start)
    }
}
