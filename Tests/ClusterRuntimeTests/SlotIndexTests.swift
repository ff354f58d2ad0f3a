import Testing

@testable import ClusterRuntime

/// The index against a dictionary from slot to hash.
struct SlotIndexTests {
    @Test(arguments: ReplicationFixture.seeds)
    func randomOperationsFindWhatWasPutIn(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var index = SlotIndex()
        var hashes: [UInt32: UInt64] = [:]
        // Few distinct home places: long runs, wrapped around the end, with equal upper halves now and then.
        let places = seed % 2 == 0 ? UInt64(5) : 4_000
        for step in 0..<5_000 {
            let slot = UInt32(random.below(900))
            if let hash = hashes[slot] {
                if random.happens(20) {
                    let other = UInt32(1_000 + random.below(900))
                    guard hashes[other] == nil else { continue }
                    index.replace(slot, with: other, hash: hash)
                    hashes[slot] = nil
                    hashes[other] = hash
                } else {
                    index.remove(slot, hash: hash)
                    hashes[slot] = nil
                }
            } else {
                let hash = (random.next() % places &* 0x3FFF_FFF1) << 32 | UInt64(random.below(3))
                hashes[slot] = hash
                index.insert(slot, hash: hash)
            }
            try #require(index.count == hashes.count)
            if step % 100 == 0 { try expectAllFound(index, hashes) }
        }
        try expectAllFound(index, hashes)
    }

    private func expectAllFound(_ index: SlotIndex, _ hashes: [UInt32: UInt64]) throws {
        for (slot, hash) in hashes { try #require(index.find(hash) { $0 == slot } == slot) }
        for slot in UInt32(2_000)..<2_050 { #expect(index.find(UInt64(slot)) { $0 == slot } == nil) }
    }

    @Test func itGrowsWhileItFills() {
        var index = SlotIndex()
        func hash(_ slot: UInt32) -> UInt64 { UInt64(slot) &* 0x9E37_79B9_7F4A_7C15 }
        for slot in UInt32(0)..<50_000 { index.insert(slot, hash: hash(slot)) }
        for slot in UInt32(0)..<50_000 { #expect(index.find(hash(slot)) { $0 == slot } == slot) }
        for slot in UInt32(0)..<50_000 { index.remove(slot, hash: hash(slot)) }
        #expect(index.count == 0)
        #expect(index.find(hash(7)) { _ in true } == nil)
    }
}
