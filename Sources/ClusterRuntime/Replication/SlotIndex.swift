/// Finds a slot by the hash of its key: open addressing with linear probing, eight bytes an entry.
///
/// An entry holds the upper half of the hash beside the slot, so a probe reads the slot itself only when it is almost
/// certainly the one sought. The first bits of that half say where the entry belongs, so growing and removing read
/// nothing but entries, and growing reads and writes them in order. Load stays under 5/8; a removal closes the gap by
/// moving later entries back, so there are no tombstones and the cost of a probe does not grow with age.
struct SlotIndex: Sendable {
    private var entries: [UInt64]
    private var mask: Int
    /// What takes a hash to its home place: the table has 2^(64 - shift) places.
    private var shift: UInt64
    private(set) var count = 0

    private static let empty: UInt64 = 0

    init() {
        entries = Array(repeating: Self.empty, count: 16)
        mask = 15
        shift = 60
    }

    /// The first slot under this hash for which `matches` holds.
    @inline(__always)
    func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        var place = home(hash)
        while entries[place] != Self.empty {
            if entries[place] >> 32 == hash >> 32 {
                let slot = UInt32(truncatingIfNeeded: entries[place]) - 1
                if matches(slot) { return slot }
            }
            place = (place + 1) & mask
        }
        return nil
    }

    mutating func insert(_ slot: UInt32, hash: UInt64) {
        if (count + 1) * 8 > entries.count * 5 { grow() }
        place(entry(slot, hash))
        count += 1
    }

    /// Puts `slot` in the place of `old`, which has the same hash.
    mutating func replace(_ old: UInt32, with slot: UInt32, hash: UInt64) {
        guard let found = position(of: old, hash) else { preconditionFailure("slot \(old) is not in the index") }
        entries[found] = entry(slot, hash)
    }

    mutating func remove(_ slot: UInt32, hash: UInt64) {
        guard var gap = position(of: slot, hash) else { preconditionFailure("slot \(slot) is not in the index") }
        count -= 1
        var next = (gap + 1) & mask
        while entries[next] != Self.empty {
            if (next - home(entries[next])) & mask >= (next - gap) & mask {
                entries[gap] = entries[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        entries[gap] = Self.empty
    }

    mutating func removeAll() { self = SlotIndex() }

    @inline(__always)
    private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> shift) }

    private func entry(_ slot: UInt32, _ hash: UInt64) -> UInt64 { (hash >> 32) << 32 | UInt64(slot + 1) }

    private func position(of slot: UInt32, _ hash: UInt64) -> Int? {
        let sought = entry(slot, hash)
        var place = home(hash)
        while entries[place] != Self.empty {
            if entries[place] == sought { return place }
            place = (place + 1) & mask
        }
        return nil
    }

    private mutating func place(_ entry: UInt64) {
        var place = home(entry)
        while entries[place] != Self.empty { place = (place + 1) & mask }
        entries[place] = entry
    }

    private mutating func grow() {
        precondition(shift > 32, "an index has at most 2^32 places")
        let old = entries
        entries = Array(repeating: Self.empty, count: old.count * 2)
        mask = entries.count - 1
        shift -= 1
        for entry in old where entry != Self.empty {
            place(entry)
        }
    }
}
