import ClusterRuntime
import RegistrarEvents
import Testing

@testable import SRActor

/// Inputs that once broke a target, each with what they did.
@Suite(.serialized) struct FormerBugsTests {
    private static let load = "load: { domain: demo.example, registrations: 4 }"

    /// The product was no 64-bit integer: a trap.
    @Test(arguments: ["1e300s", "1e999h", "9999999999999h", "1e15ms"])
    func aDurationBeyondMeasureIsRefused(_ duration: String) async throws {
        let text = "name: x\ntopology: t.yaml\n\(Self.load)\nfor: \(duration)\n"
        try await FuzzTarget.drill.run(Array(text.utf8))
    }

    /// Each level doubles what the parser hashes: hours.
    @Test(.timeLimit(.minutes(1))) func nestedAliasesInADrillAreRefused() async throws {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...40 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        try await FuzzTarget.drill.run(Array((text + "? *a40\n: x\n").utf8))
    }

    /// The age was no 64-bit integer: a trap at the start of the node.
    @Test(arguments: [Int64.min, -1, 0, Int64.max]) func aRecordOfAnyTimeIsRead(_ wall: Int64) async throws {
        let bodies = [JournalRecord.reset(Position(epoch: 1, seq: 0)), .contacts(WireSeeds.live), .sealed].map {
            JournalItem(domain: WireSeeds.domain, wall: wall, content: .record($0)).encoded()
        }
        try await FuzzTarget.journal.run([1] + Pieces.join(bodies))
    }

    /// There is no number after the last: a trap at the start of the node.
    @Test func aJournalAtTheLastSequenceNumberIsRead() async throws {
        let records: [JournalRecord] = [
            .reset(Position(epoch: 1, seq: .max)), .sealed, .entries(epoch: 1, Array(WireSeeds.entries.prefix(1))),
        ]
        let bodies = records.map {
            JournalItem(domain: WireSeeds.domain, wall: 1_700_000_000_000, content: .record($0)).encoded()
        }
        try await FuzzTarget.journal.run([1] + Pieces.join(bodies))
    }

    /// The same, of standby and follower.
    @Test(arguments: [UInt8(0), 1]) func aSnapshotAtTheLastSequenceNumberIsTaken(_ role: UInt8) async throws {
        let chunk = SnapshotChunk(
            domain: WireSeeds.domain, epoch: 7, snapshot: 1, index: 0, after: .max, contacts: [], seal: nil)
        let append = Append(
            domain: WireSeeds.domain, epoch: 7, base: 0, entries: WireSeeds.entries, committed: 4, replayEnd: 2)
        let bodies = [WireSeeds.packed([.chunk(chunk)]), WireSeeds.packed([.append(append)])]
        try await FuzzTarget.replica.run([role] + Pieces.join(bodies))
    }

    /// The line was searched from its beginning at each part: a minute for this one.
    @Test(.timeLimit(.minutes(1))) func aLongLineInSmallPartsIsReadOnce() async throws {
        try await FuzzTarget.etcd.run(Array(repeating: UInt8(ascii: "x"), count: 600_000))
    }

    /// With the mark the character was no comma, and no quote.
    @Test(arguments: ["\"a\",\u{301}b", "\"a\"\u{301},b", "\"a,\u{301}\",\"\"\"\u{301}\""])
    func combiningMarksHideNoSeparator(_ row: String) async throws {
        try await FuzzTarget.directory.run(Array(row.utf8))
    }
}
