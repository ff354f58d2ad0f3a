import ClusterRuntime
import Destinations
import RegistrarEvents
import Router
import SRActor
import WSSubscrActor

/// A whole cluster of production machines on one simulated clock, network, coordinator and set of disks.
///
/// Everything that happens is a step in one queue, and every choice comes from one seeded generator, so a seed is a
/// history: the same in every run and every process.
struct World {
    /// What is going to happen to a node.
    enum Step {
        case deliver(Message, from: NodeID, counter: UInt64)
        case tick
        /// The coordinator has answered.
        case answered(RouterMachine.Event, life: NodeID)
        case start(ClientOperation)
        /// Devices of a SIP account register.
        case bind(DeviceWish)
        case lane(LaneMachine.Event, life: NodeID)
        case notice(DestinationNotice, DomainName, life: NodeID)
        /// Nothing more is taken into the turn of a domain's machine, or of its follower.
        case endTurn(DomainName, life: NodeID)
        /// What a follower has handed over comes to its sockets.
        case handOver(Delivery, DomainName, life: NodeID)
        /// What a subscriber's socket asks of a follower.
        case follow(Follower.Event, DomainName, life: NodeID)
        /// A subscriber that stays at one node comes again.
        case reconnect(SubscriberWish, life: NodeID)
        case watch(VacancyWatch.Event, ticket: UInt64, life: NodeID)
    }

    enum Occurrence {
        case step(NodeName, Step)
        case fault(Fault)
        case heal(Fault)
        /// Something that was planned in advance, as it is to be done.
        case act(Act)
        case workload
        case devices
        /// An operator orders something of whichever router leads.
        case order(MovementOrder)
        /// What a router asks comes to the coordinator.
        case coordinator(CoordinatorQuestion, from: NodeID)
        /// The coordinator looks whether anybody leads.
        case vacant
        /// A batch comes to the broker.
        case broker(DestinationBatch, ticket: UInt64, from: NodeID)
        /// What a router's watch asks for comes to the coordinator.
        case watch(VacancyWatch.Directive, ticket: UInt64, life: NodeID)
        /// Domains that have come to rest are held against the promises.
        case look
        /// A subscriber comes or goes.
        case roam(SubscriberWish)
        /// A slow subscriber reads some of what waits for it.
        case read(Int, SubscriberID)
        /// Many clients ask at once.
        case storm
        /// An operator changes the topology.
        case topology(TopologyChange)
        /// Nodes are stopped and started as the topology has them.
        case supervise
    }

    let options: SimulationOptions
    var random: Chance
    /// The speeds of clocks and what else was added later is drawn from this one.
    var clocks: Chance
    /// What was done from outside, in its order; kept only when asked for.
    var acts: [TimedAct] = []
    let isRecorded: Bool
    var speeds: [NodeName: Double] = [:]
    var wallOffsets: [NodeName: Int64] = [:]
    /// Nodes whose messages take so much longer, in milliseconds.
    var slowness: [NodeName: Int] = [:]
    /// How long each has stood still at most, with what had been sent to it.
    var longestPause: [NodeName: Duration] = [:]
    /// Until when registrars were last gone, stopped or cut off.
    var lastAway: [NodeName: MonotonicInstant] = [:]
    /// Until when owners end nobody, after they could take no renewals.
    var sparedUntil: [DomainName: MonotonicInstant] = [:]
    /// Epochs that may have begun with less than was acknowledged, as they may after the grace.
    var losses = 0
    /// Nodes that are or were of the wire version before.
    var formers: Set<NodeName> = []
    /// How many times another version of the program took a node's place.
    var exchanges = 0
    var fullDisks: Set<NodeName> = []
    /// Whether faults come by chance, and not as they were written down.
    var drawsFaults = false
    /// Those of them that have not taken something since: records are missing until everything is written anew.
    var failedDisks: Set<NodeName> = []
    /// When processes ended or were stopped, and who owned each domain last, to tell how long nobody could renew.
    var ended: [NodeID: MonotonicInstant] = [:]
    var owners: [DomainName: NodeID] = [:]
    static let beginning = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    var now = Self.beginning
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
    var broker = BrokerTwin()
    var brokerChance: Chance
    var deviceChance: Chance
    /// The contacts that each SIP account has ever asked something of.
    var deviceContacts: [History.ContactID: Set<String>] = [:]
    /// What routers watch at the coordinator.
    var leaderRecord = WatchedRecord()
    var watchChance: Chance
    /// Those that come and go, by number.
    var subscribers: [Int: Subscriber] = [:]
    var followChance: Chance
    var turnChance: Chance
    /// Connections of subscribers so far, and what they were told.
    var connections: UInt32 = 0
    var eventsTold = 0
    /// What tails mean that were read already.
    var notifications: [[UInt8]: Notification] = [:]
    var isLoaded = true
    var activeFaults = 0
    /// How often a domain was found at rest amid the history.
    var quietPoints = 0
    /// Until when routers may hear from a process that has ended and whose disk was lost, or had not taken everything.
    var lostAreHeardUntil = World.beginning
    /// Nodes that operators have drained last, whatever has come of it.
    var drained: Set<NodeName> = []
    /// Orders of operators given so far.
    var orders: UInt64 = 0
    /// How many times nobody was to serve a domain any more, as the topology had it no more.
    var removals = 0
    /// Epochs that began with a move.
    var moves = 0
    /// Nodes that were stopped since the topology has them no more, and how often one was.
    var stopped: Set<NodeName> = []
    var nodesRemoved = 0
    var isSupervised = false
    var nextServerFault = MonotonicInstant.distantPast
    var steps = 0
    var trace: Trace

    struct Link: Hashable {
        let from: NodeName
        let to: NodeName
    }

    let routers: [NodeName]
    let registrars: [NodeName]
    let followers: [NodeName]
    let gateways: [NodeName]
    var names: [NodeName] { routers + registrars + followers + gateways }
    /// What a history may take at most: more of it is a flood that the machines have begun.
    var stepLimit: Int {
        // Registrars send heartbeats to each other, which grow with the square of their number.
        let seconds = Int((options.faultyTime + .seconds(60)).components.seconds)
        let signs = 5 * registrars.count * registrars.count * seconds
        return 60_000 * max(names.count, 7) / 7 + 30 * operations + signs
    }
    let domains: [DomainName]
    static let allDomains = ["a.example", "b.example"].compactMap { DomainName($0) }

    let periods: Periods
    let policy: DomainPolicy
    let layout: ClusterLayout

    /// - Parameter seed: of what is left to chance; nil when nothing is.
    init(options: SimulationOptions, seed: UInt64?, isTraced: Bool, isRecorded: Bool = false) {
        self.options = options
        periods = options.periods
        self.isRecorded = isRecorded
        random = seed.map { Chance(seed: $0) } ?? .even
        if options.drift > 0 { history.tolerance = .milliseconds(100) }
        clocks = seed.map { Chance(seed: $0 ^ 0x636c_6f63_6b73) } ?? .even
        domains = Array(Self.allDomains.prefix(options.domains))
        watchChance = seed.map { Chance(seed: $0 ^ 0x7761_7463_6865_7321) } ?? .even
        brokerChance = seed.map { Chance(seed: $0 ^ 0x6272_6f6b_6572) } ?? .even
        routers = Self.names("r", options.routers)
        registrars = Self.names("s", options.registrars)
        followers = Self.names("w", options.followers)
        gateways = Self.names("g", options.gateways)
        deviceChance = seed.map { Chance(seed: $0 ^ 0x6465_7669_6365_7321) } ?? .even
        turnChance = seed.map { Chance(seed: $0 ^ 0x7475_726e_735f_6f66) } ?? .even
        followChance = seed.map { Chance(seed: $0 ^ 0x666f_6c6c_6f77_2121) } ?? .even
        trace = Trace(isOn: isTraced)
        policy = DomainPolicy(
            minimumTTL: 500, maximumDevices: 4, acceptsWithoutLease: options.acceptsWithoutLease,
            ringEntries: options.ringEntries, maximumUncommitted: 4_096, window: options.window,
            destinations: options.hasBroker ? [Self.broker] : [])
        var roles: [(NodeName, NodeRole)] = routers.map { ($0, .router) }
        roles += registrars.map { ($0, .sr) }
        roles += followers.map { ($0, .wssubscr) }
        roles += gateways.map { ($0, .sg) }
        let nodes = roles.enumerated().map { index, node in
            let isGrouped = node.1 == .sr && index - options.routers < options.groupSize
            return ClusterLayout.Node(
                name: node.0, role: node.1,
                site: options.site(of: index - options.routers, node.1),
                server: "host-\(index)", group: isGrouped ? "one" : nil)
        }
        layout = Self.layout(ServedTopology(domains: domains), nodes, options)
        for (name, _) in roles {
            speeds[name] = options.drift > 0 ? Double.random(in: -options.drift...options.drift, using: &clocks) : 0
            wallOffsets[name] = options.drift > 0 ? Int64.random(in: -3_600_000...3_600_000, using: &clocks) : 0
        }
        for (name, role) in roles {
            boot(name, role, incarnation: 1, isFormer: options.former.contains(name), disk: [:])
        }
        if options.vacancyHints { queue.add(.vacant, at: now + .milliseconds(200)) }
    }

    static func names(of options: SimulationOptions) -> [NodeName] {
        names("r", options.routers) + names("s", options.registrars) + names("w", options.followers)
            + names("g", options.gateways)
    }

    private static func names(_ letter: String, _ count: Int) -> [NodeName] {
        (0..<count).map { NodeName("\(letter)\($0 + 1)") }
    }

    /// On the clock of the simulation.
    var moment: Moment { Moment(monotonic: now, wall: now.nanoseconds / 1_000_000 + 1_700_000_000_000) }

    /// On the node's own clocks: the one runs a little faster or slower, the other may be an hour off.
    func moment(of name: NodeName) -> Moment {
        let ahead = Double((now - Self.beginning).nanoseconds) * (speeds[name] ?? 0)
        return Moment(
            monotonic: now + .nanoseconds(Int64(ahead)), wall: moment.wall + (wallOffsets[name] ?? 0))
    }

    // MARK: Processes

    /// Starts a process; `disk` is what an earlier one left.
    mutating func boot(
        _ name: NodeName, _ role: NodeRole, incarnation: UInt64, isFormer: Bool,
        disk: [DomainName: [SimulatedNode.Written]]
    ) {
        let moment = moment(of: name)
        let life = NodeID(name: name, incarnation: incarnation)
        let agent = NodeAgent(
            node: life, role: role, routers: routers.filter { $0 != name }, pid: 1, started: moment.monotonic,
            periods: periods, peers: role == .sr && !isFormer ? registrars.filter { $0 != name } : [])
        let node = SimulatedNode(life, role: role, isFormer: isFormer, began: now, disk: disk, agent: agent)
        node.agent.isJournalWritable = !failedDisks.contains(name)
        switch role {
        case .router:
            let (all, options) = (layout.nodes, options)
            node.router = RouterMachine(
                node: life, layout: layout, periods: periods, at: moment,
                layoutOf: { Self.layout(of: $0, nodes: all, options) })
            if options.hasWatches {
                node.watch = WatchTwin()
                queue.add(.step(name, .watch(.begin, ticket: 0, life: life)), at: now)
            }
        case .sr:
            node.domains = restore(disk, life)
            node.lane = makeLane(of: life)
        case .wssubscr:
            for domain in domains {
                node.followers[domain] = FollowerTwin(
                    machine: Follower(domain: domain, settings: Self.settings(options)),
                    residents: Self.residents(of: domain, options))
            }
        case .sg: break
        case .arbiter: preconditionFailure("the simulated cluster has no \(role.name): \(name)")
        }
        if role == .wssubscr || role == .sg { node.gateway = Gateway(life) }
        nodes[name] = node
        connectResidents(of: node)
        if isFormer { formers.insert(name) }
        trace.note(now, "boot \(life)" + (isFormer ? " of wire version \(FormerWire.version)" : ""))
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
            let known = history.violations.count
            guard steps <= stepLimit else { return history.violate("bounded", "more than \(stepLimit) steps") }
            switch occurrence {
            case .step(let name, let step): perform(step, at: name)
            case .fault(let fault): begin(fault)
            case .heal(let fault): heal(fault)
            case .act(let act): perform(act)
            case .workload: work()
            case .devices: registerDevices()
            case .order(let order): give(order)
            case .coordinator(let question, let life): answer(question, of: life)
            case .vacant: tellVacancy()
            case .storm: rush()
            case .look: lookAtQuietDomains()
            case .roam(let wish): roam(wish)
            case .read(let number, let id): read(number, id)
            case .broker(let batch, let ticket, let life): arrive(batch, ticket, from: life)
            case .topology(let change): changeTopology(change)
            case .supervise: supervise()
            case .watch(let question, let ticket, let life): ask(question, ticket: ticket, of: life)
            }
            for violation in history.violations[known...] { trace.note(now, "broken: \(violation)") }
        }
        now = max(now, end)
    }

    private mutating func perform(_ step: Step, at name: NodeName) {
        guard let node = nodes[name], node.isRunning else { return hangUp(step) }
        if case .tick = step { queue.add(.step(name, .tick), at: now + random.duration(30...70)) }
        guard !node.isPaused else {
            if case .tick = step { return }
            nodes[name]?.backlog.append(step)
            return
        }
        switch step {
        case .deliver(let message, let sender, let counter): receive(message, from: sender, counter, at: name)
        case .tick: tick(name)
        case .answered(let event, let life): if node.life == life { route(event, at: name) }
        case .start(let operation): start(operation, at: name)
        case .bind(let wish): start(wish, at: name)
        case .lane(let event, let life): handle(event, of: life)
        case .notice(let notice, let domain, let life):
            if node.life == life { self.step(.destination(notice), of: domain, at: name) }
        case .endTurn(let domain, let life): if node.life == life { endTurn(of: domain, at: name) }
        case .handOver(let delivery, let domain, let life):
            if node.life == life { arrive(delivery, of: domain, at: name) }
        case .follow(let event, let domain, let life): if node.life == life { follow(event, of: domain, at: name) }
        case .reconnect(let wish, let life): reconnect(wish, to: life)
        case .watch(let event, let ticket, let life): watch(event, ticket: ticket, of: life)
        }
    }
}
