import ClusterRuntime
import Foundation
import Glibc
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import SRActor

/// A disk that fails as the journal is opened, and a machine that loses its power.
struct JournalFailureTests {
    private func whole(_ contacts: Int) throws -> DomainReplica {
        var replica = DomainReplica()
        replica.take(
            try (0..<contacts).map { LiveContact(contact: try MachineCluster.contact("u\($0)"), ttl: 600_000) },
            at: SystemClock.now())
        replica.position = Position(epoch: 1, seq: UInt64(contacts))
        replica.seal()
        return replica
    }

    /// What was restored is written anew at start. Where the disk does not take all of it, the older segments are the
    /// only ones that have it, also when some domains fit in after all.
    @Test func whatDoesNotFitAtStartStaysWhereItIs() async throws {
        try await SmallDisk.with { directory in
            let copies = [try JournalFixture.domain(0): try whole(4_000), try JournalFixture.domain(1): try whole(5)]
            let first = try JournalFixture.open(directory).journal
            for (domain, copy) in copies {
                copy.forEachCheckpointRecord(at: SystemClock.now()) { first.append([$0], of: domain) }
            }
            first.close()
            SmallDisk.fill(directory)
            SmallDisk.free(60_000, directory)
            let (journal, replicas) = try JournalFixture.open(directory, retryPause: .zero)
            defer { journal.close() }
            #expect(replicas.count == 2)
            #expect(!journal.isWritable)
            try expectRestored(directory, copies)
            try await SmallDisk.wait("the journal tries again") { journal.generation > journal.firstGeneration }
            // The node begins only now, and its disk has room again.
            SmallDisk.empty(directory)
            let node = NodeID(name: NodeName("sr1"), incarnation: 1)
            let registrar = SRNode(
                node: node, transport: InMemoryTransport(self: node, on: InMemoryHub()), journal: journal,
                replicas: replicas, routers: [], limits: Limits(), policy: { _ in DomainPolicy() },
                log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let running = Task { await registrar.run() }
            defer { running.cancel() }
            try await SmallDisk.wait("everything is written anew") { journal.isWritable }
            try expectRestored(directory, copies)
        }
    }

    private func expectRestored(_ directory: String, _ copies: [DomainName: DomainReplica]) throws {
        let restored = try JournalFixture.restored(directory)
        for (domain, copy) in copies {
            #expect(restored[domain].map(RecordMaker.summary) == RecordMaker.summary(copy))
        }
    }

    /// Records before a compaction are needed until every domain is written anew.
    @Test func whatANewerSegmentGoesOnFromIsSyncedBeforeIt() throws {
        try JournalFixture.withDirectory { directory in
            let synced = Mutex<[String]>([])
            let (journal, _) = try JournalFixture.open(
                directory, segmentBytes: 64_000, syncInterval: .seconds(60),
                syncFile: { descriptor in
                    let file = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
                    synced.withLock { $0.append(String(file?.split(separator: "/").last ?? "?")) }
                    return fdatasync(descriptor)
                })
            synced.withLock { $0 = [] }
            var maker = RecordMaker(try JournalFixture.domain(0), seed: 3)
            while journal.generation == 1 { journal.append(try maker.next(), of: maker.domain) }
            journal.append(try maker.next(), of: maker.domain)
            journal.close()
            #expect(synced.withLock(\.self) == ["segment-0000000001.rcj", "segment-0000000002.rcj"])
        }
    }

    @Test func aClosedJournalIsNotWritable() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            #expect(journal.isWritable)
            journal.close()
            #expect(!journal.isWritable)
        }
    }
}
