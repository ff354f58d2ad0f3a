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
        Vector(name: "heartbeat", hexadecimal: "9c0101ce075bcd152acd1267cdea60000203c3c209") {
            .heartbeat(
                Heartbeat(
                    role: .sr, sentAt: 123_456_789, revision: 42, pid: 4_711, uptimeMilliseconds: 60_000, term: 0,
                    topology: 3, needsRestart: true, isJournalWritable: false, knownTerm: 9))
        },
        Vector(name: "topology", hexadecimal: "97100303cf0000018bcfe568000002c4026869") {
            .topology(
                TopologyPart(term: 3, version: 3, since: 1_700_000_000_000, index: 0, count: 2, bytes: [0x68, 0x69]))
        },
        Vector(name: "retire", hexadecimal: "9511ac64656d6f2e6578616d706c65072a03") {
            .retire(Retire(domain: try demo(), epoch: 7, revision: 42, topology: 3))
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
            hexadecimal: "960663ac64656d6f2e6578616d706c650795000508c42b9301a27031a263319ca27031b07369703a7031"
                + "403139322e302e322e31a0a0a090a463616c6c00a00000a0cdea6000"
        ) {
            .request(
                Request(
                    id: 99, domain: try demo(), epoch: 7,
                    operation: .register(try ReplicationFixture.contact(1, 1), ttl: 60_000)))
        },
        Vector(
            name: "stamped request", hexadecimal: "960663ac64656d6f2e6578616d706c65079103cf00000002540be400"
        ) {
            .request(
                Request(id: 99, domain: try demo(), epoch: 7, operation: .clear, sentAt: 10_000_000_000))
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
        Vector(
            name: "copies",
            hexadecimal: "93049197ac64656d6f2e6578616d706c6507cd012cc30ccd0375cffedcba987654321091922ac3"
        ) {
            .copies(
                CopyReports(reports: [
                    CopyReport(
                        domain: try demo(), position: Position(epoch: 7, seq: 300), complete: true, users: 12,
                        sipusers: 885, digest: 0xFEDC_BA98_7654_3210, revision: 42, isOwner: true)
                ]))
        },
        Vector(
            name: "replica change",
            hexadecimal: "9605ac64656d6f2e6578616d706c65072a0392a3737231cf0000018bcfe56800"
        ) {
            .replicaChange(ReplicaChange(domain: try demo(), epoch: 7, revision: 42, kind: .handOver, node: node))
        },
        Vector(name: "hand over", hexadecimal: "950bac64656d6f2e6578616d706c65072a92a3737231cf0000018bcfe56800") {
            .handOver(HandOver(domain: try demo(), epoch: 7, revision: 42, node: node))
        },
        Vector(
            name: "unregister",
            hexadecimal: "9606cf0000010000000000ac64656d6f2e6578616d706c65079301c4089300a27533a263310000"
        ) {
            .request(
                Request(
                    id: 1 << 40, domain: try demo(), epoch: 7,
                    operation: .unregister(
                        key: ContactKey(.user, "u3", "c1").packed, reason: .expiredContact)))
        },
        Vector(name: "delete account", hexadecimal: "960602ac64656d6f2e6578616d706c6507930201a43130303100") {
            .request(
                Request(id: 2, domain: try demo(), epoch: 7, operation: .deleteAccount(AccountID(.sipuser, "1001"))))
        },
        Vector(name: "clear", hexadecimal: "960603ac64656d6f2e6578616d706c6507910300") {
            .request(Request(id: 3, domain: try demo(), epoch: 7, operation: .clear))
        },
        Vector(name: "list", hexadecimal: "960604ac64656d6f2e6578616d706c65079404cd020000a2753300") {
            .request(
                Request(
                    id: 4, domain: try demo(), epoch: 7,
                    operation: .list(cursor: 512, account: AccountID(.user, "u3"))))
        },
        Vector(
            name: "bind",
            hexadecimal: "960605ac64656d6f2e6578616d706c65079505a27031a663616c6c2d310792940508c42b9301a27031a26331"
                + "9ca27031b07369703a7031403139322e302e322e31a0a0a090a463616c6c00a00000a0cdea6091c4089301a2"
                + "7031a2633200"
        ) {
            .request(
                Request(
                    id: 5, domain: try demo(), epoch: 7,
                    operation: .bind(
                        Binding(
                            account: "p1", callID: "call-1", cseq: 7,
                            changes: [
                                .put(try ReplicationFixture.contact(1, 1), ttl: 60_000),
                                .remove(key: ContactKey(.sipuser, "p1", "c2").packed),
                            ]))))
        },
        Vector(name: "unregistered", hexadecimal: "930702940107cd012d02") {
            .reply(Reply(id: 2, result: .unregistered(Position(epoch: 7, seq: 301), count: 2)))
        },
        Vector(
            name: "bound",
            hexadecimal: "930705940491940508c42b9301a27031a263319ca27031b07369703a7031403139322e302e322e31a0a0a090"
                + "a463616c6c00a00000a0cdea6007cd012e"
        ) {
            .reply(
                Reply(
                    id: 5,
                    result: .bound(
                        Position(epoch: 7, seq: 302),
                        [LiveContact(contact: try ReplicationFixture.contact(1, 1), ttl: 60_000)])))
        },
        Vector(
            name: "page",
            hexadecimal: "930704950291940508c41c9300a27533a2633195a27330a46465736b91a5617564696fa0cd01bbcde678cd04"
                + "0007cd012c"
        ) {
            .reply(
                Reply(
                    id: 4,
                    result: .page(
                        [LiveContact(contact: try ReplicationFixture.contact(3, 1), ttl: 59_000)], next: 1_024,
                        position: Position(epoch: 7, seq: 300))))
        },
    ]
}
