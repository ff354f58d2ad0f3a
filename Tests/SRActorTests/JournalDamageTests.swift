import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import SRActor

/// What is told of a damaged journal, and that it is never a reason not to start.
struct JournalDamageTests {
    /// A journal of one domain, where its last records begin and what the copy was at each.
    private struct Written {
        let bytes: Data
        let name: String
        let domain: DomainName
        /// Where each of the last records ends, and the copy's position there.
        let ends: [(offset: Int, position: Position)]
    }

    private func write(_ directory: String, lastRecords: Int) throws -> Written {
        let (journal, _) = try JournalFixture.open(directory)
        defer { journal.close() }
        let domain = try JournalFixture.domain(0)
        var position = Position(epoch: 1, seq: 0)
        journal.append([.reset(position), .sealed], of: domain)
        let name = try #require(try JournalFixture.segments(directory).last)
        let path = URL(fileURLWithPath: directory + "/" + name)
        var ends: [(offset: Int, position: Position)] = []
        for number in 0..<(20 + lastRecords) {
            let contact = try MachineCluster.contact("u\(number % 7)")
            position.seq += 1
            let entry = LogEntry(
                seq: position.seq, timestamp: 0, change: .registered(contact, ttl: 600_000, replay: false))
            journal.append([.entries(epoch: 1, [entry])], of: domain)
            ends.append((try Data(contentsOf: path).count, position))
        }
        return Written(
            bytes: try Data(contentsOf: path), name: name, domain: domain, ends: ends.suffix(lastRecords + 1))
    }

    private func read(_ bytes: Data, _ name: String) throws -> JournalReader {
        var reader = JournalReader(now: SystemClock.now())
        try JournalFixture.withDirectory { directory in
            try bytes.write(to: URL(fileURLWithPath: directory + "/" + name))
            let number = try #require(JournalSegment.number(ofFile: name))
            _ = try reader.read(number, in: directory)
            reader.finish()
        }
        return reader
    }

    @Test func aTailTornAtAnyByteIsCutWithAWarningAndTheNodeStarts() throws {
        try JournalFixture.withDirectory { directory in
            let written = try write(directory, lastRecords: 6)
            let start = written.ends[0].offset
            #expect(written.bytes.count - start > 300)
            for length in start...written.bytes.count {
                let whole = try #require(written.ends.last { $0.offset <= length })
                let reader = try read(written.bytes.prefix(length), written.name)
                #expect(reader.replicas[written.domain]?.position == whole.position, "torn at byte \(length)")
                if whole.offset == length {
                    #expect(reader.warnings.isEmpty, "torn at byte \(length)")
                } else {
                    #expect(reader.warnings.count == 1, "torn at byte \(length)")
                    let warning = reader.warnings.first ?? ""
                    #expect(warning.contains(written.name) && warning.contains("cut at byte \(whole.offset)"))
                }
            }
        }
    }

    /// The same with the whole journal: it opens, takes more, and has that the next time.
    @Test func whatIsWrittenAfterATornTailIsThereTheNextTime() throws {
        try JournalFixture.withDirectory { directory in
            let written = try write(directory, lastRecords: 2)
            let start = written.ends[0].offset
            for length in stride(from: start + 1, through: written.bytes.count, by: 7) {
                try JournalFixture.withDirectory { torn in
                    try written.bytes.prefix(length).write(to: URL(fileURLWithPath: torn + "/" + written.name))
                    let (journal, replicas) = try JournalFixture.open(torn)
                    let found = try #require(replicas[written.domain])
                    let next = LogEntry(
                        seq: found.position.seq + 1, timestamp: 0,
                        change: .registered(try MachineCluster.contact("new"), ttl: 600_000, replay: false))
                    journal.append([.entries(epoch: 1, [next])], of: written.domain)
                    journal.close()
                    let again = try JournalFixture.restored(torn)[written.domain]
                    #expect(again?.position.seq == next.seq, "torn at byte \(length)")
                    #expect(again?.table.count == found.table.count + 1)
                }
            }
        }
    }

    @Test func aDamagedMiddleIsToldByFileAndByte() throws {
        try JournalFixture.withDirectory { directory in
            let written = try write(directory, lastRecords: 6)
            for (before, after) in zip(written.ends, written.ends.dropFirst()) {
                var bytes = written.bytes
                bytes[bytes.startIndex + (before.offset + after.offset) / 2] ^= 0x10
                let reader = try read(bytes, written.name)
                #expect(reader.replicas[written.domain]?.position == before.position)
                #expect(reader.warnings.count == 1)
                let warning = reader.warnings.first ?? ""
                #expect(warning.contains(written.name) && warning.contains("cut at byte \(before.offset)"))
                #expect(warning.contains("\(bytes.count - before.offset) bytes"))
            }
        }
    }

    /// Compaction writes each live contact once more for each doubling, however long a journal has been written to.
    @Test func compactionIsBoundedInDiskAndWork() throws {
        try JournalFixture.withDirectory { directory in
            let (journal, _) = try JournalFixture.open(directory, segmentBytes: 100_000)
            defer { journal.close() }
            let domain = try JournalFixture.domain(0)
            var replica = DomainReplica()
            var (generation, written, checkpointed, longest) = (journal.generation, 0, 0, 0)
            func append(_ record: JournalRecord) throws {
                journal.append([record], of: domain)
                replica.apply(record, at: SystemClock.now())
            }
            try append(.reset(Position(epoch: 1, seq: 0)))
            try append(.sealed)
            for number in 0..<20_000 {
                let contact = try MachineCluster.contact("u\(number % 400)")
                let entry = LogEntry(
                    seq: UInt64(number + 1), timestamp: 0, change: .registered(contact, ttl: 600_000, replay: false))
                try append(.entries(epoch: 1, [entry]))
                written += 1
                longest = max(longest, journal.length)
                guard journal.generation != generation else { continue }
                generation = journal.generation
                replica.forEachCheckpointRecord(at: SystemClock.now()) { journal.append([$0], of: domain) }
                checkpointed += replica.table.count
                journal.checkpointed(domain, in: generation)
            }
            #expect(generation > 5)
            #expect(checkpointed < written, "more was written anew than new")
            #expect(longest < 100_000 * 3)
            // What it has compacted last it may be deleting.
            journal.close()
            #expect(try JournalFixture.restored(directory)[domain]?.position.seq == 20_000)
        }
    }
}
