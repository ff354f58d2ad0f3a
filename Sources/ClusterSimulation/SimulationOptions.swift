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

    public enum Fault: CaseIterable, Sendable, Hashable {
        case crash, crashOfAll, pause, partition, oneWayPartition, routerCrash, coordinatorOutage
    }

    static func drawn(from random: inout SplitMix64) -> SimulationOptions {
        var faults = Set<Fault>()
        for fault in Fault.allCases where random.chance(0.5) { faults.insert(fault) }
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

/// Bugs that can be planted to see that the checkers find them. They live in the simulator's shells: the machines
/// under test are never changed.
public enum PlantedBug: String, CaseIterable, Sendable, Hashable {
    /// An owner answers as soon as it has a request, without waiting for its standbys.
    case answersBeforeStandby
    /// A follower is handed a batch of entries with one missing.
    case skipsAnEntry
    /// A promoted replica has forgotten a contact.
    case forgetsAContact
    /// A node that restarts takes the incarnation it had before.
    case reusesIncarnation
    /// Who wants net changes is not told of what was not restated after a failover.
    case hidesDifferences
}
