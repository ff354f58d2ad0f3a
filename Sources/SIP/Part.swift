/// Where a stretch of a message begins and ends, in 8 bytes.
struct Part: Sendable, Equatable {
    private let start: UInt32
    private let end: UInt32

    /// Stands for what a message does not have.
    static let absent = Part(start: 1, end: 0)

    private init(start: UInt32, end: UInt32) {
        self.start = start
        self.end = end
    }

    /// - Parameters: positions that `SIPLimits.maximumMessageBytes` bounds.
    @inline(__always)
    init(_ lower: Int, _ upper: Int) {
        start = UInt32(truncatingIfNeeded: lower)
        end = UInt32(truncatingIfNeeded: upper)
    }

    var isAbsent: Bool { start > end }
    @inline(__always) var lower: Int { Int(start) }
    @inline(__always) var upper: Int { Int(end) }
    /// Zero for an absent one.
    @inline(__always) var count: Int { max(0, Int(end) - Int(start)) }
    var range: Range<Int> { isAbsent ? 0..<0 : lower..<upper }
}

extension [UInt8] {
    /// Whether the part is this text, ASCII letters compared without regard to case.
    @inline(__always)
    func matches(_ part: Part, _ text: StaticString) -> Bool {
        guard part.count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { expected in
            let bytes = span
            for index in 0..<expected.count {
                let (one, other) = (bytes[part.lower + index], expected[index])
                // Most names come in the case that everybody writes.
                if one != other, Ascii.lowercased(one) != Ascii.lowercased(other) { return false }
            }
            return true
        }
    }

    /// A decimal number; nil when the part is empty, holds anything but digits, or is over 64 bits.
    func decimal(_ part: Part) -> UInt64? {
        guard part.count > 0 else { return nil }
        var number: UInt64 = 0
        for index in part.range {
            guard Ascii.isDigit(self[index]) else { return nil }
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeNow) = product.addingReportingOverflow(UInt64(self[index] - UInt8(ascii: "0")))
            guard !isTooLarge, !isTooLargeNow else { return nil }
            number = sum
        }
        return number
    }

    /// The first `%` without two hexadecimal digits behind it.
    func firstFaultyEscape(_ part: Part) -> Int? {
        var index = part.lower
        while true {
            index = span.first(Ascii.percent, or: Ascii.percent, from: index, before: part.upper)
            guard index < part.upper else { return nil }
            guard escaped(at: index, before: part.upper) != nil else { return index }
            index += 3
        }
    }

    /// The byte that `%` and two hexadecimal digits stand for, when they stand there.
    func escaped(at index: Int, before end: Int) -> UInt8? {
        guard index + 2 < end, self[index] == Ascii.percent, let high = Ascii.hexadecimal(self[index + 1]),
            let low = Ascii.hexadecimal(self[index + 2])
        else { return nil }
        return high << 4 | low
    }
}
