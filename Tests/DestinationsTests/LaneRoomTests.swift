import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Destinations

/// What all domains together may have in memory and on disk.
struct LaneRoomTests {
    private static let queueBytes = 30_000
    private static let overdraftBytes = 1_000

    private func domains(_ count: Int) throws -> [DomainName] {
        try (0..<count).map { try #require(DomainName("d\($0).example")) }
    }

    private func rig(spoolBytes: Int = 1 << 30) throws -> LaneRig {
        try LaneRig(
            batch: 10, domainQueueBytes: 20_000, queueBytes: Self.queueBytes, overdraftBytes: Self.overdraftBytes,
            spoolBytes: spoolBytes)
    }

    /// What a lane keeps of one event, as the tests make them.
    private var weight: Int { LaneRig.entry(100).weight }

    @Test func whatWaitedOnDiskDoesNotComeIntoMemoryAllAtOnce() throws {
        let domains = try domains(40)
        var rig = try rig()
        for domain in domains { rig.begin(domain) }
        rig.publish(domains[0], 1...1)
        rig.fail(domains[0], .unavailable)
        for domain in domains { rig.publish(domain, (domain == domains[0] ? 2 : 1)...200) }
        #expect(rig.machine.spooledBytes > 20 * Self.queueBytes)
        rig.advance(.seconds(5))
        while let domain = domains.first(where: { rig.isUnderWay($0) }) { rig.land(domain) }
        for domain in domains {
            let seqs = rig.outgoing.filter { $0.batch.domain == domain }.flatMap(\.seqs)
            #expect(Array(seqs.suffix(200)) == Array(1...200), "\(domain)")
        }
        #expect(rig.machine.queuedBytes == 0 && rig.machine.spooledBytes == 0)
        #expect(rig.peakBytes <= Self.queueBytes + domains.count * (Self.overdraftBytes + weight))
    }

    @Test func replaysOfManyDomainsDoNotComeIntoMemoryAllAtOnce() throws {
        let domains = try domains(40)
        let accounts = (100..<110).map { "u\($0)" }
        var rig = try rig()
        for domain in domains {
            rig.begin(domain)
            rig.publish(domain, 5...5)
        }
        var parts: [DomainName: Int] = [:]
        var isAtWork = true
        while isAtWork {
            let asking = rig.takeAskedOf()
            for domain in asking {
                let number = parts[domain, default: 0]
                parts[domain] = number + 1
                rig.replay(domain, after: 5, accounts, isFirst: number == 0, isLast: number == 19)
            }
            // Batches are slower than parts of replays.
            let landing = asking.isEmpty ? domains.first { rig.isUnderWay($0) } : nil
            if let landing { rig.land(landing) }
            isAtWork = !asking.isEmpty || landing != nil
        }
        #expect(domains.allSatisfy { parts[$0] == 20 })
        #expect(rig.outgoing.reduce(0) { $0 + $1.batch.events.count } == domains.count * (1 + 20 * accounts.count))
        #expect(rig.machine.queuedBytes == 0)
        #expect(rig.peakBytes <= Self.queueBytes + (accounts.count + 1) * weight)
    }

    /// However many domains there are, and however slow the destination is.
    @Test func aDestinationThatIsResumedAsksForNoMoreThanThereIsRoomFor() throws {
        let domains = try domains(200)
        var rig = try LaneRig(batch: 10, queueBytes: 10 * LaneMachine.partBytes)
        for domain in domains {
            rig.begin(domain)
            rig.publish(domain, 1...1)
        }
        rig.fail(domains[0], .gone)
        rig.handle(.resumed)
        var asking = rig.takeAskedOf()
        #expect(asking.count == 10)
        var restated: [DomainName] = []
        while !asking.isEmpty {
            for domain in asking { rig.replay(domain, after: 1, ["a"], isFirst: true, isLast: true) }
            restated += asking
            asking = rig.takeAskedOf()
            #expect(asking.count <= 10)
        }
        #expect(restated == domains.sorted())
    }

    /// It has all the memory there is, and nobody gets it back.
    @Test func aDomainThatIsNotTakenDoesNotKeepOthersFromBeingRestated() throws {
        let domains = try domains(2)
        var rig = try LaneRig(domainQueueBytes: 1 << 20, queueBytes: 20_000)
        for domain in domains { rig.begin(domain) }
        rig.publish(domains[0], 1...1)
        rig.fail(domains[0], .domainUnavailable)
        rig.publish(domains[0], 2...200)
        #expect(rig.machine.queuedBytes >= 20_000)
        rig.handle(.missed(events: 1, of: domains[1]))
        #expect(rig.takeAskedOf() == [domains[1]])
    }

    /// A tenant that is not taken, a topic that is missing, keeps what it has. Others have their share of the disk all
    /// the same: without it each event amid a replay would be a gap, and the replay would begin anew, for ever.
    @Test func aDomainThatIsNotTakenDoesNotKeepOthersFromTheSpool() throws {
        let domains = try domains(2)
        let (stuck, good) = (domains[0], domains[1])
        var rig = try rig(spoolBytes: 20_000)
        for domain in domains { rig.begin(domain) }
        rig.fail(rig.publish(stuck, 1...1), .domainUnavailable)
        for seq in 2...500 { rig.publish(stuck, UInt64(seq)...UInt64(seq)) }
        let (dropped, kept) = (rig.machine.totals.dropped, UInt64(rig.spooled(stuck)))
        #expect(dropped > 0 && rig.machine.spooledBytes > 19_000)
        rig.land(rig.publish(good, 1...2))
        rig.handle(.missed(events: 1, of: good))
        for round in 1...5 {
            let after = UInt64(round + 2)
            rig.replay(good, after: after, ["a"], isFirst: round == 1, isLast: round == 5)
            rig.publish(good, after + 1...after + 1)
        }
        while rig.isUnderWay(good) { rig.land(good) }
        #expect(rig.cursors.last == "1:8" && rig.machine.totals.resyncs == 1)
        #expect(rig.machine.totals.dropped == dropped + kept + 1, "the tenant's, told as such")
        // What is in memory is delivered once its topic is there, and then everything is restated.
        rig.advance(.seconds(5))
        while rig.isUnderWay(stuck) { rig.land(stuck) }
        #expect(rig.takeAskedOf().last == stuck)
    }

    /// Files have more in them than waits, where they were read in part. Whoever comes then has its share all the same.
    @Test func filesThatAreFullBeforeTheirTimeAreMadeRoomIn() throws {
        let domains = try domains(2)
        let (stuck, good) = (domains[0], domains[1])
        var rig = try rig(spoolBytes: 100_000)
        rig.diskEvents = 100
        for domain in domains { rig.begin(domain) }
        rig.fail(rig.publish(stuck, 1...1), .domainUnavailable)
        for seq in 2...1_000 where rig.spooled(stuck) < 100 { rig.publish(stuck, UInt64(seq)...UInt64(seq)) }
        #expect(rig.machine.totals.gaps == 0 && rig.machine.spooledBytes < 50_000)
        rig.land(rig.publish(good, 1...2))
        rig.handle(.missed(events: 1, of: good))
        rig.replay(good, after: 3, ["a"], isFirst: true, isLast: false)
        rig.publish(good, 4...13)
        #expect(rig.spooled(stuck) == 0 && rig.spooled(good) == 10)
        #expect(rig.machine.totals.gaps == 2 && rig.machine.totals.dropped == 101)
        // Where nobody gives way what is there already is kept, and a gap is behind it.
        rig.diskEvents = 12
        rig.publish(good, 14...20)
        #expect(rig.machine.totals.gaps == 3 && rig.machine.totals.dropped == 106)
        while rig.isUnderWay(good) { rig.land(good) }
        let seqs = rig.outgoing.filter { $0.batch.domain == good }.flatMap(\.seqs)
        #expect(seqs == [1, 2, 3, 3] + Array(4...15) && rig.takeAskedOf().last == good)
    }

    @Test func whoHasMoreThanItsShareOfTheSpoolTakesNoneOfOthers() throws {
        let domains = try domains(2)
        var rig = try rig(spoolBytes: 20_000)
        for domain in domains {
            rig.begin(domain)
            rig.fail(rig.publish(domain, 1...1), .domainUnavailable)
        }
        // The first has less than a half in it, and the second, for whom there is less memory, would need more.
        let last = UInt64(29_000 / weight)
        for domain in domains { rig.publish(domain, 2...last) }
        let kept = rig.spooled(domains[0])
        #expect(kept > 0)
        for seq in last + 1...last + 200 { rig.publish(domains[1], seq...seq) }
        #expect(rig.spooled(domains[0]) == kept && rig.machine.totals.gaps == 1)
        #expect(rig.machine.spooledBytes <= 20_000)
    }
}
