/// A text that equals another only byte by byte, and is ordered by its bytes (UTF-8).
///
/// Swift's strings are equal when they look alike (Unicode's canonical equivalence). Accounts whose names only look
/// alike are others, as they are on the wire, in files and for everybody who compares bytes.
public struct ExactText: Hashable, Comparable, Sendable {
    public let string: String

    public init(_ string: String) { self.string = string }

    public static func == (left: ExactText, right: ExactText) -> Bool {
        // Strings that do not even look alike are told apart at once.
        left.string == right.string && left.string.utf8.elementsEqual(right.string.utf8)
    }

    public static func < (left: ExactText, right: ExactText) -> Bool {
        left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var string = string
        string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xFF as UInt8)
    }
}
