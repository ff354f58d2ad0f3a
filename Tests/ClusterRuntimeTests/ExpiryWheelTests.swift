import ClusterRuntime
import RegistrarEvents
import Testing

/// Deadlines: never early, at most a tick late, never forgotten.
struct ExpiryWheelTests {
    /// Pops everything due and checks it against the deadlines.
    private func expire(_ table: inout ContactTable, _ deadlines: inout [PackedContact: Int64], at now: Int64) throws {
        while let contact = table.popExpired(at: now) {
            let known = deadlines.removeValue(forKey: contact)
            let deadline = try #require(known)
            #expect(deadline <= now, "\(deadline - now) ms early at \(now)")
        }
        #expect(!deadlines.values.contains { $0 <= now - 256 }, "later than a tick at \(now)")
        #expect(table.count == deadlines.count)
    }

    /// From milliseconds to days, in steps from milliseconds to days, with renewals to both sides.
    @Test(arguments: ReplicationFixture.seeds)
    func nothingIsEarlyLateOrLost(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let spans = [300, 5_000, 66_000, 400_000, 16_000_000, 17_000_000, 40_000_000, 700_000_000]
        var table = ContactTable()
        var deadlines: [PackedContact: Int64] = [:]
        var now = Int64(random.below(2_000_000_000))
        for _ in 0..<1_500 {
            for _ in 0..<random.below(8) {
                let contact = try ReplicationFixture.contact(random.below(60), random.below(3))
                let deadline = now + Int64(random.below(spans[random.below(spans.count)]))
                table.put(contact, deadline: deadline)
                deadlines[contact] = deadline
            }
            now += Int64(random.below(random.happens(3) ? spans[random.below(spans.count)] : 3_000))
            try expire(&table, &deadlines, at: now)
        }
        now += 800_000_000
        try expire(&table, &deadlines, at: now)
        #expect(deadlines.isEmpty)
    }

    @Test func aShortenedDeadlineCounts() throws {
        var table = ContactTable()
        let contact = try ReplicationFixture.contact(1, 1)
        for (first, second) in [(60_000, 1_000), (100_000, 70_000), (30_000_000, 500), (5_000, 4_900)]
            as [(Int64, Int64)]
        {
            let now: Int64 = 10_000_000
            #expect(table.popExpired(at: now) == nil)
            table.put(contact, deadline: now + first)
            table.put(contact, deadline: now + second)
            #expect(table.popExpired(at: now + second - 1) == nil)
            #expect(table.popExpired(at: now + second + 256) == contact)
            table = ContactTable()
        }
    }

    @Test func aRenewalOfWhatIsDueAlreadyCounts() throws {
        var table = ContactTable()
        let (first, second) = (try ReplicationFixture.contact(1, 1), try ReplicationFixture.contact(2, 1))
        table.put(first, deadline: 1_000)
        table.put(second, deadline: 1_000)
        let popped = table.popExpired(at: 2_000)
        #expect(popped != nil)
        let renewed = popped == first ? second : first
        table.put(renewed, deadline: 50_000)
        #expect(table.popExpired(at: 2_000) == nil)
        #expect(table.popExpired(at: 50_000) == nil || 50_000 % 256 == 0)
        #expect(table.popExpired(at: 50_256) == renewed)
    }

    /// A promoted standby's clock is set back by the outage: what would have been due then is not due now.
    @Test(arguments: ReplicationFixture.seeds)
    func aClockThatWasSetBackEndsNothingEarly(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var table = ContactTable()
        var deadlines: [PackedContact: Int64] = [:]
        var now: Int64 = 50_000_000
        for step in 0..<600 {
            let contact = try ReplicationFixture.contact(random.below(40), 0)
            let deadline = now + Int64(random.below(20_000))
            table.put(contact, deadline: deadline)
            deadlines[contact] = deadline
            now += step % 50 == 49 ? -Int64(random.below(30_000)) : Int64(random.below(400))
            try expire(&table, &deadlines, at: now)
        }
    }

    /// A standby ends nothing, so its wheel stands still from its first day. Taking over costs one pass over the
    /// contacts however long ago that was; a walk over the ticks since, here of a thousand years, would not end.
    @Test(.timeLimit(.minutes(1))) func takingOverDoesNotDependOnHowLongTheClockHasRun() throws {
        var table = ContactTable()
        let now: Int64 = 365_000 * 86_400_000
        for account in 0..<2_000 {
            table.put(try ReplicationFixture.contact(account, 0), deadline: now + Int64(account % 500))
        }
        #expect(table.popExpired(at: now + 255) != nil)
        var popped = 1
        while table.popExpired(at: now + 756) != nil { popped += 1 }
        #expect(popped == 2_000)
    }

    /// `nextExpiryCheck` never names a time after something is due, so sleeping until then misses nothing.
    @Test(arguments: ReplicationFixture.seeds)
    func wakingWhenToldIsOftenEnough(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var table = ContactTable()
        var deadlines: [PackedContact: Int64] = [:]
        var now: Int64 = 900_000
        #expect(table.popExpired(at: now) == nil)
        #expect(table.nextExpiryCheck == nil)
        for account in 0..<300 {
            let contact = try ReplicationFixture.contact(account, 0)
            let deadline = now + Int64(random.below(20_000_000))
            table.put(contact, deadline: deadline)
            deadlines[contact] = deadline
        }
        var wakes = 0
        while let next = table.nextExpiryCheck {
            let earliest = try #require(deadlines.values.min())
            #expect(next < earliest + 256, "would sleep \(next - earliest) ms too long")
            now = max(now + 1, next)
            try expire(&table, &deadlines, at: now)
            wakes += 1
        }
        #expect(deadlines.isEmpty)
        #expect(wakes < 5_000)
    }
}
