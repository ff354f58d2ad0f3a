import ClusterRuntime
import Dispatch
import Foundation
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import SRActor

/// The shell of a domain's machine, with a disk that takes its time.
struct DomainActorTests {
    private let demo: DomainName
    private let node = MachineCluster.node("a")
    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws { demo = try #require(DomainName("demo.example")) }

    private func actor(_ journal: some Journal, _ transport: Replies, _ lease: LeaseHolder) -> DomainActor {
        let actor = DomainActor(
            machine: DomainMachine(domain: demo, node: node, policy: DomainPolicy(minimumTTL: 500)),
            transport: transport, journal: journal, routers: RouterNames([]), lease: lease, mailboxLimit: 100_000,
            log: log)
        actor.post([.assigned(owned)], isVital: true)
        return actor
    }

    private var owned: Assignment {
        Assignment(domain: demo, epoch: 1, revision: 1, owner: node, standbys: [], cause: .restart, since: 0)
    }

    private func register(_ id: UInt64, _ name: String, ttl: UInt32 = 600_000) throws -> DomainMachine.Event {
        let operation = Request.Operation.register(try MachineCluster.contact(name), ttl: ttl)
        return .request(Request(id: id, domain: demo, epoch: 1, operation: operation), from: NodeName("g"))
    }

    /// Something is always there by the time that a turn is over.
    @Test func howeverMuchArrivesContactsRunOut() async throws {
        let lease = LeaseHolder()
        lease.extend(to: SystemClock.monotonic() + .seconds(600))
        let actor = actor(SlowJournal(.milliseconds(5)), Replies(), lease)
        actor.post([try register(1, "brief", ttl: 700)])
        let flood = Task {
            var id: UInt64 = 2
            while !Task.isCancelled {
                actor.post([try register(id, "steady")])
                id += 1
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        defer { flood.cancel() }
        try await SmallDisk.wait("both are there") { actor.report.sipusers == 2 }
        try await SmallDisk.wait("one has run out") { actor.report.sipusers == 1 }
    }

    /// The lease was over when the disk was through.
    @Test func whatTheDiskTookTooLongForIsNotAcknowledged() async throws {
        let lease = LeaseHolder()
        let transport = Replies()
        let actor = actor(SlowJournal(.milliseconds(400)), transport, lease)
        try await SmallDisk.wait("it owns the domain") { actor.report.isOwner }
        lease.extend(to: SystemClock.monotonic() + .milliseconds(200))
        actor.post([try register(1, "alice")])
        try await SmallDisk.wait("the disk has it") { actor.report.sipusers == 1 }
        #expect(transport.count == 0)
        lease.extend(to: SystemClock.monotonic() + .seconds(600))
        actor.post([.tick])
        try await SmallDisk.wait("it is acknowledged") { transport.count == 1 }
    }

    /// Heartbeats go through the lock of the node's domains.
    @Test func aDomainThatIsForgottenHoldsUpNoOther() async throws {
        let journal = SlowJournal(.zero)
        let registrar = SRNode(
            node: node, transport: Replies(), journal: journal, replicas: [:], routers: [], limits: Limits(),
            policy: { _ in DomainPolicy(acceptsWithoutLease: true) }, log: log)
        var retired = owned
        (retired.revision, retired.owner, retired.cause) = (2, nil, .storageCleared)
        registrar.assigned([owned])
        try await SmallDisk.wait("it is there") { registrar.reports.count == 1 }
        journal.hangsToForget.store(true, ordering: .releasing)
        registrar.assigned([retired])
        try await SmallDisk.wait("it is let go of") { registrar.reports.isEmpty }
        var back = owned
        (back.epoch, back.revision) = (2, 3)
        let other = try #require(DomainName("other.example"))
        registrar.assigned([
            back,
            Assignment(domain: other, epoch: 1, revision: 4, owner: node, standbys: [], cause: .restart, since: 0),
        ])
        try await SmallDisk.wait("the other is served") { registrar.reports.map(\.domain) == [other] }
        journal.hangsToForget.store(false, ordering: .releasing)
        try await SmallDisk.wait("it is back") { registrar.reports.count == 2 }
    }
}

/// Each write takes so long, and to forget a domain as long as wanted.
private final class SlowJournal: Journal {
    let hangsToForget = Atomic<Bool>(false)
    private let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    func append(_ records: [JournalRecord], of domain: DomainName) {
        Thread.sleep(forTimeInterval: duration / .seconds(1))
    }

    func forget(_ domain: DomainName) {
        while hangsToForget.load(ordering: .acquiring) { Thread.sleep(forTimeInterval: 0.01) }
    }

    var isWritable: Bool { true }
    var generation: UInt64 { 0 }
    var firstGeneration: UInt64 { 0 }
    func checkpointed(_ domain: DomainName, in generation: UInt64) {}
}

/// Counts answers.
private final class Replies: Transport {
    private let found = Atomic<Int>(0)

    var count: Int { found.load(ordering: .acquiring) }

    func send(_ messages: [Message], to peer: NodeName) {
        found.add(messages.count { if case .reply = $0 { true } else { false } }, ordering: .releasing)
    }

    func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {}
}
