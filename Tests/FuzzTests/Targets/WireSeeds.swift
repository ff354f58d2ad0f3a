import ClusterRuntime
import Foundation
import MessagePack
import RegistrarEvents

/// Messages of every kind and frames around them.
enum WireSeeds {
    static let domain: DomainName = {
        guard let name = DomainName("demo.example") else { fatalError("no domain name") }
        return name
    }()

    static func contact(_ number: Int, user: Bool = false) -> PackedContact {
        let registration =
            user
            ? Registration(
                account: "u\(number)", contact: "c\(number)",
                user: UserDetails(sessionID: "s", app: "desk", caps: ["audio"], peerAddress: "192.0.2.7", peerPort: 443)
            )
            : Registration(
                account: "p\(number)", contact: "c\(number)",
                sipuser: SIPUserDetails(
                    login: "p\(number)", contactURI: "sip:p\(number)@192.0.2.1", instanceID: "<urn:uuid:1>", regID: 1,
                    parameters: ";q=0.7", userAgent: "phone \"1\"", transport: "udp", path: ["<sip:p.example;lr>"],
                    callID: "call", cseq: 7, peerAddress: "2001:db8::1", peerPort: 5_060))
        guard let contact = PackedContact(registration) else { fatalError("a contact over its limit") }
        return contact
    }

    static let entries: [LogEntry] = [
        LogEntry(seq: 1, timestamp: 1_700_000_000_000, change: .clear(.failover)),
        LogEntry(seq: 2, timestamp: 1_700_000_000_001, change: .registered(contact(1), ttl: 60_000, replay: true)),
        LogEntry(
            seq: 3, timestamp: 1_700_000_000_002, change: .registered(contact(2, user: true), ttl: 1, replay: false)),
        LogEntry(seq: 4, timestamp: 1_700_000_000_003, change: .unregistered(contact(1), .expiredContact)),
    ]

    static let live = [
        LiveContact(contact: contact(3), ttl: 9_000), LiveContact(contact: contact(4, user: true), ttl: 1),
    ]

    static let messages: [Message] = {
        let node = NodeID(name: NodeName("sr1"), incarnation: 1_700_000_000_000)
        let position = Position(epoch: 7, seq: 300)
        func request(_ operation: Request.Operation) -> Message {
            .request(Request(id: 99, domain: domain, epoch: 7, operation: operation))
        }
        func reply(_ result: Reply.Result) -> Message { .reply(Reply(id: 99, result: result)) }
        return [
            .heartbeat(Heartbeat(role: .sr, sentAt: 1, revision: 42, pid: 4_711, uptimeMilliseconds: 60_000, term: 3)),
            .lead(Lead(term: 3, echo: 123_456_789)),
            .assignments(
                AssignmentUpdate(
                    term: 3, from: 41, to: 42,
                    assignments: [
                        Assignment(
                            domain: domain, epoch: 7, revision: 42, owner: node,
                            standbys: [.init(node: node, inSync: true)], cause: .failover, since: 1_700_000_000_123)
                    ])),
            .copies(
                CopyReports(reports: [
                    CopyReport(domain: domain, position: position, complete: true, users: 1, sipusers: 2, digest: .max)
                ])),
            .replicaChange(ReplicaChange(domain: domain, epoch: 7, revision: 42, kind: .add, node: node)),
            .handOver(HandOver(domain: domain, epoch: 7, revision: 42, node: node)),
            .topology(
                TopologyPart(term: 3, version: 2, since: 1, index: 0, count: 2, bytes: Array("cluster: a\n".utf8))),
            .retire(Retire(domain: domain, epoch: 7, revision: 42, topology: 3)),
            request(.register(contact(1), ttl: 60_000)),
            request(.unregister(key: Array(contact(1).keyBytes), reason: .unregisterContact)),
            request(.deleteAccount(AccountID(.sipuser, "p1"))), request(.clear),
            request(.list(cursor: 5, account: AccountID(.user, "u1"))),
            request(
                .bind(
                    Binding(
                        account: "p1", callID: "call", cseq: 8,
                        changes: [.put(contact(1), ttl: 60_000), .remove(key: Array(contact(1).keyBytes))]))),
            reply(.registered(position, ttl: 60_000)), reply(.unregistered(position, count: 2)),
            reply(.page(live, next: 12, position: position)), reply(.bound(position, live)),
            reply(.refused(.intervalTooBrief(minimum: 30_000))), reply(.refused(.outOfOrder)),
            .follow(
                Follow(
                    domain: domain, role: .follower, epoch: 7, applied: position, complete: true, snapshot: 1,
                    nextChunk: 2, rewind: true)),
            .append(Append(domain: domain, epoch: 7, base: 0, entries: entries, committed: 4, replayEnd: 2)),
            .chunk(
                SnapshotChunk(
                    domain: domain, epoch: 7, snapshot: 1, index: 0, after: 3, contacts: live,
                    seal: .init(seq: 3, count: 2, digest: 5))),
        ]
    }()

    static func packed(_ messages: [Message]) -> [UInt8] {
        var writer = MessagePackWriter()
        writer.array(messages.count)
        for message in messages { message.encode(into: &writer) }
        return writer.finish()
    }

    static let bodies: @Sendable () throws -> [[UInt8]] = { messages.map { packed([$0]) } + [packed(messages)] }

    static let frames: @Sendable () throws -> [[UInt8]] = {
        struct Vector: Decodable { let frame: String }
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(Fixtures.root)/Tests/vectors/frames.json"))
        let vectors = try JSONDecoder().decode([Vector].self, from: data).map { bytes(ofHexadecimal: $0.frame) }
        var inputs: [[UInt8]] = []
        for mode: UInt8 in 0...1 { inputs += vectors.map { [mode] + $0 } }
        for mode: UInt8 in 2...7 { inputs.append([mode, 40, 1] + packed([messages[0]])) }
        return inputs
    }

    private static func bytes(ofHexadecimal text: String) -> [UInt8] {
        let digits = Array(text)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }
}
