/// A stretch of a message: the message's bytes, shared, and where in them it begins and ends.
///
/// Two texts are equal when their bytes are; `matches` compares without regard to case.
public struct SIPText: Sendable {
    let storage: [UInt8]
    let part: Part

    init(_ storage: [UInt8], _ part: Part) {
        self.storage = storage
        self.part = part
    }

    /// The whole of some bytes, `SIPLimits.maximumMessageBytes` at most.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count <= SIPLimits.maximumMessageBytes, "a text of \(bytes.count) bytes")
        self.init(bytes, Part(0, bytes.count))
    }

    /// The UTF-8 of a string.
    public init(_ string: String) { self.init([UInt8](string.utf8)) }

    public var count: Int { part.count }
    public var isEmpty: Bool { part.count == 0 }
    /// Where the text stands in its message.
    public var range: Range<Int> { part.range }
    /// The bytes, not copied.
    public var bytes: ArraySlice<UInt8> { storage[part.range] }
    /// The text; bytes that are not UTF-8 are replaced.
    public var string: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

    /// - Parameter index: from 0 to below `count`.
    public subscript(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < part.count, "byte \(index) of a text of \(part.count)")
        return storage[part.lower + index]
    }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[part.range])) }
    }

    /// Whether the text is this one, ASCII letters compared without regard to case.
    public func matches(_ other: StaticString) -> Bool { storage.matches(part, other) }

    /// The same for two texts.
    public func matches(_ other: SIPText) -> Bool {
        count == other.count
            && zip(part.range, other.part.range).allSatisfy {
                Ascii.lowercased(storage[$0]) == Ascii.lowercased(other.storage[$1])
            }
    }

    /// The text as a decimal number; nil when it is empty, holds anything but digits, or is over 64 bits.
    public var number: UInt64? { storage.decimal(part) }

    public func contains(_ byte: UInt8) -> Bool {
        storage.span.first(byte, or: byte, from: part.lower, before: part.upper) < part.upper
    }

    /// What stands between the quotes with escapes resolved, or the text itself when it is not quoted.
    ///
    /// Source: `quoted-string` of RFC 3261 section 25.1.
    public var unquoted: SIPText {
        guard count >= 2, self[0] == Ascii.quote, self[count - 1] == Ascii.quote else { return self }
        let inner = SIPText(storage, Part(part.lower + 1, part.upper - 1))
        guard inner.contains(Ascii.backslash) else { return inner }
        var unescaped: [UInt8] = []
        unescaped.reserveCapacity(inner.count)
        var isEscaped = false
        for byte in inner.bytes {
            if byte == Ascii.backslash && !isEscaped {
                isEscaped = true
            } else {
                unescaped.append(byte)
                isEscaped = false
            }
        }
        return SIPText(unescaped)
    }

    /// The text with its `%` escapes resolved; escapes that are none stay as they are.
    public var percentDecoded: SIPText {
        guard contains(Ascii.percent) else { return self }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(count)
        var index = part.lower
        while index < part.upper {
            if let byte = storage.escaped(at: index, before: part.upper) {
                decoded.append(byte)
                index += 3
            } else {
                decoded.append(storage[index])
                index += 1
            }
        }
        return SIPText(decoded)
    }
}

extension SIPText: Hashable, CustomStringConvertible {
    public static func == (left: SIPText, right: SIPText) -> Bool { left.bytes == right.bytes }
    public func hash(into hasher: inout Hasher) { withUnsafeBytes { hasher.combine(bytes: $0) } }
    public var description: String { string }
}
