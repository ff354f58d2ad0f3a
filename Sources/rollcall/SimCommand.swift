import ArgumentParser
import ClusterRuntime
import ClusterSimulation

struct SimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sim",
        abstract: "Run the cluster's own machines through seeded histories of failures, and check every promise.",
        discussion: """
            Network, clocks, crashes and load come from a seed, so a history that breaks a promise can be run again \
            and again. The seeds are printed first; without --seed those that once found a bug are run before all \
            others. All processors are used. Exits with 1 when a promise was broken.

            With --shrink a history that breaks one (the first, of many) is made smaller for as long as it breaks the \
            same one, and written as a scenario file: a cluster, what is done to it, and the whole trace of it. \
            --scenario runs such a file and holds what comes of it against the trace.

            Example: rollcall sim --seeds 1000
                     rollcall sim --seed 42 --trace
                     rollcall sim --seed 42 --shrink --output lost.txt
                     rollcall sim --scenario Tests/scenarios/owner-killed.txt
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
    @Flag(help: "Make the first history that breaks a promise smaller, and write it as a scenario file.")
    var shrink = false
    @Option(
        help: ArgumentHelp(
            "Where --shrink writes; seed-SEED.txt in the current directory when left out.", valueName: "file"))
    var output: String?
    @Option(
        help: ArgumentHelp(
            "Run a scenario file instead, and exit with 1 when its trace is not what it says.", valueName: "file"))
    var scenario: String?
    @Flag(help: "With --scenario: write what comes of it into the file as what is expected.")
    var rewrite = false
    @OptionGroup var json: JSONOption

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
        if trace, shrink { throw ValidationError("--trace with --shrink, which prints a trace anyway; expected one") }
        if output != nil, !shrink { throw ValidationError("--output without --shrink; expected both") }
        if rewrite, scenario == nil { throw ValidationError("--rewrite without --scenario; expected both") }
        if scenario != nil, seed != nil || shrink || plant != nil {
            throw ValidationError("--scenario with --seed, --shrink or --plant; expected it alone: the file says all")
        }
    }

    func run() async throws {
        if let scenario { return try ScenarioRun(path: scenario, rewrites: rewrite, isJSON: json.isOn).run() }
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
        guard let failing = tally.failing.min() else { return }
        if shrink { try makeSmaller(failing, promise: tally.endings[failing]) }
        throw CommandFailure.no()
    }

    /// Writes the smallest history that breaks the same promise as the seed's.
    private func makeSmaller(_ failing: UInt64, promise: Scenario.Ending?) throws {
        guard case .broken(let promise) = promise else { return }
        Console.error("Making seed \(failing) smaller for as long as it breaks \"\(promise)\"")
        var spokeAt = SystemClock.monotonic()
        var shrinker = Shrinker(promise: promise) { scenario, runs in
            guard SystemClock.monotonic() - spokeAt >= .seconds(2) else { return }
            spokeAt = SystemClock.monotonic()
            Console.error("\(runs) histories: \(scenario.actCount) acts, \(scenario.nodeCount) nodes")
        }
        guard var scenario = shrinker.shrink(seed: failing, plantedBug: plantedBug) else {
            Console.error("With what it does from outside and another chance, no history of \(shrinker.runs) breaks it")
            return
        }
        let planted = plant.map { " --plant \($0)" } ?? ""
        scenario.about = ["What is left of seed \(failing) (rollcall sim --seed \(failing)\(planted) --shrink)."]
        if !json.isOn { for line in scenario.trace ?? [] { Console.line(line) } }
        let path = output ?? "seed-\(failing).txt"
        try ScenarioRun.write(scenario, to: path)
        Console.error(
            "\(scenario.actCount) acts and \(scenario.nodeCount) nodes are left after \(shrinker.runs) histories: "
                + "rollcall sim --scenario \(path)")
    }

    private var plantedBug: PlantedBug? { plant.flatMap { PlantedBug(rawValue: $0) } }

    private func runMany(_ tally: inout SimulationTally) async {
        let former = seed == nil ? ClusterSimulation.formerBugs.count : 0
        let first = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let seeds = first...(first + UInt64(count) - 1)
        let formerText = former == 0 ? "" : ", after \(former) of former bugs"
        Console.error("Seeds \(seeds.lowerBound) to \(seeds.upperBound)\(formerText)")
        let total = former + count
        let display = SimulationDisplay(total: total)
        func take(_ outcome: ClusterSimulation.Outcome) {
            tally.add(outcome)
            if !outcome.isGood {
                display.pause()
                report(outcome)
            }
            display.show(tally)
        }
        if former > 0 { ClusterSimulation.runFormerBugs(plantedBug: plantedBug, take) }
        await ClusterSimulation.run(seeds: seeds, plantedBug: plantedBug, take)
        display.end(tally)
    }

    private func report(_ outcome: ClusterSimulation.Outcome) {
        let planted = plant.map { " --plant \($0)" } ?? ""
        let violations = outcome.violations.map { "  \($0)" }.joined(separator: "\n")
        let again = "rollcall sim --seed \(outcome.seed)\(planted) --trace, or --shrink"
        let text = "seed \(outcome.seed) broke a promise (\(again)):\n" + violations
        if json.isOn { Console.error(text) } else { Console.line(text) }
    }
}
