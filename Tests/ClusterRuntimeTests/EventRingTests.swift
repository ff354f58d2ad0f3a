import ClusterRuntime
import RegistrarEvents
import Testing

/// The ring against an array.
struct EventRingTests {
    private func entry(_ seq: UInt64, size: Int) throws -> LogEntry {
        let contact = try #require(
            PackedContact(
                Registration(
                    account: "u", contact: "c", user: UserDetails(app: String(repeating: "x", count: size)))))
        return LogEntry(seq: seq, timestamp: 0, change: .registered(contact, ttl: 1, replay: false))
    }

    @Test(arguments: ReplicationFixture.seeds)
    func itHoldsTheNewestWithinItsLimits(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var ring = EventRing(maximumEntries: 40, maximumBytes: 8_000)
        var all: [LogEntry] = []
        for step in 0..<800 {
            if step == 500 {
                ring = EventRing(maximumEntries: 40, maximumBytes: 8_000)
                all = []
            }
            all.append(try entry(ring.lastSeq + 1, size: random.below(random.happens(5) ? 12_000 : 300)))
            ring.append(try #require(all.last), at: Int64(step))
            let kept = kept(of: all)
            #expect(ring.lastSeq == UInt64(all.count))
            #expect(ring.firstSeq == UInt64(all.count - kept.count + 1))
            expectEntries(of: ring, kept, &random)
        }
    }

    @Test func itTellsHowOldEntriesAreOnceTheyAreOld() throws {
        var ring = EventRing(maximumEntries: 3, maximumBytes: 8_000)
        for seq: UInt64 in 1...5 { ring.append(try entry(seq, size: 10), at: Int64(seq) * 1_000) }
        #expect(ring.ages(from: 3, count: 3, at: 5_050) == [2_050, 1_050, 50])
        #expect(ring.ages(from: 5, count: 1, at: 5_050) == [])
        #expect(ring.ages(from: 5, count: 1, at: 5_100) == [100])
        #expect(ring.ages(from: 2, count: 1, at: 9_000) == [], "it is not kept any more")
        #expect(ring.ages(from: 5, count: 2, at: 9_000) == [], "there is no such entry yet")
    }

    @Test func whatIsNotCommittedStays() throws {
        var ring = EventRing(maximumEntries: 4, maximumBytes: 1_000)
        for seq in 1...UInt64(12) { ring.append(try entry(seq, size: 200), at: 0, keepingAfter: 2) }
        #expect(ring.firstSeq == 3 && ring.lastSeq == 12)
        ring.append(try entry(13, size: 200), at: 0, keepingAfter: 12)
        #expect(ring.firstSeq > 10 && ring.bytes <= 1_000)
    }

    private func kept(of all: [LogEntry]) -> ArraySlice<LogEntry> {
        var bytes = 0
        var start = all.count
        while start > 0, all.count - start < 40, bytes + all[start - 1].weight <= 8_000 || start == all.count {
            start -= 1
            bytes += all[start].weight
        }
        return all[start...]
    }

    private func expectEntries(of ring: EventRing, _ kept: ArraySlice<LogEntry>, _ random: inout SplitMix64) {
        let from = UInt64(random.below(Int(ring.lastSeq) + 3))
        let through = UInt64(random.below(Int(ring.lastSeq) + 3))
        let (limit, bytes) = (1 + random.below(20), random.below(3_000))
        var expected: [LogEntry] = []
        var weight = 0
        if from >= ring.firstSeq {
            for entry in kept where entry.seq >= from && entry.seq <= through && expected.count < limit {
                weight += entry.weight
                if weight > bytes, !expected.isEmpty { break }
                expected.append(entry)
            }
        }
        #expect(ring.entries(from: from, through: through, limit: limit, bytes: bytes) == expected)
    }

    @Test func anEmptyRingHasNothingToGive() {
        let ring = EventRing(maximumEntries: 4, maximumBytes: 1_000)
        #expect(ring.firstSeq == 1 && ring.lastSeq == 0)
        #expect(ring.entries(from: 1, through: 9, limit: 5, bytes: 1_000).isEmpty)
    }
}
