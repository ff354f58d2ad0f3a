/// Builds the bytes of a message piece by piece.
///
/// Only `literal` can end a line: what comes from a peer, a directory or an error has its control characters replaced
/// by spaces, so that it cannot add header fields of its own.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Text of the program, taken as it is, with its line ends.
    @inline(__always)
    public mutating func literal(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    @inline(__always)
    public mutating func append(byte: UInt8) { bytes.append(byte < 0x20 ? Ascii.space : byte) }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { appendCleaned($0) }
    }

    public mutating func append(_ text: SIPText) {
        text.storage.withUnsafeBufferPointer { appendCleaned(UnsafeBufferPointer(rebasing: $0[text.range])) }
    }

    public mutating func append(_ text: [UInt8]) {
        text.withUnsafeBufferPointer { appendCleaned($0) }
    }

    public mutating func append(_ text: UnsafeRawBufferPointer) {
        text.withMemoryRebound(to: UInt8.self) { appendCleaned($0) }
    }

    /// Text within quotes: quotes and backslashes escaped (`quoted-string` of RFC 3261 section 25.1).
    public mutating func append(withinQuotes text: UnsafeRawBufferPointer) {
        let special = text.withMemoryRebound(to: UInt8.self) { bytes in
            bytes.span.first(Ascii.quote, or: Ascii.backslash, from: 0, before: bytes.count)
        }
        guard special < text.count else { return append(text) }
        for byte in text {
            if byte == Ascii.quote || byte == Ascii.backslash { bytes.append(Ascii.backslash) }
            append(byte: byte)
        }
    }

    /// The user of a URI, with what may not stand there escaped (`user` of RFC 3261 section 25.1).
    public mutating func append(user text: some Sequence<UInt8>) { append(escaping: text, outside: .user) }

    /// The value of a URI's parameter, escaped in the same way (`paramchar`).
    public mutating func append(uriParameter text: some Sequence<UInt8>) {
        append(escaping: text, outside: .uriParameter)
    }

    /// What is not of the set, and `%`, becomes `%` and two hexadecimal digits.
    private mutating func append(escaping text: some Sequence<UInt8>, outside set: ByteSet) {
        for byte in text {
            if set.contains(byte), byte != Ascii.percent {
                bytes.append(byte)
            } else {
                bytes += [Ascii.percent, Self.hexadecimal(byte >> 4), Self.hexadecimal(byte & 15)]
            }
        }
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10
    }

    /// A decimal number.
    public mutating func append(_ number: UInt64) {
        if number < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number))
            return
        }
        // Twenty digits are enough for any 64-bit number.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = number
            var start = 20
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: digits[start...])
        }
    }

    /// A quoted string: quotes around, quotes and backslashes within escaped (RFC 3261 section 25.1).
    public mutating func append(quoted text: String) {
        bytes.append(Ascii.quote)
        var text = text
        text.withUTF8 { append(withinQuotes: UnsafeRawBufferPointer($0)) }
        bytes.append(Ascii.quote)
    }

    /// The end of a line.
    @inline(__always)
    mutating func endLine() { literal("\r\n") }

    /// A stretch of a message that was parsed, which holds what a message may hold.
    @inline(__always)
    mutating func copy(_ source: [UInt8], _ range: Range<Int>) {
        source.withUnsafeBufferPointer { bytes.append(contentsOf: $0[range]) }
    }

    mutating func body(_ body: [UInt8]) { bytes.append(contentsOf: body) }

    private mutating func appendCleaned(_ text: UnsafeBufferPointer<UInt8>) {
        if text.span.controlCharacter(from: 0, before: text.count) == text.count {
            bytes.append(contentsOf: text)
        } else {
            for byte in text { append(byte: byte) }
        }
    }
}
