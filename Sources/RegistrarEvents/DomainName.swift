/// The name of a domain (a tenant): a DNS-style name in lower case, such as `demo.example`.
///
/// Source: RFC 1035 section 2.3.1 for the form of labels (letters, digits, hyphens, 63 bytes each, 253 in all);
/// underscores and leading digits are accepted as well, since platforms use them (own decision).
public struct DomainName: Hashable, Sendable {
    /// The normalised (lower-case) text.
    public let rawValue: String

    /// Longest name accepted, in bytes.
    public static let maximumLength = 253

    /// Reads and normalises a name.
    /// - Returns: nil when a label is empty, longer than 63 bytes, or holds anything but letters, digits, `-` and `_`.
    public init?(_ text: String) {
        // Names that come from another node are normal already, and are most of those that are read.
        var text = text
        if !text.withUTF8(Self.isNormal) {
            // ASCII letters alone: other scripts have letters whose small form is an ASCII one.
            text = String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
            guard text.withUTF8(Self.isNormal) else { return nil }
        }
        rawValue = text
    }

    /// Lower-case labels of 1 to 63 allowed bytes, none of which begins or ends with a hyphen.
    private static func isNormal(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard (1...maximumLength).contains(bytes.count) else { return false }
        var start = 0
        for index in 0...bytes.count where index == bytes.count || bytes[index] == UInt8(ascii: ".") {
            guard (1...63).contains(index - start), bytes[start] != UInt8(ascii: "-"),
                bytes[index - 1] != UInt8(ascii: "-")
            else { return false }
            start = index + 1
        }
        return bytes.allSatisfy { $0 == UInt8(ascii: ".") || isAllowed($0) }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension DomainName {
    /// Whether this is the domain or lies beneath it: `a.example` is within `example`.
    public func isWithin(_ domain: DomainName) -> Bool {
        self == domain || rawValue.hasSuffix(".\(domain.rawValue)")
    }
}

extension DomainName: Comparable, CustomStringConvertible {
    public static func < (left: DomainName, right: DomainName) -> Bool { left.rawValue < right.rawValue }
    public var description: String { rawValue }
}
