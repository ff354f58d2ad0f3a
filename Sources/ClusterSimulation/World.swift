import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// A whole cluster of production machines on one simulated clock, network, coordinator and set of disks.
///
/// Everything that happens is a step in one queue, and every choice comes from one seeded generator, so a seed is a
/// history: the same in every run and every process.
struct World {
    /// What is going to happen to a node.
    enum Step {
        case deliver(Message, from: NodeID, counter: UInt64)
        case tick
        case coordinator(CoordinatorAnswer, life: NodeID)
        case start(ClientOperation)
    }

    enum CoordinatorAnswer {
        case campaign
        case load(term: UInt64)
        case store([AssignmentChange], wishes: MovementWishes?, term: UInt64)
        case answered(RouterMachine.Event)
    }

    enum Occurrence {
        case step(NodeName, Step)
        case fault(Fault)
        case heal(Fault)
        case workload
        /// An operator orders something of whichever router leads.
        case order(MovementOrder)
    }

    let options: SimulationOptions
    var random: SplitMix64
    var now = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    var queue = EventQueue<Occurrence>()
    var nodes: [NodeName: SimulatedNode] = [:]
    var coordinator = CoordinatorState()
    var isCoordinatorAway = false
    var blocked: Set<Link> = []
    var lastArrival: [Link: MonotonicInstant] = [:]
    var isLossy = true
    var history = History()
    var operations = 0
    var busy: Set<History.ContactID> = []
    var isLoaded = true
    var activeFaults = 0
    /// Orders of operators given so far.
    var orders: UInt64 = 0
    /// Epochs that began with a move.
    var moves = 0
    var nextServerFault = MonotonicInstant.distantPast
    var steps = 0
    var trace: Trace

    struct Link: Hashable {
        let from: NodeName
        let to: NodeName
    }

    static let routers = ["r1", "r2"].map { NodeName($0) }
    static let registrars = ["s1", "s2", "s3"].map { NodeName($0) }
    static let followers = ["w1", "w2"].map { NodeName($0) }
    static let domains = ["a.example", "b.example"].compactMap { DomainName($0) }
    static let names = routers + registrars + followers

    let periods = Periods()
    let policy: DomainPolicy
    let layout: ClusterLayout

    init(options: SimulationOptions, seed: UInt64, isTraced: Bool) {
        self.options = options
        random = SplitMix64(seed: seed)
        trace = Trace(isOn: isTraced)
        policy = DomainPolicy(
            minimumTTL: 500, maximumDevices: 4, ringEntries: options.ringEntries, maximumUncommitted: 4_096)
        let nodes = Self.names.enumerated().map { index, name in
            ClusterLayout.Node(name: name, role: Self.role(of: name), site: "main", server: "host-\(index)")
        }
        layout = ClusterLayout(
            nodes: nodes, domains: Self.domains.map { .init(name: $0, replicas: options.replicas) })
        for name in Self.names { boot(name, incarnation: 1, disk: [:]) }
        queue.add(.workload, at: now + .seconds(2))
    }

    static func role(of name: NodeName) -> NodeRole {
        routers.contains(name) ? .router : registrars.contains(name) ? .sr : .wssubscr
    }

    var moment: Moment { Moment(monotonic: now, wall: now.nanoseconds / 1_000_000 + 1_700_000_000_000) }

    // MARK: Processes

    /// Starts a process; `disk` is what an earlier one left.
    mutating func boot(_ name: NodeName, incarnation: UInt64, disk: [DomainName: [SimulatedNode.Written]]) {
        let role = Self.role(of: name)
        let life = NodeID(name: name, incarnation: incarnation)
        let agent = NodeAgent(
            node: life, role: role, routers: Self.routers.filter { $0 != name }, pid: 1, started: now, periods: periods)
        let machines: SimulatedNode.Machines
        switch role {
        case .router: machines = .router(RouterMachine(node: life, layout: layout, periods: periods, at: moment))
        case .sr: machines = .sr(restore(disk, life))
        case .wssubscr:
            var twins: [DomainName: FollowerTwin] = [:]
            for domain in Self.domains {
                twins[domain] = FollowerTwin(
                    receiver: ReplicaReceiver(domain: domain, role: .follower),
                    changes: ChangesSubscriber(
                        domain: domain, hidesDifferences: options.plantedBug == .hidesDifferences))
            }
            machines = .follower(twins, GatewayTwin())
        case .sg: preconditionFailure("the simulated cluster has no SIP gateway: \(name)")
        }
        nodes[name] = SimulatedNode(
            disk: disk, name: name, role: role, incarnation: incarnation, agent: agent, machines: machines)
        trace.note(now, "boot \(life)")
        queue.add(.step(name, .tick), at: now + random.duration(0...40))
    }

    private func restore(
        _ disk: [DomainName: [SimulatedNode.Written]], _ life: NodeID
    ) -> [DomainName: DomainMachine] {
        disk.reduce(into: [:]) { machines, item in
            var replica = DomainReplica()
            for written in item.value { replica.apply(written.record, at: written.moment) }
            guard replica.isComplete else { return }
            machines[item.key] = DomainMachine(domain: item.key, node: life, policy: policy, replica: replica)
        }
    }

    // MARK: Running

    /// Runs until the clock reaches `end` or nothing is left to happen.
    mutating func run(until end: MonotonicInstant) {
        while let time = queue.nextTime, time <= end, let (_, occurrence) = queue.popFirst() {
            now = time
            steps += 1
            if steps > 60_000 { history.violate("bounded", "more than 60000 steps"); return }  // STEPLIMIT
            switch occurrence {
            case .step(let name, let step): perform(step, at: name)
            case .fault(let fault): begin(fault)
            case .heal(let fault): heal(fault)
            case .workload: work()
            case .order(let order): give(order)
            }
        }
        now = max(now, end)
    }

    private mutating func perform(_ step: Step, at name: NodeName) {
        guard let node = nodes[name], node.isRunning else { return }
        if case .tick = step { queue.add(.step(name, .tick), at: now + random.duration(30...70)) }
        guard !node.isPaused else {
            if case .tick = step { return }
            nodes[name]?.backlog.append(step)
            return
        }
        switch step {
        case .deliver(let message, let sender, let counter): receive(message, from: sender, counter, at: name)
        case .tick: tick(name)
        case .coordinator(let answer, let life): ask(answer, for: life)
        case .start(let operation): start(operation, at: name)
        }
    }

    // MARK: The network

    mutating func send(_ message: Message, from name: NodeName, to peer: NodeName) {
        guard let life = nodes[name]?.life, nodes[peer] != nil else { return }
        let link = Link(from: name, to: peer)
        let counter = (nodes[name]?.sentCounter[peer] ?? 0) + 1
        nodes[name]?.sentCounter[peer] = counter
        guard !blocked.contains(link), !(isLossy && random.chance(options.loss)) else { return }
        let step = Step.deliver(message, from: life, counter: counter)
        let delay = Duration.microseconds(Int.random(in: 100...(options.maximumDelay * 1_000), using: &random))
        var arrival = now + delay
        if isLossy, random.chance(options.reordering) {
            arrival += random.duration(1...50)
        } else {
            arrival = max(arrival, lastArrival[link] ?? .distantPast)
            lastArrival[link] = arrival
        }
        queue.add(.step(peer, step), at: arrival)
        if isLossy, random.chance(options.duplication) {
            queue.add(.step(peer, step), at: arrival + random.duration(0...80))
        }
    }

    /// What a transport promises: at most once, in order, from the latest life of the sender.
    private mutating func receive(_ message: Message, from sender: NodeID, _ counter: UInt64, at name: NodeName) {
        guard let node = nodes[name] else { return }
        let isOutdated = node.lastCounter.keys.contains {
            $0.name == sender.name && $0.incarnation > sender.incarnation
        }
        guard !isOutdated, counter > node.lastCounter[sender] ?? 0 else { return }
        nodes[name]?.lastCounter[sender] = counter
        trace.message(now, message, from: sender, to: name)
        handle(message, from: sender, at: name)
    }

    // MARK: The coordinator

    private mutating func ask(_ question: CoordinatorAnswer, for life: NodeID) {
        guard nodes[life.name]?.life == life else { return }
        let event: RouterMachine.Event
        switch question {
        case .answered(let answer):
            route(answer, at: life.name)
            return
        case .campaign:
            event = .campaigned(answer { [now, periods] in $0.campaign(as: life, lease: periods.leadership, at: now) })
        case .load(let term): event = .loaded(answer { $0.load() }, term: term)
        case .store(let changes, let wishes, let term):
            event = .stored(answer { $0.store(changes, wishes: wishes, term: term) }, term: term)
        }
        queue.add(.step(life.name, .coordinator(.answered(event), life: life)), at: now + random.duration(1...10))
    }

    private mutating func answer<Value>(
        _ question: (inout CoordinatorState) -> Value
    ) -> Result<Value, CoordinatorError> {
        isCoordinatorAway ? .failure(.unavailable("simulated outage")) : .success(question(&coordinator))
    }
}
