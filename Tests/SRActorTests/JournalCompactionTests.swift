import ClusterRuntime
import Foundation
import RegistrarEvents
import Synchronization
import Testing

@testable import SRActor

/// Writing everything anew: when the journal has grown, and when the disk had been full.
struct JournalCompactionTests {
    /// Domains that checkpoint whenever the journal asks for it, as their actors do.
    private struct Domains {
        let journal: FileJournal
        var makers: [RecordMaker]
        var generation: UInt64

        init(_ journal: FileJournal, seed: UInt64) throws {
            print("seed \(seed)")
            self.journal = journal
            makers = try (0..<3).map { RecordMaker(try JournalFixture.domain($0), seed: seed &* 10 &+ UInt64($0)) }
            generation = journal.generation
        }

        mutating func write(_ turns: Int) throws {
            for turn in 0..<turns {
                let index = turn % makers.count
                journal.append(try makers[index].next(), of: makers[index].domain)
                checkpointIfAsked()
            }
        }

        mutating func checkpointIfAsked() {
            guard journal.generation != generation else { return }
            generation = journal.generation
            for maker in makers { checkpoint(maker) }
        }

        func checkpoint(_ maker: RecordMaker) {
            maker.replica.forEachCheckpointRecord(at: SystemClock.now()) { journal.append([$0], of: maker.domain) }
            journal.checkpointed(maker.domain, in: generation)
        }
    }

    private func expectRestored(_ replicas: [DomainName: DomainReplica], _ makers: [RecordMaker]) throws {
        #expect(replicas.count == makers.count)
        for maker in makers {
            let replica = try #require(replicas[maker.domain])
            #expect(replica.position == maker.replica.position)
            #expect(RecordMaker.summary(replica) == RecordMaker.summary(maker.replica))
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func compactionKeepsTheStateAndBoundsTheSize(seed: UInt64) async throws {
        try await SmallDisk.with { directory in
            let (journal, _) = try JournalFixture.open(directory, segmentBytes: 64_000)
            defer { journal.close() }
            var domains = try Domains(journal, seed: seed)
            // Written in all: some three megabytes, on a disk of one.
            var longest = 0
            for _ in 0..<40 {
                try domains.write(120)
                longest = max(longest, journal.length)
                #expect(journal.isWritable)
                try await SmallDisk.wait("the old segments are gone") {
                    (try? JournalFixture.segments(directory).count) == 1
                }
            }
            #expect(domains.generation > 10)
            #expect(longest < 250_000)
            try expectRestored(try JournalFixture.restored(directory), domains.makers)
        }
    }

    @Test func segmentsStayUntilEveryDomainIsWrittenAnew() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory, segmentBytes: 20_000)
            defer { journal.close() }
            var domains = try Domains(journal, seed: 5)
            while journal.generation == 1 {
                let index = Int.random(in: 0..<3)
                journal.append(try domains.makers[index].next(), of: domains.makers[index].domain)
            }
            domains.generation = journal.generation
            domains.checkpoint(domains.makers[0])
            domains.checkpoint(domains.makers[2])
            #expect(try JournalFixture.segments(directory).count == 2)
            try expectRestored(try JournalFixture.restored(directory), domains.makers)
            domains.checkpoint(domains.makers[1])
            #expect(journal.length < 20_000)
            try expectRestored(try JournalFixture.restored(directory), domains.makers)
        }
    }

    @Test func aCheckpointThatWasNotSealedDidNotHappen() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            defer { journal.close() }
            var domains = try Domains(journal, seed: 6)
            try domains.write(60)
            let maker = domains.makers[0]
            var records: [JournalRecord] = []
            maker.replica.forEachCheckpointRecord(at: SystemClock.now()) { records.append($0) }
            #expect(records.last == .sealed)
            journal.append(Array(records.dropLast()), of: maker.domain)
            try expectRestored(try JournalFixture.restored(directory), domains.makers)
        }
    }

    /// A standby may be amid a snapshot when the journal is compacted: the rest of it must find its beginning.
    @Test func aCopyAmidASnapshotIsWrittenAnewAsSuch() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            defer { journal.close() }
            let domain = try JournalFixture.domain(0)
            func live(_ name: String) throws -> LiveContact {
                LiveContact(contact: try MachineCluster.contact(name), ttl: 600_000)
            }
            var replica = DomainReplica()
            for record in [.reset(Position(epoch: 3, seq: 70)), .contacts([try live("alice")])] as [JournalRecord] {
                replica.apply(record, at: SystemClock.now())
            }
            replica.forEachCheckpointRecord(at: SystemClock.now()) { journal.append([$0], of: domain) }
            #expect(try JournalFixture.restored(directory).isEmpty)
            journal.append([.contacts([try live("bob")]), .sealed], of: domain)
            let restored = try #require(try JournalFixture.restored(directory)[domain])
            #expect(restored.position == Position(epoch: 3, seq: 70))
            #expect(try MachineCluster.accounts(restored) == ["alice", "bob"])
        }
    }

    @Test func aFullDiskIsToldAndOvercome() async throws {
        try await SmallDisk.with { directory in
            let (journal, _) = try JournalFixture.open(directory)
            defer { journal.close() }
            var domains = try Domains(journal, seed: 7)
            try domains.write(90)
            #expect(journal.isWritable)
            let known = domains.makers
            SmallDisk.fill(directory)
            for _ in 0..<200 where journal.isWritable { try domains.write(3) }
            #expect(!journal.isWritable)
            // What comes now is lost on the disk; what is on it is a state that each copy has been in.
            try domains.write(60)
            for (maker, before) in zip(domains.makers, known) {
                let replica = try #require(try JournalFixture.restored(directory)[maker.domain])
                #expect(replica.position >= before.replica.position)
                #expect(maker.history[replica.position]?.contains(RecordMaker.summary(replica)) == true)
            }
            // The journal tries again by itself, and may be relied on once everything is written anew.
            SmallDisk.empty(directory)
            let generation = domains.generation
            try await SmallDisk.wait("the journal asks for checkpoints") { journal.generation > generation }
            #expect(!journal.isWritable, "records are missing until then")
            try domains.write(9)
            #expect(journal.isWritable)
            try expectRestored(try JournalFixture.restored(directory), domains.makers)
            try await SmallDisk.wait("the old segments are gone") {
                (try? JournalFixture.segments(directory).count) == 1
            }
            try expectRestored(try JournalFixture.restored(directory), domains.makers)
        }
    }

    /// A machine that has begun with a wrong clock: what is in the journal by then is not older for that.
    @Test(arguments: [3_600_000, -3_600_000] as [Int64])
    func everythingIsWrittenAnewWhenTheClockWasPutElsewhere(step: Int64) async throws {
        try await SmallDisk.with { directory in
            let moved = Mutex<Int64>(0)
            let (journal, _) = try JournalFixture.open(directory, wall: { SystemClock.wall() + moved.withLock { $0 } })
            defer { journal.close() }
            var domains = try Domains(journal, seed: 11)
            try domains.write(90)
            try await Task.sleep(for: .milliseconds(100))
            #expect(journal.generation == domains.generation, "nothing has moved yet")
            moved.withLock { $0 = step }
            try await SmallDisk.wait("the journal asks for checkpoints") { journal.generation > domains.generation }
            #expect(journal.isWritable, "nothing is missing")
            domains.checkpointIfAsked()
            try expectRestored(try JournalFixture.restored(directory, later: step), domains.makers)
            try await Task.sleep(for: .milliseconds(100))
            #expect(journal.generation == domains.generation, "once")
        }
    }

    /// After the space is back records go on behind a gap. A crash before the checkpoints must not make them whole.
    @Test func recordsBehindAGapAreNotTakenForTheWhole() async throws {
        try await SmallDisk.with { directory in
            let (journal, _) = try JournalFixture.open(directory)
            defer { journal.close() }
            var domains = try Domains(journal, seed: 8)
            try domains.write(90)
            SmallDisk.fill(directory)
            for _ in 0..<200 where journal.isWritable { try domains.write(3) }
            try domains.write(60)
            SmallDisk.empty(directory)
            let generation = domains.generation
            try await SmallDisk.wait("the journal asks for checkpoints") { journal.generation > generation }
            for index in domains.makers.indices {
                for _ in 0..<20 { journal.append(try domains.makers[index].next(), of: domains.makers[index].domain) }
            }
            let restored = try JournalFixture.restored(directory)
            for maker in domains.makers {
                guard let replica = restored[maker.domain] else { continue }
                #expect(maker.history[replica.position]?.contains(RecordMaker.summary(replica)) == true)
            }
        }
    }

    /// Half a checkpoint is only in the way of the next attempt.
    @Test func attemptsThatFailDoNotFillTheDisk() async throws {
        try await SmallDisk.with { directory in
            let (journal, _) = try JournalFixture.open(directory)
            defer { journal.close() }
            let domain = try JournalFixture.domain(0)
            var replica = DomainReplica()
            let contacts = try (0..<4_000).map {
                LiveContact(contact: try MachineCluster.contact("u\($0)"), ttl: 600_000)
            }
            replica.take(contacts, at: SystemClock.now())
            replica.position = Position(epoch: 1, seq: 4_000)
            replica.seal()
            func checkpoint() {
                let generation = journal.generation
                replica.forEachCheckpointRecord(at: SystemClock.now()) { journal.append([$0], of: domain) }
                journal.checkpointed(domain, in: generation)
            }
            checkpoint()
            SmallDisk.fill(directory)
            for _ in 0..<10 where journal.isWritable { checkpoint() }
            // Room for the beginning of a segment, but not for all that belongs into it.
            SmallDisk.free(60_000, directory)
            for attempt in 1...3 {
                let generation = journal.generation
                try await SmallDisk.wait("attempt \(attempt)") { journal.generation > generation }
                checkpoint()
                #expect(!journal.isWritable)
                #expect(try JournalFixture.segments(directory).count == 2)
            }
            SmallDisk.empty(directory)
            let generation = journal.generation
            try await SmallDisk.wait("the last attempt") { journal.generation > generation }
            checkpoint()
            #expect(journal.isWritable)
            let restored = try #require(try JournalFixture.restored(directory)[domain])
            #expect(RecordMaker.summary(restored) == RecordMaker.summary(replica))
        }
    }
}
