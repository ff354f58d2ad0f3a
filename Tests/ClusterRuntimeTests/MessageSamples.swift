import ClusterRuntime
import RegistrarEvents
import Testing

/// Messages of every kind, with values from all over their ranges.
struct MessageSamples {
    var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    private mutating func number() -> UInt64 {
        switch random.below(4) {
        case 0: UInt64(random.below(128))
        case 1: UInt64(random.below(70_000))
        case 2: random.next()
        default: [0, 127, 128, 255, 256, 65_535, 65_536, .max][random.below(8)]
        }
    }
    private mutating func small() -> UInt32 { UInt32(truncatingIfNeeded: number()) }
    private mutating func signed() -> Int64 { Int64(truncatingIfNeeded: number()) }
    private mutating func position() -> Position { Position(epoch: number(), seq: number()) }
    private mutating func node() -> NodeID {
        let names = ["a", "sr-éß", String(repeating: "n", count: 64)]
        return NodeID(name: NodeName(names[random.below(3)]), incarnation: number())
    }
    private mutating func account() -> AccountID {
        AccountID(random.happens(50) ? .user : .sipuser, "näme-\(number())")
    }
    private mutating func some<Value>(_ most: Int, _ make: (inout Self) throws -> Value) rethrows -> [Value] {
        try (0..<random.below(most + 1)).map { _ in try make(&self) }
    }
    private mutating func domain() throws -> DomainName { try #require(DomainName("d\(random.below(90)).example")) }
    private mutating func contact() throws -> PackedContact {
        try ReplicationFixture.contact(random.below(50), random.below(9), version: random.below(70_000))
    }
    private mutating func live() throws -> LiveContact { LiveContact(contact: try contact(), ttl: small()) }

    /// One message of each kind; ask again for other values.
    mutating func oneOfEach() throws -> [Message] {
        let role = NodeRole.allCases[random.below(NodeRole.allCases.count)]
        return [
            .heartbeat(
                Heartbeat(
                    role: role, sentAt: signed(), revision: number(), pid: number(), uptimeMilliseconds: number(),
                    term: number(), topology: number(), needsRestart: random.happens(50),
                    isJournalWritable: random.happens(50), knownTerm: number())),
            .lead(Lead(term: number(), echo: signed())),
            .assignments(
                AssignmentUpdate(
                    term: number(), from: number(), to: number(), assignments: try some(4) { try $0.assignment() })),
            .copies(CopyReports(reports: try some(4) { try $0.report() })),
            .replicaChange(
                ReplicaChange(
                    domain: try domain(), epoch: number(), revision: number(),
                    kind: [.add, .remove, .clear, .handOver, .retire][random.below(5)], node: node())),
            .topology(
                TopologyPart(
                    term: number(), version: number(), since: signed(), index: small(), count: small(),
                    bytes: some(40) { UInt8(truncatingIfNeeded: $0.number()) })),
            .retire(Retire(domain: try domain(), epoch: number(), revision: number(), topology: number())),
            .handOver(HandOver(domain: try domain(), epoch: number(), revision: number(), node: node())),
            .request(Request(id: number(), domain: try domain(), epoch: number(), operation: try operation())),
            .reply(Reply(id: number(), result: try result())),
            .follow(
                Follow(
                    domain: try domain(), role: random.happens(50) ? .standby : .follower, epoch: number(),
                    applied: position(), complete: random.happens(50), snapshot: number(), nextChunk: small(),
                    rewind: random.happens(50))),
            .append(
                Append(
                    domain: try domain(), epoch: number(), base: number(), entries: try some(5) { try $0.entry() },
                    committed: number(), replayEnd: number(),
                    cursors: some(3) { DestinationCursor(destination: "\($0.small())", position: $0.position()) },
                    ages: some(3) { $0.small() })),
            .chunk(
                SnapshotChunk(
                    domain: try domain(), epoch: number(), snapshot: number(), index: small(), after: number(),
                    contacts: try some(5) { try $0.live() },
                    seal: random.happens(50) ? .init(seq: number(), count: number(), digest: number()) : nil)),
        ]
    }

    private mutating func assignment() throws -> Assignment {
        Assignment(
            domain: try domain(), epoch: number(), revision: number(), owner: random.happens(70) ? node() : nil,
            standbys: some(3) { Assignment.Standby(node: $0.node(), inSync: $0.random.happens(50)) },
            cause: ClearReason.allCases[random.below(6)], since: signed())
    }

    private mutating func report() throws -> CopyReport {
        CopyReport(
            domain: try domain(), position: position(), complete: random.happens(50), users: number(),
            sipusers: number(), digest: number(), revision: number(), isOwner: random.happens(50))
    }

    private mutating func operation() throws -> Request.Operation {
        switch random.below(6) {
        case 5: .bind(try binding())
        case 0: .register(try contact(), ttl: small())
        case 1: .unregister(key: Array(try contact().keyBytes), reason: UnregisterReason.allCases[random.below(4)])
        case 2: .deleteAccount(account())
        case 3: .clear
        default: .list(cursor: small(), account: random.happens(50) ? account() : nil)
        }
    }

    private mutating func binding() throws -> Binding {
        // Accounts 1, 4, 7… are sipusers.
        let account = 1 + 3 * random.below(20)
        return Binding(
            account: "p\(account)", callID: "call-\(number())@host", cseq: small(),
            changes: try some(4) { samples in
                let contact = try ReplicationFixture.contact(account, samples.random.below(9))
                return samples.random.happens(60)
                    ? .put(contact, ttl: samples.small()) : .remove(key: Array(contact.keyBytes))
            })
    }

    private mutating func result() throws -> Reply.Result {
        switch random.below(5) {
        case 0: .registered(position(), ttl: small())
        case 1: .unregistered(position(), count: small())
        case 3: .bound(position(), try some(3) { try $0.live() })
        case 2: .page(try some(3) { try $0.live() }, next: small(), position: position())
        default:
            .refused(
                [
                    .notOwner, .unavailable, .overloaded, .intervalTooBrief(minimum: small()),
                    .tooManyDevices(limit: small()), .domainFull(limit: small()), .outOfOrder,
                ][random.below(7)])
        }
    }

    private mutating func entry() throws -> LogEntry {
        let change: LogEntry.Change =
            switch random.below(3) {
            case 0: .registered(try contact(), ttl: small(), replay: random.happens(50))
            case 1: .unregistered(try contact(), UnregisterReason.allCases[random.below(4)])
            default: .clear(ClearReason.allCases[random.below(6)])
            }
        return LogEntry(seq: number(), timestamp: signed(), change: change)
    }
}
