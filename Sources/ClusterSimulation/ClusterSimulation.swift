import ClusterRuntime
import RegistrarEvents
import SRActor
import WSSubscrActor

/// Runs seeded histories of whole clusters and holds them against the promises.
public enum ClusterSimulation {
    /// How one history went.
    public struct Outcome: Sendable {
        public let seed: UInt64
        /// What broke a promise; empty when all were kept.
        public let violations: [String]
        public let steps: Int
        public let acknowledged: Int
        public let unknown: Int
        /// How many times a domain was moved as planned.
        public let moves: Int
        /// How many times a domain was removed from the topology, and let go of in the end.
        public let removals: Int
        /// How many times a program of another wire version took a node's place.
        public let exchanges: Int
        /// How many times a node was stopped, since the topology had it no more.
        public let nodesRemoved: Int
        /// How many events the destination took, and how many of them it had taken before.
        public let delivered: Int
        public let duplicates: Int
        /// How often a domain was at rest amid the history, and held against the promises.
        public let quietPoints: Int
        /// How often an epoch was allowed to begin with less than was acknowledged, since the grace was over.
        public let losses: Int
        /// How often subscribers went on where they were, and how often they were given a list instead.
        public let resumed: Int
        public let relisted: Int
        /// How much time went by in the history.
        public let simulated: Duration
        /// The text of the history, if it was asked for.
        public let trace: [String]

        public var isGood: Bool { violations.isEmpty }

        /// Whether the promises were kept, and which was broken first.
        public var ending: Scenario.Ending {
            guard let first = violations.first else { return .kept }
            return .broken(String(first.prefix { $0 != ":" }))
        }
    }

    /// How long a healed cluster may take to settle.
    static let settlingBudget = Duration.seconds(25)

    /// One history: a safety phase with faults and load, then a liveness phase in which everything is healed and
    /// must settle.
    /// - Parameter isPlain: whether it is a history of the first kind: three registrars, and clocks that agree.
    public static func run(
        seed: UInt64, plantedBug: PlantedBug? = nil, isTraced: Bool = false, isPlain: Bool = false
    ) -> Outcome {
        var world = drawn(
            seed: seed, plantedBug: plantedBug, isTraced: isTraced, isPlain: isPlain, isRecorded: false)
        let end = world.now + .seconds(2) + world.options.faultyTime
        // Every fault is healed at most three seconds after it began.
        return finish(&world, end: end, healed: end + .milliseconds(3_100), seed: seed)
    }

    /// A cluster, and all that is going to be done to it, as a seed draws it.
    static func drawn(
        seed: UInt64, plantedBug: PlantedBug?, isTraced: Bool, isPlain: Bool, isRecorded: Bool
    ) -> World {
        var random = SplitMix64(seed: seed)
        var options = SimulationOptions.drawn(from: &random)
        if !isPlain { options.widen(seed: seed) }
        options.plantedBug = plantedBug
        var world = World(options: options, seed: random.next(), isTraced: isTraced, isRecorded: isRecorded)
        let end = world.now + .seconds(2) + options.faultyTime
        world.planWorkload()
        world.planFaults(until: end)
        world.planMovements(until: end, seed: seed)
        if !isPlain {
            world.planTopologies(until: end, seed: seed)
            world.planOutagesOfBroker(until: end, seed: seed)
            world.planVersions(until: end, seed: seed)
            world.planWatches(until: end, seed: seed)
            world.planDevices()
            world.planSubscribers()
            world.planLooks()
        }
        return world
    }

    /// Runs to the end of load and faults, lets everything heal, and holds what comes of it against the promises.
    static func finish(
        _ world: inout World, end: MonotonicInstant, healed: MonotonicInstant, seed: UInt64
    ) -> Outcome {
        world.run(until: end)
        world.run(until: healed)
        world.isLossy = false
        world.isLoaded = false
        let limit = world.now + settlingBudget
        while !world.areDrainsDone, world.now < limit { world.run(until: world.now + .milliseconds(250)) }
        if !world.areDrainsDone { world.history.violate("it settles", "a drained node is not empty") }
        while !world.isSettled, world.now < limit {
            world.undrainAll()
            world.restoreTopology()
            world.gatherSubscribers()
            world.run(until: world.now + .milliseconds(250))
        }
        let known = world.history.violations.count
        world.proveService()
        world.judge()
        for violation in world.history.violations[known...] { world.trace.note(world.now, "broken: \(violation)") }
        return Outcome(
            seed: seed, violations: world.history.violations, steps: world.steps,
            acknowledged: world.history.acknowledged, unknown: world.history.unknown, moves: world.moves,
            removals: world.removals, exchanges: world.exchanges, nodesRemoved: world.nodesRemoved,
            delivered: world.broker.taken, duplicates: world.broker.duplicates,
            quietPoints: world.quietPoints, losses: world.losses,
            resumed: world.subscribers.values.reduce(0) { $0 + $1.consumer.resumed },
            relisted: world.subscribers.values.reduce(0) { $0 + $1.consumer.relisted },
            simulated: world.now - World.beginning, trace: world.trace.lines)
    }
}

extension World {
    /// Whether everything that ought to happen has: owners are there, standbys in sync, followers up to date, and no
    /// request is waiting.
    var isSettled: Bool {
        busy.isEmpty && coordinator.load().wishes.isEmpty && isTopologyWhole
            && domains.allSatisfy { unsettled($0) == nil }
    }

    /// What is still missing.
    private func unsettled(_ domain: DomainName) -> String? {
        guard let assignment = coordinator.load().assignments.first(where: { $0.domain == domain }),
            let owner = machine(of: domain, at: assignment.owner), owner.isOwner
        else { return "\(domain) has no owner that serves" }
        if let wrong = misplacement(of: assignment) { return wrong }
        guard !owner.isRetiring else { return "the owner of \(domain) refuses everything" }
        let standbys = assignment.standbys
        guard standbys.count == options.replicas - 1, standbys.allSatisfy(\.inSync) else {
            return "\(domain) has \(standbys.filter(\.inSync).count) of \(options.replicas - 1) standbys in sync"
        }
        let position = owner.report.position
        guard owner.replica.table.currentCount == owner.replica.table.count else {
            return "\(domain) is not restated whole"
        }
        if let wrong = formerLimits(of: domain, at: owner) { return wrong }
        guard owner.committed == position.seq else { return "\(domain) has entries that are not committed" }
        for standby in standbys where machine(of: domain, at: standby.node)?.report.position != position {
            return "standby \(standby.node) of \(domain) is not at \(position)"
        }
        if let missing = lacksEvents(domain, of: owner) { return missing }
        return lagging(domain, behind: position)
    }

    private func machine(of domain: DomainName, at life: NodeID?) -> DomainMachine? {
        guard let life, let node = nodes[life.name], node.life == life, node.isRunning,
            !node.isPaused
        else { return nil }
        return node.domains[domain]
    }

    /// Holds the end of the history against the promises.
    mutating func judge() {
        let wishes = coordinator.load().wishes
        if !wishes.isEmpty { history.violate("it settles", "open wishes: \(wishes.text)") }
        if !isTopologyWhole { history.violate("it settles", "the topology is \(activeTopology.text)") }
        if let contact = busy.min(by: { $0.key < $1.key }) {
            history.violate("it settles", "a request on \(contact.domain) \(contact.key) has no end")
        }
        for domain in domains {
            if let missing = unsettled(domain) { history.violate("it settles", missing) }
            judge(domain)
        }
    }

    /// Amid the history, while nobody asks for anything: what holds at its end holds for each domain that has come to
    /// rest, faults or not.
    mutating func lookAtQuietDomains() {
        guard isLoaded else { return }
        queue.add(.look, at: now + .milliseconds(300))
        guard isLull else { return }
        for domain in domains where !busy.contains(where: { $0.domain == domain }) && unsettled(domain) == nil {
            quietPoints += 1
            judge(domain)
        }
    }

    private mutating func judge(_ domain: DomainName) {
        guard let assignment = coordinator.load().assignments.first(where: { $0.domain == domain }),
            let owner = machine(of: domain, at: assignment.owner)
        else { return }
        let list = Self.list(of: owner.replica, at: moment)
        let isSpared = sparedUntil[domain].map { now < $0 + .seconds(2) } ?? false
        history.compare(list, of: domain, at: now, mayOutlive: mayOwnersBeLate || isSpared)
        compareConsumer(of: domain, with: list)
        for standby in assignment.standbys {
            guard let copy = machine(of: domain, at: standby.node) else { continue }
            if copy.report.digest != owner.report.digest, copy.report.position == owner.report.position {
                history.violate("replicas agree", "\(domain): \(standby.node) differs from \(owner.node)")
            }
            compareDeadlines(copy.replica, at: standby.node.name, with: owner.replica, at: owner.node.name)
        }
        compareSubscribers(of: domain, with: list)
        for name in followers {
            guard let copy = nodes[name]!.followers[domain]?.machine.replica,
                copy.position == owner.report.position
            else { continue }
            compareDeadlines(copy, at: name, with: owner.replica, at: owner.node.name)
            if Self.list(of: copy, at: moment) != list {
                history.violate(
                    "replicas agree", "\(name) \(domain): the follower's list differs from the owner's")
            }
        }
    }

    /// Times to live run out in each copy at the same time, whenever and however it was told of them. How long it took
    /// to take in what had arrived no node knows of itself.
    private mutating func compareDeadlines(
        _ copy: DomainReplica, at name: NodeName, with original: DomainReplica, at owner: NodeName
    ) {
        var known: [ContactKey: UInt32] = [:]
        copy.forEachLive(at: moment(of: name)) { contact, ttl in if let key = Self.key(contact) { known[key] = ttl } }
        let lateness = History.lateness + (longestPause[name] ?? .zero)
        let outlives = mayOutlive(at: name)
        var wrong: [String] = []
        original.forEachLive(at: moment(of: owner)) { contact, ttl in
            guard let key = Self.key(contact), let other = known[key], ttl > 0, other > 0 else { return }
            let difference = Duration.milliseconds(Int64(other) - Int64(ttl))
            if difference > lateness && !outlives || difference < .zero - History.lateness {
                wrong.append("\(key) ends \(difference) later at \(name) than at its owner \(owner)")
            }
        }
        if let first = wrong.first { history.violate("deadlines", first) }
    }
}
