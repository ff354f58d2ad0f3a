import DequeModule

/// Which counts of which nonces were used, so that no answer to a challenge is good twice (RFC 7616 section 3.4,
/// `nc`).
///
/// Counts may arrive in another order than they were sent, as datagrams do: the last 64 before the highest are told
/// apart. The book is bounded: when a nonce is forgotten, those of lower numbers that are not in the book count as used
/// up. Numbers go by the order of making; the clock may be set back.
struct NonceBook {
    private struct Counts {
        var highest: UInt32
        /// Bit n: `highest - n` was used.
        var used: UInt64
    }

    private let capacity: Int
    private var counts: [Nonce: Counts] = [:]
    private var order: Deque<Nonce> = []
    /// The highest number that was forgotten.
    private var floor: UInt64?

    init(capacity: Int) { self.capacity = capacity }

    /// - Returns: whether the count is good: it was not used before.
    mutating func use(_ nonce: Nonce, count: UInt32) -> Bool {
        guard var known = counts[nonce] else { return begin(nonce, count) }
        if count > known.highest {
            let step = count - known.highest
            known.used = step >= 64 ? 1 : known.used << UInt64(step) | 1
            known.highest = count
        } else {
            let back = known.highest - count
            guard back < 64, known.used & 1 << UInt64(back) == 0 else { return false }
            known.used |= 1 << UInt64(back)
        }
        counts[nonce] = known
        return true
    }

    private mutating func begin(_ nonce: Nonce, _ count: UInt32) -> Bool {
        if let floor, nonce.number <= floor { return false }
        if order.count >= capacity, let oldest = order.popFirst() {
            counts[oldest] = nil
            floor = max(floor ?? 0, oldest.number)
        }
        order.append(nonce)
        counts[nonce] = Counts(highest: count, used: 1)
        return true
    }
}
