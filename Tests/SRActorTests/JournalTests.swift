import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import SRActor

/// What comes back from the disk after a restart, a crash or damage.
struct JournalTests {
    private static let seeds: [UInt64] = [1, 2, 3, 4, 5]

    /// Writes so many turns of three domains.
    private func write(_ turns: Int, seed: UInt64, to journal: FileJournal) throws -> [RecordMaker] {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var makers = try (0..<3).map { RecordMaker(try JournalFixture.domain($0), seed: seed &* 10 &+ UInt64($0)) }
        for _ in 0..<turns {
            let index = random.below(3)
            journal.append(try makers[index].next(), of: makers[index].domain)
        }
        return makers
    }

    private func expectRestored(_ replicas: [DomainName: DomainReplica], _ makers: [RecordMaker]) throws {
        #expect(replicas.count == makers.count)
        for maker in makers {
            let replica = try #require(replicas[maker.domain])
            #expect(replica.position == maker.replica.position)
            #expect(RecordMaker.summary(replica) == RecordMaker.summary(maker.replica))
            #expect(replica.isComplete)
        }
    }

    @Test(arguments: seeds)
    func everyCopyComesBackAfterARestart(seed: UInt64) throws {
        try JournalFixture.withDirectory { directory in
            let (journal, nothing) = try JournalFixture.open(directory)
            #expect(nothing.isEmpty)
            let makers = try write(200, seed: seed, to: journal)
            try expectRestored(try JournalFixture.restored(directory), makers)
            journal.close()
            for _ in 0..<3 {
                let (again, replicas) = try JournalFixture.open(directory)
                try expectRestored(replicas, makers)
                again.close()
                #expect(try JournalFixture.segments(directory).count == 1)
            }
        }
    }

    @Test func aTailTornAnywhereCostsTheLastRecordOnly() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            var maker = RecordMaker(try JournalFixture.domain(0), seed: 9)
            for _ in 0..<20 { journal.append(try maker.next(), of: maker.domain) }
            let (position, summary) = (maker.replica.position, RecordMaker.summary(maker.replica))
            let path = directory + "/" + (try #require(try JournalFixture.segments(directory).last))
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            let contact = try MachineCluster.contact("last")
            let entry = LogEntry(
                seq: position.seq + 1, timestamp: 0, change: .registered(contact, ttl: 600_000, replay: false))
            journal.append([.entries(epoch: position.epoch, [entry])], of: maker.domain)
            let after = try Data(contentsOf: URL(fileURLWithPath: path))
            journal.close()
            #expect(after.count > before.count + 8)
            for length in before.count..<after.count {
                let replica = try restored(after.prefix(length), path)[maker.domain]
                #expect(replica?.position == position, "torn after \(length - before.count) bytes")
                #expect(replica.map(RecordMaker.summary) == summary)
            }
            #expect(try restored(after, path)[maker.domain]?.position.seq == position.seq + 1)
        }
    }

    private func restored(_ bytes: Data, _ path: String) throws -> [DomainName: DomainReplica] {
        var replicas: [DomainName: DomainReplica] = [:]
        try JournalFixture.withDirectory { directory in
            let name = URL(fileURLWithPath: path).lastPathComponent
            try bytes.write(to: URL(fileURLWithPath: directory + "/" + name))
            let opened = try JournalFixture.open(directory)
            opened.journal.close()
            replicas = opened.replicas
        }
        return replicas
    }

    /// Whatever the disk does to a bit, what comes back is a state that the copy has been in.
    @Test(arguments: seeds)
    func aFlippedBitLeavesAnEarlierStateThatWasTrue(seed: UInt64) throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            let makers = try write(60, seed: seed, to: journal)
            journal.close()
            let path = directory + "/" + (try #require(try JournalFixture.segments(directory).last))
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            var random = SplitMix64(seed: seed)
            for _ in 0..<60 {
                var bytes = whole
                bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8))
                let replicas = try restored(bytes, path)
                for maker in makers {
                    guard let replica = replicas[maker.domain] else { continue }
                    #expect(maker.history[replica.position]?.contains(RecordMaker.summary(replica)) == true)
                }
            }
        }
    }

    /// A segment in the middle is lost or damaged: later records of it do not stand on what they need.
    @Test(arguments: seeds)
    func aGapBetweenSegmentsLeavesAnEarlierStateThatWasTrue(seed: UInt64) throws {
        try JournalFixture.withDirectory { directory in
            // Nobody checkpoints here, so segments stay where they are.
            let (journal, _) = try JournalFixture.open(directory, segmentBytes: 20_000)
            var makers = try write(400, seed: seed, to: journal)
            #expect(try JournalFixture.segments(directory).count == 2)
            for index in makers.indices { journal.append(try makers[index].next(), of: makers[index].domain) }
            let first = directory + "/" + (try #require(try JournalFixture.segments(directory).first))
            let whole = try Data(contentsOf: URL(fileURLWithPath: first))
            try whole.prefix(whole.count * 2 / 3).write(to: URL(fileURLWithPath: first))
            let replicas = try JournalFixture.restored(directory)
            journal.close()
            for maker in makers {
                guard let replica = replicas[maker.domain] else { continue }
                #expect(maker.history[replica.position]?.contains(RecordMaker.summary(replica)) == true)
            }
        }
    }

    @Test func aForeignFileIsLeftAlone() throws {
        try JournalFixture.withDirectory { directory in
            let text = "This is not a journal but somebody's notes."
            for name in ["segment-0000000003.rcj", "segment-3.rcj", "segment-x.rcj", "notes.txt"] {
                try Data(text.utf8).write(to: URL(fileURLWithPath: directory + "/" + name))
            }
            let (journal, replicas) = try JournalFixture.open(directory)
            #expect(replicas.isEmpty)
            let makers = try write(30, seed: 1, to: journal)
            journal.close()
            let (again, restored) = try JournalFixture.open(directory)
            try expectRestored(restored, makers)
            again.close()
            for name in ["segment-0000000003.rcj", "segment-3.rcj", "segment-x.rcj", "notes.txt"] {
                #expect(try String(contentsOfFile: directory + "/" + name, encoding: .utf8) == text)
            }
        }
    }

    @Test func aDirectoryIsOpenOnce() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            let error = #expect(throws: JournalError.self) { try JournalFixture.open(directory) }
            #expect(error?.description.contains("\(directory) is in use by another process") == true)
            journal.close()
            journal.close()
            try JournalFixture.open(directory).journal.close()
        }
    }

    /// What could not be opened does not keep the directory from being opened later.
    @Test func aFailedOpeningLetsGoOfTheDirectory() throws {
        try JournalFixture.withDirectory { directory in
            let path = directory + "/" + JournalSegment.name(1)
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            #expect(throws: JournalError.self) { try JournalFixture.open(directory) }
            try FileManager.default.removeItem(atPath: path)
            try JournalFixture.open(directory).journal.close()
        }
    }

    @Test func timesToLiveCountWhileTheNodeIsDown() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            let domain = try JournalFixture.domain(0)
            let (short, long) = (try MachineCluster.contact("short"), try MachineCluster.contact("long"))
            journal.append(
                [
                    .reset(Position(epoch: 1, seq: 1)),
                    .contacts([LiveContact(contact: short, ttl: 60_000), LiveContact(contact: long, ttl: 600_000)]),
                    .sealed,
                ], of: domain)
            journal.close()
            let (again, replicas) = try JournalFixture.open(directory, later: 100_000)
            again.close()
            var replica = try #require(replicas[domain])
            var now = SystemClock.now()
            now.monotonic += .milliseconds(100_000)
            let remaining = replica.table.contacts(of: AccountID(.sipuser, "long")).map {
                replica.remaining($0.deadline, at: now)
            }
            try #require(remaining.count == 1)
            #expect((498_000...500_000).contains(remaining[0]))
            #expect(replica.table.popExpired(at: replica.time(at: now)) == short)
            #expect(replica.table.popExpired(at: replica.time(at: now)) == nil)
        }
    }

    @Test func aForgottenDomainDoesNotComeBack() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            let makers = try write(60, seed: 4, to: journal)
            journal.forget(makers[1].domain)
            journal.close()
            let (again, replicas) = try JournalFixture.open(directory)
            again.close()
            try expectRestored(replicas, [makers[0], makers[2]])
        }
    }

    /// A mass expiry is one turn; its entries are more than one record may hold.
    @Test func whateverOneTurnChangedCanBeReadBack() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory)
            let domain = try JournalFixture.domain(0)
            let details = String(repeating: "x", count: 1_000)
            var entries = [LogEntry(seq: 1, timestamp: 0, change: .clear(.restart))]
            for number in 0..<12_000 {
                let contact = try MachineCluster.contact("u\(number)", version: details)
                entries.append(
                    LogEntry(
                        seq: UInt64(number) + 2, timestamp: 0, change: .registered(contact, ttl: 600_000, replay: false)
                    ))
            }
            journal.append([.reset(.start), .sealed, .entries(epoch: 1, entries)], of: domain)
            journal.close()
            let (again, replicas) = try JournalFixture.open(directory)
            again.close()
            #expect(replicas[domain]?.table.count == 12_000)
            #expect(replicas[domain]?.position == Position(epoch: 1, seq: 12_001))
        }
    }
}
