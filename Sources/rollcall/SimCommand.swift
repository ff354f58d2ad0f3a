import ArgumentParser
import ClusterRuntime
import ClusterSimulation

struct SimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sim",
        abstract: "Run the cluster's own machines through seeded histories of failures, and check every promise.",
        discussion: """
            Network, clocks, crashes and load come from a seed, so a history that breaks a promise can be run again and
            again. The seeds are printed first; without --seed those that once found a bug are run before all others.
            All processors are used. Exits with 1 when a promise was broken.

            Example: rollcall sim --seeds 1000
                     rollcall sim --seed 42 --trace
            """)

    @Option(help: "The first seed; chosen by chance when left out.")
    var seed: UInt64?
    @Option(
        name: [.customLong("seeds"), .customLong("count")],
        help: "How many histories, with one seed after the other.")
    var count = 100
    @Flag(help: "Print the whole history (with --seed, which then stands for one history).")
    var trace = false
    @Flag(help: "With --trace: a history of the first kind, as those of former bugs: three sr nodes, equal clocks.")
    var plain = false
    @Option(
        help: ArgumentHelp(
            "Plant a bug that must be found: \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "bug"))
    var plant: String?
    @OptionGroup var json: JSONOption

    /// How often it says how far it has come.
    static let progressInterval: Duration = .seconds(5)

    func validate() throws {
        guard (1...10_000_000).contains(count) else {
            throw ValidationError("--seeds is \(count); expected 1 to 10000000")
        }
        if let seed, seed > UInt64.max - UInt64(count) {
            throw ValidationError("--seed is \(seed); expected at most \(UInt64.max - UInt64(count))")
        }
        if let plant, PlantedBug(rawValue: plant) == nil {
            let known = PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no bug \(plant) to plant; expected one of \(known)")
        }
        if plain, !trace { throw ValidationError("--plain without --trace; expected both") }
        if trace, seed == nil { throw ValidationError("--trace without --seed; expected both") }
    }

    func run() async throws {
        var tally = SimulationTally()
        if trace, let seed {
            let outcome = ClusterSimulation.run(seed: seed, plantedBug: plantedBug, isTraced: true, isPlain: plain)
            for line in outcome.trace { Console.line(line) }
            tally.add(outcome)
        } else {
            await runMany(&tally)
        }
        if json.isOn {
            try Console.json(tally.document(in: tally.elapsed))
        } else {
            // The speed of a single traced history says nothing, and its output is to be compared.
            Console.line(tally.text(in: trace ? nil : tally.elapsed))
        }
        guard tally.failing.isEmpty else { throw CommandFailure.no() }
    }

    private var plantedBug: PlantedBug? { plant.flatMap { PlantedBug(rawValue: $0) } }

    private func runMany(_ tally: inout SimulationTally) async {
        let former = seed == nil ? ClusterSimulation.formerBugs.count : 0
        let first = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let seeds = first...(first + UInt64(count) - 1)
        let formerText = former == 0 ? "" : ", after \(former) of former bugs"
        Console.error("Seeds \(seeds.lowerBound) to \(seeds.upperBound)\(formerText)")
        let total = former + count
        var spokeAt = SystemClock.monotonic()
        func take(_ outcome: ClusterSimulation.Outcome) {
            tally.add(outcome)
            if !outcome.isGood { report(outcome) }
            guard SystemClock.monotonic() - spokeAt >= Self.progressInterval else { return }
            spokeAt = SystemClock.monotonic()
            Console.error("\(tally.histories) of \(total) histories, \(tally.failing.count) broke a promise")
        }
        if former > 0 { ClusterSimulation.runFormerBugs(plantedBug: plantedBug, take) }
        await ClusterSimulation.run(seeds: seeds, plantedBug: plantedBug, take)
    }

    private func report(_ outcome: ClusterSimulation.Outcome) {
        let planted = plant.map { " --plant \($0)" } ?? ""
        let violations = outcome.violations.map { "  \($0)" }.joined(separator: "\n")
        let text =
            "seed \(outcome.seed) broke a promise (rollcall sim --seed \(outcome.seed)\(planted) --trace):\n"
            + violations
        if json.isOn { Console.error(text) } else { Console.line(text) }
    }
}

/// What many histories came to.
struct SimulationTally {
    private(set) var histories = 0
    /// Seeds of the histories that broke a promise.
    private(set) var failing: [UInt64] = []
    private var steps = 0
    private var acknowledged = 0
    private var unknown = 0
    private var moves = 0
    private var removals = 0
    private var simulated: Duration = .zero
    private let start = SystemClock.monotonic()

    struct Document: Encodable {
        let ok: Bool
        let histories: Int
        let steps: Int
        let acknowledged: Int
        let unknown: Int
        let moves: Int
        let removals: Int
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
        simulated += outcome.simulated
        if !outcome.isGood { failing.append(outcome.seed) }
    }

    func document(in time: Duration) -> Document {
        Document(
            ok: failing.isEmpty, histories: histories, steps: steps, acknowledged: acknowledged, unknown: unknown,
            moves: moves, removals: removals,
            simulated_h: Self.rounded(simulated / .seconds(3_600)), seconds: Self.rounded(time / .seconds(1)),
            histories_per_s: Self.rounded(rate(in: time)), broken: failing.count, failing_seeds: failing.sorted())
    }

    /// - Parameter time: nil to leave the speed out.
    func text(in time: Duration?) -> String {
        let speed = time.map { ", \(Self.rounded(rate(in: $0))) histories/s" } ?? ""
        let hours = Self.rounded(simulated / .seconds(3_600))
        return "\(histories) histories, \(steps) steps, \(acknowledged) acknowledged operations, \(moves) moves, "
            + "\(removals) removals of domains, \(hours) simulated hours\(speed), \(failing.count) broken"
    }

    private func rate(in time: Duration) -> Double { Double(histories) / max(time / .seconds(1), 0.001) }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
