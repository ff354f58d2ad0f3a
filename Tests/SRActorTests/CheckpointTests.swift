import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Testing

@testable import SRActor

/// Copies that are written anew while they change.
struct CheckpointTests {
    /// As a domain's actor does it, in parts of a few slots.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func theNewestSegmentAloneRestoresACopyThatWentOnChanging(seed: UInt64) throws {
        print("seed \(seed)")
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory, segmentBytes: 64_000)
            defer { journal.close() }
            var maker = RecordMaker(try JournalFixture.domain(0), seed: seed)
            while journal.generation == 1 { journal.append(try maker.next(), of: maker.domain) }
            var checkpoint = Checkpoint(generation: 2)
            for turn in 0..<4_000 where !checkpoint.isOver {
                if turn % 3 == 0 {
                    let records = try maker.next()
                    journal.append(records, of: maker.domain)
                    if !checkpoint.goesOn(after: records) { checkpoint = Checkpoint(generation: 2) }
                }
                let part = checkpoint.next(maker.replica, slots: 7, at: SystemClock.now())
                #expect(contacts(in: part) <= 7)
                journal.append(part, of: maker.domain)
                if turn % 5 == 0 { try expectRestored(directory, maker) }
            }
            #expect(checkpoint.isOver)
            for _ in 0..<9 { journal.append(try maker.next(), of: maker.domain) }
            try expectRestored(directory, maker)
            let older = try #require(try JournalFixture.segments(directory).first)
            try FileManager.default.removeItem(atPath: directory + "/" + older)
            try expectRestored(directory, maker)
        }
    }

    private func contacts(in records: [JournalRecord]) -> Int {
        records.reduce(0) { sum, record in
            guard case .contacts(let contacts) = record else { return sum }
            return sum + contacts.count
        }
    }

    private func expectRestored(_ directory: String, _ maker: RecordMaker) throws {
        let replica = try #require(try JournalFixture.restored(directory)[maker.domain])
        #expect(replica.position == maker.replica.position)
        #expect(RecordMaker.summary(replica) == RecordMaker.summary(maker.replica))
    }

    /// A replay may last, where a standby is cut off from its owner amid it. The journal has to be compacted then too.
    @Test func aCopyAmidAReplayIsWrittenAnewAsSuch() async throws {
        try await SmallDisk.with { directory in
            let (journal, _) = try JournalFixture.open(directory)
            defer { journal.close() }
            let domain = try JournalFixture.domain(0)
            let contacts = try (0..<3).map { try MachineCluster.contact("u\($0)") }
            var replica = DomainReplica()
            replica.take(contacts.map { LiveContact(contact: $0, ttl: 600_000) }, at: SystemClock.now())
            replica.seal()
            let changes: [LogEntry.Change] = [
                .clear(.failover), .registered(contacts[1], ttl: 600_000, replay: true),
            ]
            for (index, change) in changes.enumerated() {
                replica.apply(
                    LogEntry(seq: UInt64(index + 1), timestamp: 0, change: change), epoch: 2, at: SystemClock.now())
            }
            let node = NodeID(name: NodeName("sr1"), incarnation: 1)
            let actor = DomainActor(
                machine: DomainMachine(domain: domain, node: node, replica: replica),
                transport: InMemoryTransport(self: node, on: InMemoryHub()), journal: journal, routers: RouterNames([]),
                lease: LeaseHolder(), mailboxLimit: 100, checkpointedGeneration: 0,
                log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            actor.post([.tick])
            try await SmallDisk.wait("the copy is written") { (try? JournalFixture.restored(directory)[domain]) != nil }
            let restored = try #require(try JournalFixture.restored(directory)[domain])
            #expect(restored.position == replica.position && restored.isComplete && !restored.isReplayed)
            #expect(RecordMaker.summary(restored) == RecordMaker.summary(replica))
            #expect(restored.table.currentCount == 1)
            journal.append([.swept], of: domain)
            #expect(try JournalFixture.restored(directory)[domain]?.table.count == 1)
        }
    }

    /// RFC 3720, appendix B.4, and lengths that are no multiple of eight.
    @Test func checksumsAreThoseOfTheStandard() {
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.checksum([UInt8](0..<32)) == 0x46DD_794E)
        #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(CRC32C.checksum([]) == 0)
    }
}
