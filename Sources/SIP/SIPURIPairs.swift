/// Walks over `name=value` pairs that were read already.
struct SIPURIPairs {
    typealias Pair = (name: Part, value: Part)

    private let bytes: [UInt8]
    private let separator: UInt8
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], _ part: Part, separator: UInt8) {
        self.bytes = bytes
        self.separator = separator
        position = part.isAbsent ? 0 : part.lower
        end = part.isAbsent ? 0 : part.upper
    }

    /// The next pair; its value is absent when there is no equals sign.
    mutating func next() -> Pair? {
        if position < end, bytes[position] == separator { position += 1 }
        guard position < end else { return nil }
        let start = position
        var equals: Int?
        while position < end, bytes[position] != separator {
            if bytes[position] == Ascii.equals, equals == nil { equals = position }
            position += 1
        }
        guard let equals else { return (Part(start, position), .absent) }
        return (Part(start, equals), Part(equals + 1, position))
    }
}
