import ClusterRuntime

/// What one history is like. Drawn from its seed, so that histories differ in kind and not only in detail.
public struct SimulationOptions: Sendable, Hashable {
    /// How long faults and load go on, in simulated time.
    public var faultyTime: Duration
    public var accounts: Int
    /// Requests started per simulated second.
    public var requestsPerSecond: Int
    public var loss: Double
    public var duplication: Double
    public var reordering: Double
    /// Longest ordinary delay of a message, in milliseconds.
    public var maximumDelay: Int
    public var faults: Set<Fault>
    /// How many entries owners keep: small rings make replicas fall behind and take snapshots.
    public var ringEntries: Int
    public var replicas: Int
    /// Share of short-lived registrations, which expire.
    public var shortLived: Double
    /// A bug to plant; nil in an honest history.
    public var plantedBug: PlantedBug?

    /// Whether there is a destination.
    public var hasBroker = false
    /// How long a batch takes to the broker at most, and as long for the answer; in milliseconds.
    public var brokerDelay = 20
    /// Share of batches that are taken, but whose answer is lost.
    public var unanswered = 0.0
    /// Share of batches that are refused for their domain's sake, and of publications that find no room in front of the
    /// lane.
    var refused = 0.0
    var missed = 0.0
    /// What may wait for the broker in memory and on disk, in bytes; beyond it events are dropped and restated.
    public var brokerQueueBytes = 1 << 20
    public var brokerSpoolBytes = 1 << 20
    /// How many domains there are: 1 or 2.
    public var domains = 2
    /// How many nodes of each role.
    public var routers = 2
    public var registrars = 3
    public var followers = 2
    /// Those through which SIP devices register.
    public var gateways = 0
    /// By how much the clocks of nodes differ in speed at most: 0.001 is a millisecond in a second.
    public var drift = 0.0
    /// Whether a process takes the end of its journal with it when it dies, as a machine does.
    public var tornJournals = false
    /// Whether the coordinator tells routers that the leadership is vacant, sooner or later.
    public var vacancyHints = false
    /// Whether routers watch the coordinator, and how long what they are told of a change takes at most, in
    /// milliseconds.
    public var hasWatches = false
    public var watchDelay = 10
    /// How long the coordinator takes for an answer at most, in milliseconds, and as long for the question.
    public var coordinatorDelay = 10
    /// How many clients ask at once every second; 0 without storms.
    public var storm = 0
    /// Share of requests that come from one client, which registers and unregisters all the time.
    public var flapping = 0.0
    /// How long nobody asks for anything, over and over, so that domains fall quiet; 0 without pauses. In seconds.
    var lull = 0
    /// Share of requests that are for the first domain.
    public var heat = 0.5
    /// How many registrars, the first ones, make up a group that serves the last domain alone; 0 without groups.
    public var groupSize = 0
    /// Which registrars, by their numbers from 0, the first domain is pinned to.
    public var pin: [Int] = []
    /// How many registrars, the last ones, are of a site that asks for a quorum; 0 for a cluster of one site.
    public var quorumSize = 0

    /// How much is on its way to a replica at a time.
    var window = ReplicaFeed.Window()
    /// How long events wait at most for others, to be taken in together, and how long what followers hand over is on
    /// its way to sockets at most; in milliseconds.
    public var turnDelay = 0
    public var socketDelay = 0

    /// How long routers wait for nodes that may hold a better copy, and how long a node has to be there before it is
    /// given its share; in milliseconds.
    var restartGrace = Int(Periods().restartGrace.milliseconds)
    var rebalanceAfter = Int(Periods().rebalanceAfter.milliseconds)

    /// Those who come and go at `wssubscr` nodes, beside the two that stay at each.
    public var subscribers = 0
    /// How many recent events followers keep, how many bytes they hand to a socket in one go, and how many may wait in
    /// a socket.
    public var recentEvents = 65_536
    public var sliceBytes = 64 << 10
    public var socketBudget = 1 << 20

    /// Nodes that begin with a program of the wire version before this one.
    var former: [NodeName] = []

    /// Whether standbys have to be at another site than owners: every other node is there.
    public var spreads = false

    /// Whether owners that are alone go on without a router's word.
    var acceptsWithoutLease = false

    var periods: Periods {
        var periods = Periods()
        periods.restartGrace = .milliseconds(Int64(restartGrace))
        periods.rebalanceAfter = .milliseconds(Int64(rebalanceAfter))
        return periods
    }

    /// - Parameter number: of a node, from the first registrar on.
    func site(of number: Int, _ role: NodeRole) -> String {
        needsQuorum(number, role) ? "strict" : spreads && role == .sr && number % 2 == 1 ? "other" : "main"
    }

    /// - Parameter number: of a registrar, from 0.
    func needsQuorum(_ number: Int, _ role: NodeRole) -> Bool { role == .sr && number >= registrars - quorumSize }

    public enum Fault: CaseIterable, Sendable, Hashable {
        case crash, crashOfAll, pause, partition, oneWayPartition, routerCrash, coordinatorOutage
        case slowNode, diskFull, coordinatorCut

        /// Those of the first histories; the others are drawn from a generator of their own.
        static let first: [Self] = [
            .crash, .crashOfAll, .pause, .partition, .oneWayPartition, .routerCrash, .coordinatorOutage,
        ]
    }

    /// Makes the history one of a larger kind: more nodes, clocks that differ, more that may go wrong. All is drawn
    /// from a generator of its own, so that histories without it are as they were before there was any of it.
    mutating func widen(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x7769_6465_6e65_6421)
        switch Int.random(in: 0..<200, using: &random) {
        case 0..<120: break
        case 120..<185: registrars = Int.random(in: 4...6, using: &random)
        case 185..<199: registrars = Int.random(in: 7...12, using: &random)
        default: registrars = Int.random(in: 20...50, using: &random)
        }
        if random.chance(0.2) { routers = 3 }
        if random.chance(0.2) { followers = Int.random(in: 3...4, using: &random) }
        if random.chance(0.5) { drift = Double.random(in: 0...0.002, using: &random) }
        tornJournals = random.chance(0.3)
        vacancyHints = random.chance(0.5)
        if random.chance(0.3) { coordinatorDelay = Int.random(in: 50...400, using: &random) }
        if random.chance(0.2) { storm = Int.random(in: 10...60, using: &random) }
        if random.chance(0.3) { flapping = 0.3 }
        if random.chance(0.3) { heat = 0.9 }
        if random.chance(0.3) { faults.insert(.slowNode) }
        if random.chance(0.3) { faults.insert(.diskFull) }
        place(seed: seed)
        addBroker(seed: seed)
        addGateways(seed: seed)
        mixVersions(seed: seed)
        addWatches(seed: seed)
        var places = SplitMix64(seed: seed ^ 0x7370_7265_6164_2121)
        spreads = places.chance(0.2)
        addLulls(seed: seed)
        addSubscribers(seed: seed)
        addHaste(seed: seed)
        shortenPeriods(seed: seed)
    }

    /// Has routers of some histories give up waiting before those that they wait for are back, and move domains for
    /// balance; in some, owners that are alone go on without routers. Again from a generator of its own.
    private mutating func shortenPeriods(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x7368_6f72_7465_6e65)
        if random.chance(0.2) {
            restartGrace = Int.random(in: 1_000...1_500, using: &random)
            // Without standbys one fault is enough for it to matter.
            if random.chance(0.5) { replicas = 1 }
        }
        if random.chance(0.2) { rebalanceAfter = Int.random(in: 1_000...5_000, using: &random) }
        acceptsWithoutLease = random.chance(0.2)
    }

    /// Has some histories with small windows, with turns of many events, and with routers that lose the coordinator one
    /// by one.
    private mutating func addHaste(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x6861_7374_655f_6f66)
        if random.chance(0.5) {
            window.entries = UInt64.random(in: 8...64, using: &random)
            window.chunks = Int.random(in: 1...3, using: &random)
            window.slotsPerChunk = Int.random(in: 3...32, using: &random)
            window.entriesPerMessage = Int.random(in: 2...16, using: &random)
            window.nearlyThere = UInt64.random(in: 0...64, using: &random)
        }
        if random.chance(0.5) { turnDelay = Int.random(in: 1...20, using: &random) }
        if random.chance(0.5) { socketDelay = Int.random(in: 1...40, using: &random) }
        if random.chance(0.3) { faults.insert(.coordinatorCut) }
    }

    /// Has some histories with subscribers that come and go, again from a generator of its own.
    private mutating func addSubscribers(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x7375_6273_6372_6962)
        guard random.chance(0.5) else { return }
        subscribers = Int.random(in: 2...6, using: &random)
        if random.chance(0.6) { recentEvents = Int.random(in: 8...80, using: &random) }
        if random.chance(0.6) { sliceBytes = Int.random(in: 300...3_000, using: &random) }
        socketBudget = Int.random(in: 1_000...20_000, using: &random)
    }

    /// Has some histories with SIP devices, again from a generator of its own.
    private mutating func addGateways(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x6761_7465_7761_7973)
        if random.chance(0.3) { gateways = Int.random(in: 1...2, using: &random) }
    }

    /// Has some histories with watches of the coordinator, again from a generator of its own.
    private mutating func addWatches(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x6c61_6767_696e_6721)
        guard random.chance(0.3) else { return }
        hasWatches = true
        watchDelay = random.chance(0.5) ? Int.random(in: 100...600, using: &random) : 10
    }

    /// Has some histories begin amid an upgrade, or before it, again from a generator of its own. A router of the
    /// version before knows of no active topology, so there are none of them where topologies are activated.
    private mutating func mixVersions(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x7665_7273_696f_6e73)
        guard random.chance(0.25) else { return }
        let share = random.chance(0.4) ? 1 : Double.random(in: 0.2...0.8, using: &random)
        let changesTopology = World.topologyChance(seed: seed) != nil || World.changeChance(seed: seed) != nil
        former = World.names(of: self).filter {
            random.chance(share) && !(changesTopology && $0.rawValue.hasPrefix("r"))
        }
    }

    /// Has domains of some histories fall quiet between bursts of requests, again from a generator of its own.
    private mutating func addLulls(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x6c75_6c6c_735f_6f66)
        guard random.chance(0.3) else { return }
        lull = Int.random(in: 2...7, using: &random)
        faultyTime += .seconds(2 * lull)
    }

    /// Has some histories with a destination, again from a generator of its own.
    private mutating func addBroker(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x6465_7374_696e_6174)
        guard random.chance(0.4) else { return }
        hasBroker = true
        if random.chance(0.4) { brokerDelay = Int.random(in: 50...500, using: &random) }
        if random.chance(0.5) { unanswered = Double.random(in: 0...0.2, using: &random) }
        brokerQueueBytes = Int.random(in: 500...10_000, using: &random)
        brokerSpoolBytes = random.chance(0.6) ? Int.random(in: 0...6_000, using: &random) : 1 << 20
        if random.chance(0.3) { refused = Double.random(in: 0...0.2, using: &random) }
        if random.chance(0.3) { missed = Double.random(in: 0...0.1, using: &random) }
    }

    /// Has some histories with groups, pins and quorums, again from a generator of its own.
    private mutating func place(seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x706c_6163_656d_656e)
        if registrars >= 2 * replicas, random.chance(0.25) {
            groupSize = Int.random(in: replicas...(registrars - replicas), using: &random)
        }
        if random.chance(0.25) {
            pin = Array((groupSize..<registrars).shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)))
        }
        if random.chance(0.15) { quorumSize = Int.random(in: 1...registrars, using: &random) }
    }

    static func drawn(from random: inout SplitMix64) -> SimulationOptions {
        var faults = Set<Fault>()
        for fault in Fault.first where random.chance(0.5) { faults.insert(fault) }
        let isLossy = random.chance(0.5)
        return SimulationOptions(
            faultyTime: .seconds(Int.random(in: 4...14, using: &random)),
            accounts: Int.random(in: 3...40, using: &random),
            requestsPerSecond: Int.random(in: 20...120, using: &random),
            loss: isLossy ? Double.random(in: 0...0.1, using: &random) : 0,
            duplication: isLossy ? Double.random(in: 0...0.05, using: &random) : 0,
            reordering: isLossy ? Double.random(in: 0...0.05, using: &random) : 0,
            maximumDelay: Int.random(in: 1...30, using: &random),
            faults: faults,
            ringEntries: random.chance(0.5) ? Int.random(in: 8...64, using: &random) : 65_536,
            replicas: random.chance(0.15) ? 1 : random.chance(0.3) ? 3 : 2,
            shortLived: random.chance(0.5) ? 0.3 : 0)
    }
}
