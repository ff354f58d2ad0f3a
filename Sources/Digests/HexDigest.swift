/// A digest in lower-case hex, as SIP digest authentication writes it and hashes it again. Lives on the stack.
public struct HexDigest: Sendable {
    /// The digits, and zeros after them.
    private var storage: InlineArray<64, UInt8>
    /// How many digits there are: 32 or 64.
    public let count: Int

    /// - Parameter digest: the digest's bytes, at most 32.
    public init(_ digest: Span<UInt8>) {
        precondition(digest.count <= 32, "a digest of \(digest.count) bytes; the longest has 32")
        storage = InlineArray(repeating: 0)
        count = digest.count * 2
        for index in digest.indices {
            storage[2 * index] = Self.digit(digest[index] >> 4)
            storage[2 * index + 1] = Self.digit(digest[index] & 0xf)
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        // Without a table or a branch: these digits are what a password is checked by.
        let letter = (9 &- value) >> 7
        return UInt8(ascii: "0") &+ value &+ letter &* 39
    }

    /// Calls the body with the digits.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        storage.span.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0.prefix(count))) }
    }

    /// Whether these are the digits given. Takes as long wherever they differ.
    public func matches(_ digits: UnsafeRawBufferPointer) -> Bool {
        guard digits.count == count else { return false }
        var difference: UInt8 = 0
        for index in 0..<count { difference |= storage[index] ^ digits[index] }
        return difference == 0
    }

    /// Whether these are the digits given. Takes as long wherever they differ.
    public func matches(_ digits: Span<UInt8>) -> Bool { digits.withUnsafeBytes { matches($0) } }
}

extension HexDigest: Equatable, CustomStringConvertible {
    public static func == (left: HexDigest, right: HexDigest) -> Bool { right.withUnsafeBytes { left.matches($0) } }

    public var description: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}
