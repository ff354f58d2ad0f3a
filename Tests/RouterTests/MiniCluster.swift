import ClusterRuntime
import RegistrarEvents

@testable import Router

/// Routers, a coordinator and nodes in one value under one clock: the machines are the real ones, the wire delivers
/// in order per link, and registrations are reduced to a count. Everything random comes from one seed.
struct MiniCluster {
    struct RouterProcess {
        var machine: RouterMachine
        var isPaused = false
    }

    /// A domain's copy on a node: its position, and how many acknowledged writes it holds.
    struct Copy {
        var position: Position
        var writes: Int
        var isComplete: Bool
    }

    struct NodeProcess {
        var agent: NodeAgent
        var isPaused = false
        /// Standbys that this owner asked to bring in, under the revision of the assignment it asked by.
        var asked: [DomainName: (revision: UInt64, nodes: [NodeID])] = [:]
        var nextReport: Int64 = 0
    }

    enum Delivery {
        case message(Message, from: NodeID)
        case refused(NodeName)
        case answer(RouterMachine.Event, to: NodeID)

        var isAnswer: Bool { if case .answer = self { true } else { false } }
    }

    struct Parcel {
        let due: Int64
        let target: NodeName
        let delivery: Delivery
    }

    let layout: ClusterLayout
    let periods: Periods
    var random: SplitMix64
    /// Upper bound of how long a parcel takes, in milliseconds; 0 delivers everything within the step.
    var latency: Int64 = 0
    var time: Int64 = 0
    var coordinator = CoordinatorState()
    var coordinatorAnswers = true
    var routers: [NodeName: RouterProcess] = [:]
    var nodes: [NodeName: NodeProcess] = [:]
    /// On disk: outlives the process.
    var disks: [NodeName: [DomainName: Copy]] = [:]
    var incarnations: [NodeName: UInt64] = [:]
    /// Nothing reaches these, and nothing comes from them.
    var cut: [NodeName] = []
    /// These say things, but nobody hears them.
    var mute: [NodeName] = []
    var wire: [Parcel] = []
    /// When the latest parcel of a link is due, so that none overtakes it.
    var lastDue: [String: Int64] = [:]
    var acknowledged: [DomainName: Int] = [:]
    var notices: [RouterNotice] = []
    var violations: [String] = []
    var stores = 0
    /// What became of operators' orders.
    var answers: [UInt64: OrderOutcome] = [:]
    var orders: UInt64 = 0

    init(_ layout: ClusterLayout = threeServers, seed: UInt64 = 1, periods: Periods = Periods()) {
        self.layout = layout
        self.periods = periods
        random = SplitMix64(seed: seed)
        for node in layout.nodes { start(node.name) }
    }

    var now: Moment { at(time) }

    /// Gives an order to the router that leads.
    /// - Returns: its outcome, if that is known at once.
    @discardableResult
    mutating func order(_ order: MovementOrder) -> OrderOutcome? {
        guard
            let leader = routers.keys.sorted().first(where: { name in
                !isPaused(name) && (routers[name]?.machine.leadingTerm(at: now) ?? 0) > 0
            })
        else { return .notLeading }
        orders += 1
        feed(.ordered(order, id: orders), to: leader)
        deliver()
        return answers[orders]
    }

    mutating func start(_ name: NodeName) {
        guard routers[name] == nil, nodes[name] == nil,
            let node = layout.nodes.first(where: { $0.name == name })
        else { return }
        incarnations[name, default: 0] += 1
        let life = NodeID(name: name, incarnation: incarnations[name] ?? 0)
        switch node.role {
        case .router:
            routers[name] = RouterProcess(
                machine: RouterMachine(node: life, layout: layout, periods: periods, at: now))
        case .sr, .wssubscr, .sg, .arbiter:
            nodes[name] = NodeProcess(
                agent: NodeAgent(
                    node: life, role: node.role, routers: layout.routers, pid: 1, started: now.monotonic,
                    periods: periods))
        }
    }

    /// Ends a process. Its peers may or may not notice that the connection is refused.
    mutating func kill(_ name: NodeName, isNoticed: Bool = true) {
        routers[name] = nil
        nodes[name] = nil
        wire.removeAll { $0.target == name }
        guard isNoticed else { return }
        for router in layout.routers { send(.refused(name), from: name, to: router) }
    }

    mutating func pause(_ name: NodeName, _ isPaused: Bool = true) {
        routers[name]?.isPaused = isPaused
        nodes[name]?.isPaused = isPaused
    }

    func isPaused(_ name: NodeName) -> Bool { routers[name]?.isPaused ?? nodes[name]?.isPaused ?? true }

    /// Lets so many milliseconds pass, in steps of 10.
    mutating func run(_ milliseconds: Int64) {
        let end = time + milliseconds
        while time < end {
            time += 10
            if time % 100 == 0 { tick() }
            deliver()
            checkLeaders()
        }
    }

    private mutating func tick() {
        for name in routers.keys.sorted() where !isPaused(name) { feed(.tick, to: name) }
        let now = now
        for name in nodes.keys.sorted() where !isPaused(name) {
            carryOut(nodes[name]?.agent.handle(.tick, at: now) ?? [], of: name)
            serve(name)
        }
    }

    private mutating func deliver() {
        while let index = wire.firstIndex(where: { $0.due <= time && !isHeldUp($0.target) }) {
            let parcel = wire.remove(at: index)
            switch parcel.delivery {
            case .message(let message, let sender): deliver(message, from: sender, to: parcel.target)
            case .refused(let name): feed(.refused(name), to: parcel.target)
            case .answer(let event, let life):
                if routers[parcel.target]?.machine.node == life { feed(event, to: parcel.target) }
            }
        }
    }

    private func isHeldUp(_ name: NodeName) -> Bool {
        (routers[name] != nil || nodes[name] != nil) && isPaused(name)
    }

    private mutating func deliver(_ message: Message, from sender: NodeID, to target: NodeName) {
        if case .handOver(let order) = message { return handOver(order, on: target) }
        if routers[target] != nil { return feed(.received(message, from: sender), to: target) }
        let event: NodeAgent.Event? =
            switch message {
            case .lead(let lead): .lead(lead, from: sender)
            case .assignments(let update): .assignments(update, from: sender)
            default: nil
            }
        guard let event else { return }
        let now = now
        carryOut(nodes[target]?.agent.handle(event, at: now) ?? [], of: target)
    }

    mutating func feed(_ event: RouterMachine.Event, to name: NodeName) {
        guard let router = routers[name]?.machine.node else { return }
        let now = now
        let lease = periods.leadership
        for directive in routers[name]?.machine.handle(event, at: now) ?? [] {
            switch directive {
            case .send(let message, let peer): send(.message(message, from: router), from: name, to: peer)
            case .log(let notice): notices.append(notice)
            case .resign(let term): if coordinatorAnswers { coordinator.resign(term: term) }
            case .campaign(let floor):
                answer(router) { state, now in
                    .campaigned(state.map { $0.campaign(as: router, lease: lease, above: floor, at: now) })
                }
            case .load(let term): answer(router) { state, _ in .loaded(state.map { $0.load() }, term: term) }
            case .answer(let id, let outcome): answers[id] = outcome
            case .activate(let topology, let term):
                answer(router) { state, _ in
                    .activated(state.map { $0.activate(topology, term: term) }, term: term)
                }
            case .store(let changes, let wishes, let floor, let term):
                let before = coordinator
                answer(router) { state, _ in
                    .stored(state.map { $0.store(changes, wishes: wishes, above: floor, term: term) }, term: term)
                }
                if coordinator.revision != before.revision { checkStore(from: before) }
            }
        }
    }

    /// Has the coordinator do something, and sends the answer, which may be that it is not known what was done.
    private mutating func answer(
        _ router: NodeID,
        _ call: (Access, MonotonicInstant) -> RouterMachine.Event
    ) {
        let isReachable = coordinatorAnswers && !cut.contains(router.name)
        let access = Access(state: coordinator, isReachable: isReachable)
        var event = call(access, now.monotonic)
        if isReachable { coordinator = access.state }
        if latency > 0, random.chance(2) { event = call(Access(state: coordinator, isReachable: false), now.monotonic) }
        send(.answer(event, to: router), from: NodeName("coordinator"), to: router.name)
    }

    /// The coordinator for the time of a call; out of reach it fails.
    final class Access {
        var state: CoordinatorState
        let isReachable: Bool

        init(state: CoordinatorState, isReachable: Bool) {
            self.state = state
            self.isReachable = isReachable
        }

        func map<Answer>(_ body: (inout CoordinatorState) -> Answer) -> Result<Answer, CoordinatorError> {
            isReachable ? .success(body(&state)) : .failure(.unavailable("switched off"))
        }
    }

    mutating func send(_ delivery: Delivery, from sender: NodeName, to target: NodeName) {
        let isLost = cut.contains(sender) || cut.contains(target) || mute.contains(sender)
        // The shell answers for a coordinator that does not.
        if isLost, !delivery.isAnswer { return }
        let link = "\(sender)>\(target)"
        let delay = latency > 0 ? Int64.random(in: 0...latency, using: &random) : 0
        let due = max(lastDue[link] ?? 0, time + delay)
        lastDue[link] = due
        wire.append(Parcel(due: due, target: target, delivery: delivery))
    }
}
