import ClusterRuntime
import Foundation
import MessagePack
import RegistrarEvents
import Testing

@testable import ClusterSimulation

/// What simulated nodes of the wire version before say and hear, held against bytes that a program of that version
/// wrote (`Tests/vectors/wire-1.json`).
struct FormerWireTests {
    private static let recorded: [String: [UInt8]] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../vectors/wire-1.json")
        do {
            let texts = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))
            return texts.mapValues { text in
                let digits = Array(text.utf8)
                return stride(from: 0, to: digits.count, by: 2).compactMap {
                    UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
                }
            }
        } catch {
            fatalError("\(file.path()): \(error)")
        }
    }()

    @Test func itIsTheVersionBeforeThisOne() { #expect(FormerWire.version == WireVersion.current - 1) }

    /// The version's own messages pass, and so does what it finds of today's, whose further fields it does not read.
    @Test(arguments: recorded.keys.sorted()) func itKnowsWhatTheVersionKnew(name: String) throws {
        let bytes = try #require(Self.recorded[name])
        let message = try #require(try MessageBatch.decode(([0x91] + bytes)[...]).messages.first)
        #expect(FormerWire.known(message) == message)
        let full = Self.full(message)
        var writer = MessagePackWriter(reserving: 4_096)
        full.encode(into: &writer)
        let written = writer.finish()
        try #require(written.count >= bytes.count)
        #expect(written[1..<bytes.count] == bytes[1...], "what the version reads of it")
        #expect(FormerWire.known(full) == message)
    }

    @Test func itHasNoWordsForWhatCameLater() throws {
        let domain = try #require(DomainName("a.example"))
        let node = NodeID(name: NodeName("s1"), incarnation: 1)
        let later: [Message] = [
            .topology(TopologyPart(term: 1, version: 1, since: 0, index: 0, count: 1, bytes: [])),
            .retire(Retire(domain: domain, epoch: 1, revision: 1, topology: 1)),
            .replicaChange(ReplicaChange(domain: domain, epoch: 1, revision: 1, kind: .retire, node: node)),
        ]
        for message in later { #expect(FormerWire.known(message) == nil, "\(message)") }
    }

    /// The same message with everything in it that came after the version.
    private static func full(_ message: Message) -> Message {
        switch message {
        case .heartbeat(var heartbeat):
            (heartbeat.wireVersion, heartbeat.topology, heartbeat.needsRestart) = (WireVersion.current, 3, true)
            heartbeat.knownTerm = 9
            return .heartbeat(heartbeat)
        case .copies(var copies):
            for index in copies.reports.indices {
                (copies.reports[index].revision, copies.reports[index].isOwner) = (42, true)
            }
            return .copies(copies)
        case .request(var request):
            request.sentAt = 123
            return .request(request)
        case .append(var append):
            append.cursors = [DestinationCursor(destination: "kafka", position: Position(epoch: 7, seq: 1))]
            append.ages = append.entries.map { _ in 250 }
            return .append(append)
        default: return message
        }
    }
}
