/// Cuts the value of a list header at its commas, those within quotes and angle brackets left alone.
struct ListSplitter {
    private let bytes: [UInt8]
    private let end: Int
    private var position: Int
    private var isDone: Bool

    init(_ bytes: [UInt8], _ value: Part) {
        self.bytes = bytes
        position = value.lower
        end = value.upper
        isDone = value.count == 0
    }

    /// The next element without the white space around it; nil after the last.
    mutating func next() -> Part? {
        guard !isDone else { return nil }
        let start = position
        position = Self.elementEnd(bytes, from: start, before: end)
        let element = Self.trimmed(bytes, start, position)
        if position < end { position += 1 } else { isDone = true }
        return element
    }

    /// Where the comma after the element stands, or the end. What is left open, quote or bracket, goes to the end: the
    /// element's reader will find it.
    private static func elementEnd(_ bytes: [UInt8], from start: Int, before end: Int) -> Int {
        let span = bytes.span
        // Most lists have one element.
        if span.first(Ascii.comma, or: Ascii.comma, from: start, before: end) == end { return end }
        var position = start
        while position < end {
            switch span[position] {
            case Ascii.comma: return position
            case Ascii.less: position = span.first(Ascii.greater, or: Ascii.greater, from: position, before: end)
            case Ascii.quote: position = quoteEnd(span, from: position + 1, before: end)
            default: break
            }
            position += 1
        }
        return end
    }

    private static func quoteEnd(_ span: Span<UInt8>, from start: Int, before end: Int) -> Int {
        var position = start
        while true {
            position = span.first(Ascii.quote, or: Ascii.backslash, from: position, before: end)
            guard position < end, span[position] == Ascii.backslash else { return position }
            position += 2
            guard position < end else { return end }
        }
    }

    private static func trimmed(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Part {
        var lower = start
        var upper = end
        while lower < upper, Ascii.isBlank(bytes[lower]) { lower += 1 }
        while upper > lower, Ascii.isBlank(bytes[upper - 1]) { upper -= 1 }
        return Part(lower, upper)
    }
}
