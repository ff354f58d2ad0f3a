/// An IPv6 address, read so that two spellings of one address are one.
///
/// Source: RFC 4291 section 2.2. Three colons are taken as two: RFC 3261's grammar can make them, and RFC 5118 section
/// 4.10 asks to tolerate them.
struct IPv6Address: Equatable, Sendable {
    /// Eight groups of 16 bits, the first in the highest bits of the first word.
    let high: UInt64
    let low: UInt64

    init?(_ bytes: [UInt8], _ part: Part) {
        var reader = Reader(bytes: bytes, position: part.lower, end: part.upper)
        guard let words = reader.read() else { return nil }
        high = words.high
        low = words.low
    }

    /// The groups in lower-case hexadecimal, without leading zeros and without leaving any out.
    func write(to bytes: inout [UInt8]) {
        for group in 0..<8 {
            if group > 0 { bytes.append(Ascii.colon) }
            let word = group < 4 ? high : low
            let value = (word >> UInt64(48 - 16 * (group & 3))) & 0xFFFF
            bytes.append(contentsOf: String(value, radix: 16).utf8)
        }
    }
}

/// Reads the groups on either side of the gap that `::` leaves.
private struct Reader {
    let bytes: [UInt8]
    var position: Int
    let end: Int
    private var groups: (high: UInt64, low: UInt64) = (0, 0)
    private var count = 0
    /// How many groups stood before the gap.
    private var gap: Int?

    init(bytes: [UInt8], position: Int, end: Int) {
        self.bytes = bytes
        self.position = position
        self.end = end
    }

    mutating func read() -> (high: UInt64, low: UInt64)? {
        if position < end, bytes[position] == Ascii.colon, !takeGap() { return nil }
        while position < end {
            guard let isLast = takeGroup() else { return nil }
            if isLast || position == end { break }
            guard bytes[position] == Ascii.colon else { return nil }
            if !takeGap() {
                position += 1
                guard position < end else { return nil }
            }
        }
        guard position == end else { return nil }
        return spread()
    }

    /// `::`, once in an address.
    private mutating func takeGap() -> Bool {
        guard gap == nil, position + 1 < end, bytes[position + 1] == Ascii.colon else { return false }
        gap = count
        position += 2
        if position < end, bytes[position] == Ascii.colon { position += 1 }
        return true
    }

    /// One to four hexadecimal digits, or an IPv4 address as the last two groups.
    /// - Returns: whether it must be the last; nil when it is neither.
    private mutating func takeGroup() -> Bool? {
        let start = position
        var value: UInt64 = 0
        while position < end, position - start < 4, let digit = Ascii.hexadecimal(bytes[position]) {
            value = value << 4 | UInt64(digit)
            position += 1
        }
        guard position > start else { return nil }
        if position < end, bytes[position] == Ascii.dot {
            position = start
            guard let address = takeIPv4() else { return nil }
            return append(address >> 16) && append(address & 0xFFFF) ? true : nil
        }
        return append(value) ? false : nil
    }

    private mutating func takeIPv4() -> UInt64? {
        var address: UInt64 = 0
        for octet in 0..<4 {
            if octet > 0 {
                guard position < end, bytes[position] == Ascii.dot else { return nil }
                position += 1
            }
            let start = position
            while position < end, position - start < 3, Ascii.isDigit(bytes[position]) { position += 1 }
            guard let value = bytes.decimal(Part(start, position)), value <= 255 else { return nil }
            address = address << 8 | value
        }
        return address
    }

    private mutating func append(_ group: UInt64) -> Bool {
        guard count < 8 else { return false }
        groups.high = groups.high << 16 | groups.low >> 48
        groups.low = groups.low << 16 | group
        count += 1
        return true
    }

    /// Opens the gap: the groups behind it stay at the end, those before it go to the front.
    private func spread() -> (high: UInt64, low: UInt64)? {
        guard let gap else { return count == 8 ? groups : nil }
        let behind = count - gap
        guard count < 8 else { return nil }
        let tail = Self.lastGroups(groups, behind)
        let front = Self.shiftedRight(groups, groups: behind)
        let moved = Self.shiftedLeft(front, groups: 8 - gap)
        return (moved.high | tail.high, moved.low | tail.low)
    }

    private static func lastGroups(_ words: (high: UInt64, low: UInt64), _ count: Int) -> (high: UInt64, low: UInt64) {
        let bits = UInt64(count * 16)
        // Shifts of 64 and more give zero, and so all ones less one bit: the whole word.
        return (
            bits > 64 ? words.high & ((1 << (bits - 64)) - 1) : 0,
            bits >= 64 ? words.low : words.low & ((1 << bits) - 1)
        )
    }

    private static func shiftedRight(_ words: (high: UInt64, low: UInt64), groups: Int) -> (high: UInt64, low: UInt64) {
        let bits = UInt64(groups * 16)
        if bits >= 64 { return (0, words.high >> (bits - 64)) }
        return (words.high >> bits, words.low >> bits | words.high << (64 - bits))
    }

    private static func shiftedLeft(_ words: (high: UInt64, low: UInt64), groups: Int) -> (high: UInt64, low: UInt64) {
        let bits = UInt64(groups * 16)
        if bits >= 64 { return (words.low << (bits - 64), 0) }
        return (words.high << bits | words.low >> (64 - bits), words.low << bits)
    }
}
