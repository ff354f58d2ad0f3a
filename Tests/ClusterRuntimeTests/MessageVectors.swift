import ClusterRuntime
import RegistrarEvents
import Testing

/// Messages and their bytes, as `docs/wire.md` promises them.
enum MessageVectors {
    struct Vector: Sendable, CustomTestStringConvertible {
        let name: String
        let hexadecimal: String
        let message: @Sendable () throws -> Message

        var testDescription: String { name }
    }

    private static func demo() throws -> DomainName { try #require(DomainName("demo.example")) }
    private static let node = NodeID(name: NodeName("sr1"), incarnation: 1_700_000_000_000)

    static let all: [Vector] = [
        Vector(name: "heartbeat", hexadecimal: "970101ce075bcd152acd1267cdea6000") {
            .heartbeat(
                Heartbeat(
                    role: .sr, sentAt: 123_456_789, revision: 42, pid: 4_711, uptimeMilliseconds: 60_000, term: 0))
        },
        Vector(name: "lead", hexadecimal: "930203ce075bcd15") { .lead(Lead(term: 3, echo: 123_456_789)) },
        Vector(
            name: "assignments",
            hexadecimal: "950303292a9197ac64656d6f2e6578616d706c65072a92a3737231cf0000018bcfe56800919292a37372"
                + "3205c300cf0000018bcfe5687b"
        ) {
            .assignments(
                AssignmentUpdate(
                    term: 3, from: 41, to: 42,
                    assignments: [
                        Assignment(
                            domain: try demo(), epoch: 7, revision: 42, owner: node,
                            standbys: [.init(node: NodeID(name: NodeName("sr2"), incarnation: 5), inSync: true)],
                            cause: .failover, since: 1_700_000_000_123)
                    ]))
        },
        Vector(
            name: "register",
            hexadecimal: "950663ac64656d6f2e6578616d706c650795000508c42b9301a27031a263319ca27031b07369703a7031"
                + "403139322e302e322e31a0a0a090a463616c6c00a00000a0cdea60"
        ) {
            .request(
                Request(
                    id: 99, domain: try demo(), epoch: 7,
                    operation: .register(try ReplicationFixture.contact(1, 1), ttl: 60_000)))
        },
        Vector(name: "refused", hexadecimal: "930763930303cd7530") {
            .reply(Reply(id: 99, result: .refused(.intervalTooBrief(minimum: 30_000))))
        },
        Vector(name: "registered", hexadecimal: "930763940007cd012ccdea60") {
            .reply(Reply(id: 99, result: .registered(Position(epoch: 7, seq: 300), ttl: 60_000)))
        },
        Vector(name: "follow", hexadecimal: "9a08ac64656d6f2e6578616d706c65010706ce00011170c3ce0070000102c3") {
            .follow(
                Follow(
                    domain: try demo(), role: .follower, epoch: 7, applied: Position(epoch: 6, seq: 70_000),
                    complete: true, snapshot: 7 << 20 | 1, nextChunk: 2, rewind: true))
        },
        Vector(
            name: "append",
            hexadecimal: "9709ac64656d6f2e6578616d706c650700939401cf0000018bcfe5687b02009802cf0000018bcfe5687c"
                + "000508c41c9300a27533a2633195a27330a46465736b91a5617564696fa0cd01bbcde678c39703cf0000"
                + "018bcfe5687d010508c41c9300a27533a2633195a27330a46465736b91a5617564696fa0cd01bb030202"
        ) {
            .append(
                Append(
                    domain: try demo(), epoch: 7, base: 0,
                    entries: [
                        LogEntry(seq: 1, timestamp: 1_700_000_000_123, change: .clear(.failover)),
                        LogEntry(
                            seq: 2, timestamp: 1_700_000_000_124,
                            change: .registered(try ReplicationFixture.contact(3, 1), ttl: 59_000, replay: true)),
                        LogEntry(
                            seq: 3, timestamp: 1_700_000_000_125,
                            change: .unregistered(try ReplicationFixture.contact(3, 1), .deleteAOR)),
                    ], committed: 2, replayEnd: 2))
        },
        Vector(
            name: "chunk",
            hexadecimal: "980aac64656d6f2e6578616d706c6507ce0070000102cd012c91940508c41c9300a27533a2633195a273"
                + "30a46465736b91a5617564696fa0cd01bbcde67893cd012dcd0381cffedcba9876543210"
        ) {
            .chunk(
                SnapshotChunk(
                    domain: try demo(), epoch: 7, snapshot: 7 << 20 | 1, index: 2, after: 300,
                    contacts: [LiveContact(contact: try ReplicationFixture.contact(3, 1), ttl: 59_000)],
                    seal: .init(seq: 301, count: 897, digest: 0xFEDC_BA98_7654_3210)))
        },
    ]
}
