import ClusterRuntime
import Foundation
import RegistrarEvents

@testable import SRActor

extension FuzzTarget {
    /// What a standby and a follower make of whatever the owner in force sends them. The first byte says which of the
    /// two; the rest is bodies of frames, each after two bytes with its length.
    static let replica = FuzzTarget(
        "replica", maximumLength: 8_192,
        seeds: {
            let body = WireSeeds.packed(WireSeeds.messages)
            return [[0] + Pieces.join([body]), [1] + Pieces.join([body, body])]
        },
        run: { input in
            guard let role = Follow.Role(rawValue: (input.first ?? 0) & 1) else { return }
            let owner = NodeID(name: NodeName("sr1"), incarnation: 1)
            var receiver = ReplicaReceiver(domain: WireSeeds.domain, role: role)
            var now = Moment(monotonic: MonotonicInstant(nanoseconds: 3_600_000_000_000), wall: 1_700_000_000_000)
            _ = receiver.handle(
                .assigned(
                    Assignment(
                        domain: WireSeeds.domain, epoch: 7, revision: 42, owner: owner, standbys: [], cause: .failover,
                        since: 0)), at: now)
            for body in Pieces.split(input.dropFirst()) {
                // What cannot be read has not come.
                for message in (try? MessageBatch.decode(body).messages) ?? [] {
                    now.monotonic += .milliseconds(60)
                    switch message {
                    case .append(let append) where append.domain == WireSeeds.domain:
                        _ = receiver.handle(.append(append, from: owner), at: now)
                    case .chunk(let chunk) where chunk.domain == WireSeeds.domain:
                        _ = receiver.handle(.chunk(chunk, from: owner), at: now)
                    case .assignments(let update):
                        for assignment in update.assignments where assignment.domain == WireSeeds.domain {
                            _ = receiver.handle(.assigned(assignment), at: now)
                        }
                    default: break
                    }
                    _ = receiver.handle(.turnEnded, at: now)
                    _ = receiver.handle(.tick, at: now)
                }
            }
            let table = receiver.replica.table
            let listed = (0..<table.slotCount).filter { table.contact(inSlot: $0) != nil }
            try promise(listed.count == table.count, "\(listed.count) contacts in slots, \(table.count) by count")
        })

    /// A segment of the journal: the first byte says whether the rest is the file as it stands, or bodies, each after
    /// two bytes with its length, which get their checksums here. What is restored is written, and restored again as
    /// the same.
    static let journal = FuzzTarget(
        "journal", maximumLength: 8_192, seeds: JournalPromises.seeds,
        run: { input in
            guard let mode = input.first else { return }
            let rest = input.dropFirst()
            let file = mode & 1 == 0 ? Array(rest) : JournalPromises.segment(Pieces.split(rest).map(Array.init))
            let restored = try JournalPromises.read(file)
            let items = restored.sorted { $0.key < $1.key }.flatMap { domain, replica in
                JournalPromises.checkpoint(replica, of: domain)
            }
            let again = try JournalPromises.read(JournalPromises.segment(items.map { $0.encoded() }))
            let before = restored.mapValues(JournalPromises.Copy.init)
            let after = again.mapValues(JournalPromises.Copy.init)
            try promise(before == after, "another list after it was written and restored: \(before), then \(after)")
        })
}

/// Several byte strings in one input.
enum Pieces {
    static func join(_ pieces: [[UInt8]]) -> [UInt8] {
        pieces.reduce(into: []) { joined, piece in
            joined.append(UInt8(piece.count >> 8 & 0xFF))
            joined.append(UInt8(piece.count & 0xFF))
            joined += piece
        }
    }

    /// The last piece may be shorter than it says.
    static func split(_ input: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var rest = input
        var pieces: [ArraySlice<UInt8>] = []
        while rest.count >= 2, let high = rest.popFirst(), let low = rest.popFirst() {
            let piece = rest.prefix(Int(high) << 8 | Int(low))
            pieces.append(piece)
            rest = rest[piece.endIndex...]
        }
        return pieces
    }
}

private enum JournalPromises {
    static let now = Moment(monotonic: MonotonicInstant(nanoseconds: 3_600_000_000_000), wall: 1_700_000_000_000)

    struct Copy: Equatable {
        let position: Position
        let contacts: [PackedContact: UInt32]

        init(_ replica: DomainReplica) {
            position = replica.position
            var contacts: [PackedContact: UInt32] = [:]
            replica.forEach(at: now, includingUnrestated: true) { contact, ttl in
                // What has run out is not written any more.
                if ttl > 0 { contacts[contact] = ttl }
            }
            self.contacts = contacts
        }
    }

    static func segment(_ bodies: [[UInt8]]) -> [UInt8] {
        var file = JournalSegment.magic + [1, 0, 0, 0, 0, 0, 0, 0]
        for body in bodies { JournalSegment.frame(body, into: &file) }
        return file
    }

    static func read(_ file: [UInt8]) throws -> [DomainName: DomainReplica] {
        _ = try ScratchFile.write(file, JournalSegment.name(1))
        var reader = JournalReader(now: now)
        let whole = try reader.read(1, in: ScratchFile.directory)
        try promise((whole ?? 0) <= file.count, "more bytes were whole than there are")
        reader.finish()
        return reader.replicas
    }

    static func checkpoint(_ replica: DomainReplica, of domain: DomainName) -> [JournalItem] {
        var items: [JournalItem] = []
        replica.forEachCheckpointRecord(at: now) { record in
            items.append(JournalItem(domain: domain, wall: now.wall, content: .record(record)))
        }
        return items
    }

    static let seeds: @Sendable () throws -> [[UInt8]] = {
        func item(_ record: JournalRecord) -> [UInt8] {
            JournalItem(domain: WireSeeds.domain, wall: now.wall - 1_000, content: .record(record)).encoded()
        }
        let position = Position(epoch: 7, seq: 300)
        let bodies = [
            item(.entries(epoch: 7, WireSeeds.entries)), item(.swept), item(.checkpoint(position)),
            item(.contacts(WireSeeds.live)), item(.sealed), item(.reset(position)), item(.sealed),
            JournalItem(domain: WireSeeds.domain, wall: 0, content: .forgotten).encoded(),
        ]
        var inputs: [[UInt8]] = [[0] + segment(bodies), [1] + Pieces.join(bodies)]
        for body in bodies { inputs.append([1] + Pieces.join([body])) }
        return inputs
    }
}
