import ClusterRuntime
import Logging
import RegistrarEvents
import SRActor
import Synchronization
import Testing

/// How what destinations tell reaches a domain's owner.
struct DestinationNoticeTests {
    private let demo: DomainName

    init() throws { demo = try #require(DomainName("demo.example")) }

    @Test func aNoticeComesInHoweverFullTheMailboxIs() async throws {
        let node = MachineCluster.node("a")
        let outlet = Outlet()
        let actor = DomainActor(
            machine: DomainMachine(domain: demo, node: node, policy: DomainPolicy(destinations: ["kafka"])),
            transport: Unused(), journal: NoJournal(), routers: RouterNames([]), lease: Self.lease(),
            outlet: outlet, mailboxLimit: 0, log: Logger(label: "test"))
        actor.post(
            [
                .assigned(
                    Assignment(
                        domain: demo, epoch: 1, revision: 1, owner: node, standbys: [], cause: .restart, since: 0))
            ], isVital: true)
        actor.post(.replay(to: "kafka"))
        for _ in 0..<3_000 where !outlet.isRestated { try await Task.sleep(for: .milliseconds(10)) }
        #expect(outlet.isRestated)
        #expect(actor.dropped == 0)
    }

    private static func lease() -> LeaseHolder {
        let lease = LeaseHolder()
        lease.extend(to: SystemClock.monotonic() + .seconds(600))
        return lease
    }

    @Test func ofEachDestinationOneNoticeOfEachKindWaits() {
        let late = DestinationNotice.delivered(Position(epoch: 1, seq: 9), to: "kafka")
        #expect(DestinationNotice.delivered(Position(epoch: 1, seq: 8), to: "kafka").isSuperseded(by: late))
        #expect(DestinationNotice.goOn(with: "kafka").isSuperseded(by: .goOn(with: "kafka")))
        for other in [DestinationNotice.replay(to: "kafka"), .goOn(with: "kafka"), .delivered(.start, to: "audit")] {
            #expect(!other.isSuperseded(by: late))
        }
        #expect(!DestinationNotice.replay(to: "kafka").isSuperseded(by: .replay(to: "audit")))
    }
}

private struct Unused: Transport {
    func send(_ messages: [Message], to peer: NodeName) {}
    func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {}
}

private final class Outlet: DestinationOutlet {
    private let restated = Atomic<Bool>(false)

    var isRestated: Bool { restated.load(ordering: .acquiring) }

    func publish(_ publication: Publication, of domain: DomainName) {
        if case .replay(_, to: "kafka") = publication { restated.store(true, ordering: .releasing) }
    }
}
