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
        #expect(rig.peakBytes <= Self.queueBytes + domains.count * (accounts.count + 1) * weight)
    }
}
