import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import EmbeddedCoordinator
@testable import Router

/// A wire within the process: what a router sends is kept, and handed to the other routers of the test.
private final class LocalWire: Transport {
    struct Sent: Sendable {
        let message: Message
        let peer: NodeName
        let at: MonotonicInstant
    }

    private struct State {
        var sent: [Sent] = []
        var routers: [NodeName: RouterNode] = [:]
        var isCut = false
    }

    private let node: NodeID
    private let state = Mutex(State())

    init(node: NodeID) { self.node = node }

    func connect(_ routers: [RouterNode]) {
        state.withLock { for router in routers { $0.routers[router.node.name] = router } }
    }

    func send(_ messages: [Message], to peer: NodeName) {
        let router = state.withLock { state in
            let now = SystemClock.monotonic()
            state.sent += messages.map { Sent(message: $0, peer: peer, at: now) }
            return state.routers[peer]
        }
        router?.receive(.received(messages, from: node))
    }

    func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {}

    var sent: [Sent] { state.withLock(\.sent) }
}

/// The shell with real time and, where it matters, the real coordinator.
@Suite(.serialized) struct RouterNodeTests {
    private let directory = TemporaryDirectory()
    private let nodes = ["sr1", "sr2", "sr3"].map { life($0) }

    private func makeRouter(
        _ name: String, _ coordinator: any Coordinator
    ) -> (router: RouterNode, wire: LocalWire) {
        let node = life(name)
        let wire = LocalWire(node: node)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let router = RouterNode(
            node: node, layout: threeServers, periods: Periods(), pid: 7, coordinator: coordinator, transport: wire,
            logger: logger)
        return (router, wire)
    }

    /// Waits for a condition. The deadline is for a machine that is busy with all the other tests.
    private func until(_ what: String, _ condition: () async -> Bool) async throws {
        let deadline = SystemClock.monotonic() + .seconds(60)
        while !(await condition()) {
            guard SystemClock.monotonic() < deadline else {
                Issue.record("not within a minute: \(what)")
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func beat(_ router: RouterNode, from nodes: [NodeID], revision: UInt64 = 0) {
        for node in nodes {
            router.receive(.received([.heartbeat(heartbeat(revision: revision, sentAt: 1))], from: node))
            router.receive(.received([.copies(CopyReports(reports: []))], from: node))
        }
    }

    @Test func domainsArePlacedAndPushedAndAKilledOwnerIsReplacedInMilliseconds() async throws {
        let (router, wire) = makeRouter("router1", try EmbeddedCoordinator(path: directory.database))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await router.run() }
            try await until("placed") {
                beat(router, from: nodes)
                return await router.assignments().count == 1
            }
            let placed = try #require(await router.assignments().first)
            let owner = try #require(placed.owner)
            let standby = try #require(placed.standbys.first).node
            let add = ReplicaChange(
                domain: placed.domain, epoch: placed.epoch, revision: placed.revision, kind: .add, node: standby)
            router.receive(.received([.replicaChange(add)], from: owner))
            try await until("in sync") { await router.assignments().first?.inSync == [standby] }

            beat(router, from: nodes, revision: placed.revision + 1)
            let began = SystemClock.monotonic()
            router.receive(.refused(owner.name))
            try await until("promoted") { await router.assignments().first?.owner == standby }
            let pushed = try #require(
                wire.sent.first { sent in
                    guard case .assignments(let update) = sent.message else { return false }
                    return sent.peer == standby.name && update.assignments.contains { $0.owner == standby }
                })
            print("from the refused connection to the new assignment on the wire: \(pushed.at - began)")
            let status = await router.status()
            #expect(status.domains.first?.owner == standby.name.rawValue)
            #expect(await router.ownerChanges(of: placed.domain).count == 2)
            group.cancelAll()
        }
    }

    @Test func aRouterThatStopsLetsTheOtherLeadAtOnce() async throws {
        let coordinator = try EmbeddedCoordinator(path: directory.database)
        let (first, firstWire) = makeRouter("router1", coordinator)
        let (second, secondWire) = makeRouter("router2", coordinator)
        firstWire.connect([second])
        secondWire.connect([first])
        let running = Task { await first.run() }
        let standingBy = Task { await second.run() }
        try await until("router1 leads") { await first.status().routers.first?.state == .active }
        try await until("router2 sees it") {
            let routers = await second.status().routers
            return routers.map(\.state) == [.active, .standby] && routers[0].term == 1
        }
        try await until("router2 is told") { await second.leader() == NodeName("router1") }
        let stopped = SystemClock.monotonic()
        running.cancel()
        await running.value
        try await until("router2 leads") { await second.status().routers.last?.state == .active }
        #expect(SystemClock.monotonic() - stopped < Periods().leadership)
        standingBy.cancel()
        await standingBy.value
    }

    @Test func theStandbyIsToldTheAssignments() async throws {
        let coordinator = InMemoryCoordinator()
        let (first, firstWire) = makeRouter("router1", coordinator)
        let (second, secondWire) = makeRouter("router2", coordinator)
        firstWire.connect([second])
        secondWire.connect([first])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await first.run() }
            group.addTask { await second.run() }
            try await until("router2 knows the owner") {
                for router in [first, second] { beat(router, from: nodes) }
                return await second.status().domains.first?.owner != nil
            }
            let assignments = await first.assignments()
            #expect(await second.assignments() == assignments)
            group.cancelAll()
        }
    }

    @Test func aCoordinatorThatFailsIsAskedAgain() async throws {
        let coordinator = InMemoryCoordinator()
        coordinator.setReachable(false)
        let (router, _) = makeRouter("router1", coordinator)
        let running = Task { await router.run() }
        try await Task.sleep(for: .milliseconds(300))
        #expect(await router.status().routers.first?.state == .standby)
        coordinator.setReachable(true)
        try await until("it leads") { await router.status().routers.first?.state == .active }
        running.cancel()
        await running.value
    }

    @Test func aFullMailboxDropsAndCounts() async {
        let (router, _) = makeRouter("router1", InMemoryCoordinator())
        for _ in 0..<RouterNode.mailboxLimit + 10 { router.receive(.refused(NodeName("sr1"))) }
        #expect(router.droppedEvents == 10)
    }
}
