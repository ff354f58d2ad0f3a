/// Searches. Those for control characters, and for one or two bytes, go 16 and 8 at a time.
extension Span<UInt8> {
    /// The first byte below 0x20 from `start` on, or `end`.
    @inline(__always)
    func controlCharacter(from start: Int, before end: Int) -> Int {
        let raw = bytes
        var index = start
        while end &- index >= 16 {
            let words = raw.unsafeLoadUnaligned(fromByteOffset: index, as: SIMD2<UInt64>.self)
            let low = Self.controls(UInt64(littleEndian: words[0]))
            if low != 0 { return index &+ low.trailingZeroBitCount / 8 }
            let high = Self.controls(UInt64(littleEndian: words[1]))
            if high != 0 { return index &+ 8 &+ high.trailingZeroBitCount / 8 }
            index &+= 16
        }
        if end &- index >= 8 {
            let word = raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
            let marks = Self.controls(UInt64(littleEndian: word))
            if marks != 0 { return index &+ marks.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < end, self[index] >= 0x20 { index &+= 1 }
        return index
    }

    /// The first byte from `start` on that is one of two, or `end`.
    @inline(__always)
    func first(_ one: UInt8, or other: UInt8, from start: Int, before end: Int) -> Int {
        let raw = bytes
        let ones = UInt64(one) &* Self.lowBits
        let others = UInt64(other) &* Self.lowBits
        var index = start
        while end &- index >= 8 {
            let word = UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            let marks = Self.zeros(word ^ ones) | Self.zeros(word ^ others)
            if marks != 0 { return index + marks.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < end, self[index] != one, self[index] != other { index += 1 }
        return index
    }

    /// The first byte from `start` on that is not of the set, or `end`.
    @inline(__always)
    func first(outside set: ByteSet, from start: Int, before end: Int) -> Int {
        var index = start
        while index < end, set.contains(self[index]) { index += 1 }
        return index
    }

    /// The first byte from `start` on that is of the set, or `end`.
    @inline(__always)
    func first(of set: ByteSet, from start: Int, before end: Int) -> Int {
        var index = start
        while index < end, !set.contains(self[index]) { index += 1 }
        return index
    }

    private static var lowBits: UInt64 { 0x0101_0101_0101_0101 }
    private static var highBits: UInt64 { 0x8080_8080_8080_8080 }

    /// The highest bit of each byte that is below 0x20. A borrow spoils only bytes above the first found.
    @inline(__always)
    private static func controls(_ word: UInt64) -> UInt64 {
        (word &- 0x2020_2020_2020_2020) & ~word & highBits
    }

    /// The highest bit of each byte that is zero; of those above the first it may be wrong.
    @inline(__always)
    private static func zeros(_ word: UInt64) -> UInt64 { (word &- lowBits) & ~word & highBits }
}
