import ClusterRuntime
import Foundation
import MessagePack
import Testing

/// What nodes of the version before say, as a program of that version said it (`Tests/vectors/wire-1.json`).
struct FormerWireTests {
    private static let recorded: [String: String] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../vectors/wire-1.json")
        do {
            return try JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))
        } catch {
            fatalError("\(file.path()): \(error)")
        }
    }()

    @Test func everyKindOfTheVersionBeforeIsRecorded() throws {
        // The second byte of each: it is an array of fewer than 16 elements that begins with the kind.
        let kinds = Self.recorded.values.compactMap { UInt8($0.dropFirst(2).prefix(2), radix: 16) }
        #expect(Set(kinds) == Set(1...11))
        #expect(Set(Self.recorded.keys).isSubset(of: MessageVectors.all.map(\.name)))
    }

    @Test(arguments: MessageVectors.all.filter { recorded[$0.name] != nil })
    func itMeansTheSameToday(vector: MessageVectors.Vector) throws {
        let hexadecimal = try #require(Self.recorded[vector.name])
        let body = [0x91] + bytes(hexadecimal)
        #expect(try MessageBatch.decode(body[...]).messages == [former(try vector.message())])
    }

    /// What today's message would have been: fields that the version did not have are as it meant them.
    private func former(_ message: Message) -> Message {
        switch message {
        case .heartbeat(var heartbeat):
            heartbeat.wireVersion = WireVersion.first
            (heartbeat.topology, heartbeat.needsRestart) = (0, false)
            (heartbeat.isJournalWritable, heartbeat.knownTerm) = (true, 0)
            return .heartbeat(heartbeat)
        case .copies(var copies):
            for index in copies.reports.indices {
                (copies.reports[index].revision, copies.reports[index].isOwner) = (0, false)
            }
            return .copies(copies)
        default: return message
        }
    }

    /// And the other way round: a reader of the version before finds its fields where they were, and more after them.
    @Test(arguments: MessageVectors.all.filter { recorded[$0.name] != nil })
    func whatIsSaidTodayBeginsWithWhatWasSaid(vector: MessageVectors.Vector) throws {
        let then = bytes(try #require(Self.recorded[vector.name]))
        var writer = MessagePackWriter(reserving: 4_096)
        try vector.message().encode(into: &writer)
        let now = writer.finish()
        try #require((0x91...0x9f).contains(then[0]) && (0x91...0x9f).contains(now[0]))
        #expect(now[0] >= then[0] && now.dropFirst().starts(with: then.dropFirst()))
    }

    @Test func onlyTheVersionsNextToThisOneWorkWithIt() {
        let current = WireVersion.current
        #expect(WireVersion.isUnderstood(current) && WireVersion.isUnderstood(current - 1))
        #expect(WireVersion.isUnderstood(current + 1) && !WireVersion.isUnderstood(current + 2))
        #expect(!WireVersion.isUnderstood(0) && !WireVersion.isUnderstood(.max))
    }

    private func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.utf8)
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
    }
}
