import ClusterClients
import ClusterRuntime
import Foundation
import RegistrarEvents
import Synchronization

/// The drill's clients: they register contacts, then renew, leave and come back at the drill's rates through several
/// nodes, and record every request with its answer.
///
/// The rates are open: a slow cluster does not slow the clients down, until `maximumUnderWay` requests wait.
final class LoadGenerator: DrillLoad {
    private struct State {
        var plan: LoadPlan
        var underWay = 0
        var stopped = false
        var nextNode = 0
        var avoided: [NodeName: MonotonicInstant] = [:]
        /// Requests under way by node.
        var waiting: [NodeName: Int] = [:]
        var skipped = 0
        /// Registrations asked for; the number of each is its CSeq.
        var registrations: UInt32 = 0
    }

    private let client: ClusterClient
    private let nodes: [NodeSpec]
    private let load: DrillFile.Load
    private let names: ContactNames
    private let recorder: HistoryRecorder
    private let ttl: Duration
    private let requestTimeout: Duration
    private let state: Mutex<State>

    static let maximumUnderWay = 512
    /// Clients that register at the same time before the load begins.
    static let registrars = 64
    static let maximumGone = 1_000
    static let tick: Duration = .milliseconds(5)
    /// How long a node that refused a connection is left alone.
    static let avoidance: Duration = .milliseconds(500)

    init(
        client: ClusterClient, load: DrillFile.Load, names: ContactNames, recorder: HistoryRecorder, ttl: Duration
    ) {
        self.client = client
        let frontier = client.topology.nodes(of: .wssubscr)
        nodes = frontier.isEmpty ? client.topology.nodes : frontier
        self.load = load
        self.names = names
        self.recorder = recorder
        self.ttl = ttl
        // The cluster gives up first, so that its answer and not our impatience says so.
        requestTimeout = client.topology.periods.requestDeadline + .seconds(2)
        state = Mutex(State(plan: LoadPlan(contacts: load.registrations, churnPerSecond: load.churnPerSecond)))
    }

    /// Registers every contact once, and some more that leave again for good: they must never be seen any more.
    /// - Throws: `DrillFailure` when one cannot be registered in time.
    func registerAll(within limit: Duration) async throws {
        let deadline = SystemClock.monotonic() + limit
        try await withThrowingTaskGroup(of: Void.self) { group in
            let contacts = Self.contacts(of: load)
            let lanes = min(Self.registrars, contacts)
            for lane in 0..<lanes {
                group.addTask {
                    for contact in stride(from: lane, to: contacts, by: lanes) {
                        try await self.acknowledged(contact, .register(ttl: self.ttl), deadline: deadline)
                        guard contact >= self.load.registrations else { continue }
                        try await self.acknowledged(contact, .unregister, deadline: deadline)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// All contacts of a drill: those that are registered when the load begins, then those that are gone by then.
    static func contacts(of load: DrillFile.Load) -> Int {
        load.sip != nil ? load.registrations : load.registrations + min(max(load.registrations / 16, 1), maximumGone)
    }

    /// Runs the load until `stop`, and returns once every request is answered or given up.
    func run() async {
        await withDiscardingTaskGroup { group in
            let start = SystemClock.monotonic()
            var renewed = 0
            var churned = 0
            while !state.withLock(\.stopped), !Task.isCancelled {
                let elapsed = Double((SystemClock.monotonic() - start).nanoseconds) / 1e9
                let steps = due(elapsed, &renewed, &churned)
                for step in steps { group.addTask { await self.carryOut(step) } }
                try? await Task.sleep(for: Self.tick)  // Cancelled: the loop's condition sees it.
            }
        }
    }

    func stop() { state.withLock { $0.stopped = true } }

    func close() async {}

    var sip: SIPCounts? { nil }

    /// Requests that the rates asked for and that were not made, since too many were waiting.
    var skipped: Int { state.withLock(\.skipped) }

    /// Removes the contacts again, as far as that is possible: for a cluster that lives on.
    func cleanUp() async {
        await withDiscardingTaskGroup { group in
            for lane in 0..<Self.registrars {
                group.addTask {
                    for contact in stride(from: lane, to: self.load.registrations, by: Self.registrars) {
                        let node = self.pickNode()
                        _ = await self.client.unregister(
                            self.names.name(contact), in: self.load.domain, through: node,
                            timeout: self.requestTimeout)
                        self.state.withLock { $0.waiting[node.name, default: 1] -= 1 }
                    }
                }
            }
        }
    }

    private func due(_ elapsed: Double, _ renewed: inout Int, _ churned: inout Int) -> [LoadPlan.Step] {
        state.withLock { state in
            var steps: [LoadPlan.Step] = []
            while Double(renewed) < elapsed * Double(load.renewalsPerSecond) {
                renewed += 1
                if state.underWay + steps.count < Self.maximumUnderWay, let step = state.plan.renewal() {
                    steps.append(step)
                } else {
                    state.skipped += 1
                }
            }
            while Double(churned) < elapsed * Double(load.churnPerSecond) {
                churned += 1
                if state.underWay + steps.count < Self.maximumUnderWay {
                    steps += state.plan.churn()
                } else {
                    state.skipped += 1
                }
            }
            state.underWay += steps.count
            return steps
        }
    }

    private func carryOut(_ step: LoadPlan.Step) async {
        switch step {
        case .renew(let contact), .comeBack(let contact): _ = await perform(contact, .register(ttl: ttl))
        case .leave(let contact): _ = await perform(contact, .unregister)
        }
        state.withLock { state in
            state.underWay -= 1
            state.plan.finished(step)
        }
    }

    private func acknowledged(
        _ contact: ContactNumber, _ kind: Operation.Kind, deadline: MonotonicInstant
    ) async throws {
        while true {
            let outcome = await perform(contact, kind)
            if case .acknowledged = outcome { return }
            guard SystemClock.monotonic() < deadline else {
                throw DrillFailure.unreachable("contact \(contact), \(kind): not acknowledged in time: \(outcome)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func perform(_ contact: ContactNumber, _ kind: Operation.Kind) async -> Operation.Outcome {
        let cseq = number(kind)
        let sent = SystemClock.monotonic()
        var (answer, node) = await ask(contact, kind, cseq)
        // What could not even be sent is sent elsewhere, as any client would.
        for _ in nodes.dropFirst() {
            guard case .unreachable = answer else { break }
            (answer, node) = await ask(contact, kind, cseq)
        }
        var kind = kind
        let outcome: Operation.Outcome
        switch answer {
        case .acknowledged(let position, let granted, let changed):
            if let granted, case .register = kind { kind = .register(ttl: granted) }
            outcome = .acknowledged(position, changed: changed)
        case .refused(let reason), .unreachable(let reason): outcome = .refused(reason)
        case .unknown(let reason): outcome = .unknown(reason)
        }
        recorder.record(
            Operation(
                contact: contact, kind: kind, sent: sent, ended: SystemClock.monotonic(), outcome: outcome, node: node,
                cseq: cseq))
        return outcome
    }

    /// By which events and lists tell what this request came to; nil when it registers nothing.
    private func number(_ kind: Operation.Kind) -> UInt32? {
        guard case .register = kind else { return nil }
        return state.withLock { state in
            state.registrations += 1
            return state.registrations
        }
    }

    private func ask(
        _ contact: ContactNumber, _ kind: Operation.Kind, _ cseq: UInt32?
    ) async -> (WriteAnswer, NodeName) {
        let node = pickNode()
        let name = names.name(contact)
        let answer: WriteAnswer
        switch kind {
        case .register(let ttl):
            answer = await client.register(
                name, in: load.domain, ttl: ttl, cseq: cseq ?? 0, through: node, timeout: requestTimeout)
        case .unregister:
            answer = await client.unregister(name, in: load.domain, through: node, timeout: requestTimeout)
        }
        state.withLock { $0.waiting[node.name, default: 1] -= 1 }
        switch answer {
        case .refused, .unreachable: avoid(node)
        case .acknowledged, .unknown: break
        }
        return (answer, node.name)
    }

    /// The next node in turn, unless it has just refused a connection, or half of all requests wait for it: clients of
    /// a node that is cut off must not hold up those of the others.
    private func pickNode() -> NodeSpec {
        state.withLock { state in
            let now = SystemClock.monotonic()
            let inTurn = nodes.indices.map { (state.nextNode + 1 + $0) % nodes.count }
            let free = inTurn.first { index in
                (state.avoided[nodes[index].name] ?? .distantPast) <= now
                    && state.waiting[nodes[index].name, default: 0] < Self.maximumUnderWay / 2
            }
            state.nextNode = free ?? inTurn[0]
            state.waiting[nodes[state.nextNode].name, default: 0] += 1
            return nodes[state.nextNode]
        }
    }

    private func avoid(_ node: NodeSpec) {
        state.withLock { $0.avoided[node.name] = SystemClock.monotonic() + Self.avoidance }
    }
}
