import ClusterRuntime
import RegistrarEvents

/// A history that is written down: a cluster, what is done to it and when, and what comes of it.
///
/// Unlike a seed's history, which draws all of that, it can be read, written by hand, and made smaller.
public struct Scenario: Sendable {
    /// What a history comes to.
    public enum Ending: Hashable, Sendable {
        /// Every promise was kept.
        case kept
        /// This one was broken first.
        case broken(String)
    }

    /// What it shows, as text for people.
    public var about: [String] = []
    var options: SimulationOptions
    /// Of what is left to chance: delays, losses, when clocks tick. Nothing is without it.
    var chance: UInt64?
    /// In the order of their times.
    var acts: [TimedAct] = []
    /// When nothing is done any more, and all is healed.
    var length: Duration
    public var ending = Ending.kept
    /// The whole trace that is expected; nil when none was written yet.
    public var trace: [String]?

    init(options: SimulationOptions, chance: UInt64?, acts: [TimedAct], length: Duration) {
        self.options = options
        self.chance = chance
        self.acts = acts
        self.length = length
    }

    public var actCount: Int { acts.count }
    public var nodeCount: Int { World.names(of: options).count }
}

extension SimulationOptions {
    /// Nothing goes wrong by itself, and every message takes a millisecond.
    static let calm = SimulationOptions(
        faultyTime: .zero, accounts: 0, requestsPerSecond: 1, loss: 0, duplication: 0, reordering: 0, maximumDelay: 2,
        faults: [], ringEntries: 65_536, replicas: 2, shortLived: 0, plantedBug: nil, domains: 1, routers: 1,
        registrars: 2, followers: 1)
}

extension ClusterSimulation {
    /// The history of a seed, with all that is done from outside written down.
    ///
    /// It is not quite the same history: what is left to chance falls out otherwise. `rollcall sim --shrink` looks for
    /// a chance with which it breaks the same promise.
    static func scenario(ofSeed seed: UInt64, plantedBug: PlantedBug? = nil, isPlain: Bool = false) -> Scenario {
        var world = drawn(
            seed: seed, plantedBug: plantedBug, isTraced: false, isPlain: isPlain, isRecorded: true)
        let length = Duration.seconds(2) + world.options.faultyTime
        world.run(until: world.now + length)
        return Scenario(options: world.options, chance: seed, acts: world.acts, length: length)
    }

    /// Runs a history that was written down.
    public static func run(_ scenario: Scenario, isTraced: Bool = false) -> Outcome {
        var world = World(options: scenario.options, seed: scenario.chance, isTraced: isTraced)
        world.plan(scenario.acts)
        let ends = scenario.acts.map { timed in
            if case .fault(_, let length) = timed.act { timed.at + length } else { timed.at }
        }
        let healed = World.beginning + ([scenario.length] + ends).max()! + .milliseconds(100)
        return finish(&world, end: World.beginning + scenario.length, healed: healed, seed: scenario.chance ?? 0)
    }
}
