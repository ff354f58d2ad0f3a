import ClusterRuntime
import ClusterSimulation

/// What many histories came to.
struct SimulationTally {
    private(set) var histories = 0
    /// Seeds of the histories that broke a promise.
    private(set) var failing: [UInt64] = []
    /// Which promise each of them broke first.
    private(set) var endings: [UInt64: Scenario.Ending] = [:]
    private var steps = 0
    private var acknowledged = 0
    private var unknown = 0
    private var moves = 0
    private var removals = 0
    private var nodesRemoved = 0
    private var exchanges = 0
    private var quietPoints = 0
    private var losses = 0
    private var resumed = 0
    private var relisted = 0
    private var delivered = 0
    private var duplicates = 0
    private(set) var simulated: Duration = .zero
    private let start = SystemClock.monotonic()

    struct Document: Encodable {
        let ok: Bool
        let histories: Int
        let steps: Int
        let acknowledged: Int
        let unknown: Int
        let moves: Int
        let removals: Int
        let nodes_removed: Int
        let exchanges: Int
        let quiet_points: Int
        let allowed_losses: Int
        let resumed: Int
        let relisted: Int
        let delivered: Int
        let duplicates: Int
        let simulated_h: Double
        let seconds: Double
        let histories_per_s: Double
        let broken: Int
        let failing_seeds: [UInt64]
    }

    var elapsed: Duration { SystemClock.monotonic() - start }

    mutating func add(_ outcome: ClusterSimulation.Outcome) {
        histories += 1
        steps += outcome.steps
        acknowledged += outcome.acknowledged
        unknown += outcome.unknown
        moves += outcome.moves
        removals += outcome.removals
        nodesRemoved += outcome.nodesRemoved
        exchanges += outcome.exchanges
        quietPoints += outcome.quietPoints
        losses += outcome.losses
        resumed += outcome.resumed
        relisted += outcome.relisted
        delivered += outcome.delivered
        duplicates += outcome.duplicates
        simulated += outcome.simulated
        guard !outcome.isGood else { return }
        failing.append(outcome.seed)
        endings[outcome.seed] = outcome.ending
    }

    func document(in time: Duration) -> Document {
        Document(
            ok: failing.isEmpty, histories: histories, steps: steps, acknowledged: acknowledged, unknown: unknown,
            moves: moves, removals: removals, nodes_removed: nodesRemoved, exchanges: exchanges,
            quiet_points: quietPoints, allowed_losses: losses, resumed: resumed, relisted: relisted,
            delivered: delivered, duplicates: duplicates,
            simulated_h: Self.rounded(simulated / .seconds(3_600)), seconds: Self.rounded(time / .seconds(1)),
            histories_per_s: Self.rounded(rate(in: time)), broken: failing.count, failing_seeds: failing.sorted())
    }

    /// - Parameter time: nil to leave the speed out.
    func text(in time: Duration?) -> String {
        let speed = time.map { ", \(Self.rounded(rate(in: $0))) histories/s" } ?? ""
        let hours = Self.rounded(simulated / .seconds(3_600))
        return "\(histories) histories, \(steps) steps, \(acknowledged) acknowledged operations, \(moves) moves, "
            + "\(removals) removals of domains, \(nodesRemoved) of nodes, \(exchanges) changes of version, "
            + "\(quietPoints) quiet points, \(losses) losses after the grace, "
            + "\(resumed) resumptions (\(relisted) more by a list), "
            + "\(delivered) events delivered (\(duplicates) again), \(hours) simulated hours\(speed), "
            + "\(failing.count) broken"
    }

    func rate(in time: Duration) -> Double { Double(histories) / max(time / .seconds(1), 0.001) }

    static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
