import ClusterRuntime

/// Makes a history that breaks a promise smaller, as long as it breaks the same promise: fewer nodes and domains, fewer
/// faults and requests, shorter faults, and less that is left to chance.
///
/// What is left to chance falls out otherwise once anything is taken away, so each smaller history is tried with a few
/// seeds of it.
public struct Shrinker {
    /// The smallest so far that breaks the promise; nil when none did, not even the whole.
    public private(set) var smallest: Scenario?
    /// How many histories were run.
    public private(set) var runs = 0
    public let promise: String
    private let maximumRuns: Int
    private let report: (Scenario, Int) -> Void

    /// How many seeds of chance the whole history is tried with, and each smaller one.
    private static let chancesOfTheWhole: UInt64 = 200
    private static let chances: UInt64 = 4

    /// - Parameters:
    ///   - promise: the one that must stay broken.
    ///   - maximumRuns: how many histories may be run for it.
    ///   - report: is handed each smaller history, with the number of runs so far.
    public init(
        promise: String, maximumRuns: Int = 3_000, report: @escaping (Scenario, Int) -> Void = { _, _ in }
    ) {
        self.promise = promise
        self.maximumRuns = maximumRuns
        self.report = report
    }

    /// Makes the history of a seed smaller that breaks a promise.
    /// - Returns: the smallest that was found, with its trace; nil when what chance did could not be had again.
    public mutating func shrink(
        seed: UInt64, plantedBug: PlantedBug? = nil, isPlain: Bool = false
    ) -> Scenario? {
        let whole = ClusterSimulation.scenario(ofSeed: seed, plantedBug: plantedBug, isPlain: isPlain)
        guard accepts(whole, chances: Self.chancesOfTheWhole) else { return nil }
        var size = -1
        while let current = smallest, size != current.size, runs < maximumRuns {
            size = current.size
            takeAwayActs(where: { if case .ask = $0.act { false } else { true } })
            takeAwayActs(where: { _ in true })
            takeAwayNodes()
            calmDown()
            shorten()
        }
        leaveNothingToChance()
        guard var scenario = smallest else { return nil }
        scenario.ending = .broken(promise)
        scenario.trace = ClusterSimulation.run(scenario, isTraced: true).trace
        return scenario
    }

    /// Whether a candidate still breaks the promise; if so it is the smallest.
    @discardableResult
    private mutating func accepts(_ candidate: Scenario, chances: UInt64 = Self.chances) -> Bool {
        let first = candidate.chance
        for offset in 0..<(first == nil ? 1 : chances) {
            guard runs < maximumRuns else { return false }
            var scenario = candidate
            if let first { scenario.chance = first &+ offset }
            runs += 1
            guard case .broken(promise) = ClusterSimulation.run(scenario).ending else { continue }
            smallest = scenario
            report(scenario, runs)
            return true
        }
        return false
    }

    private mutating func tries(_ change: (inout Scenario) -> Void) {
        guard var candidate = smallest else { return }
        change(&candidate)
        accepts(candidate)
    }

    /// Takes away as many of some acts as can be spared: halves first, then ever smaller parts.
    private mutating func takeAwayActs(where isConcerned: (TimedAct) -> Bool) {
        guard let scenario = smallest else { return }
        var length = max(scenario.acts.filter(isConcerned).count, 1)
        while length >= 1 {
            var start = 0
            while let current = smallest, runs < maximumRuns {
                let concerned = current.acts.indices.filter { isConcerned(current.acts[$0]) }
                guard start < concerned.count else { break }
                let gone = Set(concerned[start..<min(start + length, concerned.count)])
                var candidate = current
                candidate.acts = current.acts.indices.filter { !gone.contains($0) }.map { current.acts[$0] }
                if !accepts(candidate) { start += length }
            }
            length /= 2
        }
    }

    private mutating func takeAwayNodes() {
        tries { $0.resize { $0.domains = 1 } }
        tries { $0.resize { $0.gateways = 0 } }
        for role in [\SimulationOptions.registrars, \.followers, \.routers] {
            // One at a time: what fails with three may hold with two.
            while let current = smallest, current.options[keyPath: role] > 1 {
                var candidate = current
                candidate.resize { $0[keyPath: role] -= 1 }
                if candidate.options.registrars < candidate.options.replicas { break }
                if !accepts(candidate) { break }
            }
        }
    }

    /// Takes away what goes wrong by itself.
    private mutating func calmDown() {
        let calm = SimulationOptions.calm
        let changes: [(inout SimulationOptions) -> Void] = [
            { $0.loss = 0 }, { $0.duplication = 0 }, { $0.reordering = 0 }, { $0.drift = 0 },
            { $0.vacancyHints = false }, { $0.groupSize = 0 }, { $0.quorumSize = 0 }, { $0.pin = [] },
            { $0.former = [] }, { $0.spreads = false },
            { $0.watchDelay = calm.watchDelay }, { $0.hasWatches = false },
            { $0.unanswered = 0 }, { $0.brokerDelay = min($0.brokerDelay, calm.brokerDelay) }, { $0.hasBroker = false },
            { $0.brokerQueueBytes = calm.brokerQueueBytes }, { $0.brokerSpoolBytes = calm.brokerSpoolBytes },
            { $0.coordinatorDelay = calm.coordinatorDelay },
            { $0.recentEvents = calm.recentEvents }, { $0.sliceBytes = calm.sliceBytes },
            { $0.socketBudget = calm.socketBudget }, { $0.window = calm.window },
            { $0.turnDelay = 0 }, { $0.socketDelay = 0 },
            { $0.ringEntries = calm.ringEntries }, { $0.maximumDelay = calm.maximumDelay },
            { $0.replicas = max(1, $0.replicas - 1) },
        ]
        for change in changes {
            guard let current = smallest else { return }
            var candidate = current
            change(&candidate.options)
            if candidate.options != current.options { accepts(candidate) }
        }
    }

    /// Ends soon after the last act, halves faults, and rounds times.
    private mutating func shorten() {
        for rest: Int64 in [8, 4, 2, 1] {
            let length = (smallest?.acts.last?.at ?? .zero) + .milliseconds(500 * rest)
            if let current = smallest, length < current.length { tries { $0.length = length } }
        }
        for index in (smallest?.acts ?? []).indices {
            while let act = smallest?.acts[index], case .fault(let fault, let length) = act.act,
                length > .milliseconds(200), runs < maximumRuns
            {
                guard var candidate = smallest else { return }
                candidate.acts[index].act = .fault(fault, for: .milliseconds(length.milliseconds / 2))
                if !accepts(candidate) { break }
            }
        }
        for step: Int64 in [100, 1] {
            tries { scenario in
                for index in scenario.acts.indices {
                    let time = scenario.acts[index].at.milliseconds
                    scenario.acts[index].at = .milliseconds(time / step * step)
                }
            }
        }
    }

    private mutating func leaveNothingToChance() {
        guard let current = smallest, current.options.drift == 0 else { return }
        tries { $0.chance = nil }
    }
}

extension Scenario {
    /// What is to become smaller.
    fileprivate var size: Int { acts.count + nodeCount + options.domains + Int(length.milliseconds) }

    /// Changes how many nodes or domains there are, and takes away what concerned those that are gone.
    fileprivate mutating func resize(_ change: (inout SimulationOptions) -> Void) {
        change(&options)
        if options.registrars - options.replicas < options.groupSize { options.groupSize = 0 }
        options.pin.removeAll { $0 >= options.registrars }
        let names = Set(World.names(of: options) + [World.coordinatorEnd])
        options.former.removeAll { !names.contains($0) }
        let domains = Set(World.allDomains.prefix(options.domains))
        acts = acts.compactMap { timed in
            guard timed.act.domains.allSatisfy(domains.contains) else { return nil }
            switch timed.act {
            case .ask(let wish, let gateway):
                let isThere = names.contains(gateway)
                return TimedAct(at: timed.at, act: .ask(wish, through: isThere ? gateway : NodeName("w1")))
            case .follow(let wish, let node):
                return TimedAct(at: timed.at, act: .follow(wish, at: names.contains(node) ? node : NodeName("w1")))
            case .fault(.crash(let gone, let withDisk, let torn), let length):
                let rest = gone.filter(names.contains)
                let fault = World.Fault.crash(rest, withDisk: withDisk, torn: torn)
                return rest.isEmpty ? nil : TimedAct(at: timed.at, act: .fault(fault, for: length))
            case .fault(.cut(let links), let length):
                let rest = links.filter { names.contains($0.from) && names.contains($0.to) }
                return rest.isEmpty ? nil : TimedAct(at: timed.at, act: .fault(.cut(rest), for: length))
            case .bind, .fault, .order, .serve, .compact, .leave:
                return timed.act.nodes.allSatisfy(names.contains) ? timed : nil
            }
        }
    }
}
