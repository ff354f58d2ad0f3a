import ArgumentParser
import ClusterRuntime
import Drills
import Foundation

struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Drill a cluster for hours, in an order chosen by chance, and watch that nothing grows.",
        discussion: """
            Starts a cluster of the topology with a private copy of its files and does one drill after the other to \
            it. A drill file without steps gives a load, for which faults are chosen; one with steps is taken as it \
            is. What is chosen depends on the seed, which is printed first, and on whether half of the time (or of the \
            rounds) is over: from then on no process is killed, so that each node lives long enough to be judged. \
            After each round, when the load is gone and every fault is taken back, the memory, descriptors and threads \
            of each node are noted. Ends with what was injected, acknowledged and broken, and with the curves. Exits \
            with 1 when a promise was broken, a node grew, or one was not judged in 20 rounds or more.

            Example: rollcall soak topology/local.yaml drills/soak-rest.yaml drills/soak-phones.yaml --minutes 30
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The drill files.", completion: .file(extensions: ["yaml", "yml"]))
    var drills: [String]
    @Option(help: "No round begins after so many minutes.")
    var minutes = 60.0
    @Option(help: "Most rounds; as many as there is time for without it.")
    var rounds: Int?
    @Option(help: "Decides what is done; chosen by chance when left out.")
    var seed: UInt64?
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard !drills.isEmpty else { throw ValidationError("no drill file; expected at least one") }
        guard minutes > 0, minutes <= 10_000 else {
            throw ValidationError("--minutes is \(minutes); expected at most 10000")
        }
        if let rounds, rounds < 1 { throw ValidationError("--rounds is \(rounds); expected at least 1") }
    }

    func run() async throws {
        let run = SoakRun(
            topology: try topology.load(), drills: try drills.map { try DrillFile.load(path: $0) },
            executable: Executable.path, duration: .seconds(minutes * 60), rounds: rounds ?? .max,
            seed: seed ?? UInt64.random(in: 0...UInt64(UInt32.max)), credentials: DrillCommand.credentials,
            progress: { Console.error($0) })
        signal(SIGPIPE, SIG_IGN)
        guard let report = try await TerminationSignals.run({ try await run.run() }) else {
            throw CommandFailure.no("the soak was stopped; nothing is proved")
        }
        if json.isOn { try Console.json(report) } else { Console.line(SoakText(report).text) }
        guard report.ok else { throw CommandFailure.no() }
    }
}

/// A soak's report as tables.
struct SoakText {
    private let report: SoakReport

    init(_ report: SoakReport) { self.report = report }

    var text: String {
        let minutes = (report.seconds / 6).rounded() / 10
        var faults = Table("faults", "injected")
        for (kind, count) in report.faults.sorted(by: { $0.key < $1.key }) { faults.row("  \(kind)", String(count)) }
        var result = Table("soak, seed \(report.seed):", report.ok ? "passed" : "FAILED")
        result.row("  minutes, rounds", "\(minutes), \(report.rounds)")
        result.row("  faults injected", String(report.faults.values.reduce(0, +)))
        result.row("  acknowledged, failed", "\(report.acknowledged), \(report.failed)")
        result.row("  events delivered", String(report.delivered))
        result.row(
            "  lost, stale, duplicated, order", "\(report.lost), \(report.stale), \(report.duplicated), \(report.order)"
        )
        var texts = [faults.text, curves, result.text]
        texts += (report.violations + report.abandoned).map { "  - \($0)" }
        return texts.joined(separator: "\n")
    }

    private var curves: String {
        var table = Table(
            "node", "lives", "MiB: first last most", "growth", "an hour", "", "descriptors", "growth", "threads",
            "growth", "")
        for node in report.nodes {
            let memory = node.bytes
            table.row(
                node.name, String(node.lives),
                "\(Self.mebibytes(memory.first)) \(Self.mebibytes(memory.last)) \(Self.mebibytes(memory.most))",
                Self.growth(memory, divisor: 1_048_576), memory.growthPerHour.map(Self.mebibytes) ?? "-", memory.curve,
                node.descriptors.curve, Self.growth(node.descriptors), node.threads.curve, Self.growth(node.threads),
                Self.verdict(node))
        }
        return table.text
    }

    private static func verdict(_ node: SoakReport.Node) -> String {
        node.isFlat.map { $0 ? "flat" : "GROWS" } ?? "not judged"
    }

    private static func mebibytes(_ bytes: Double) -> String { "\((bytes / 104_857.6).rounded() / 10)" }

    /// What it grew by, of how much is allowed.
    private static func growth(_ course: SoakReport.Course, divisor: Double = 1) -> String {
        guard let growth = course.growth else { return "-" }
        return "\((growth / divisor * 10).rounded() / 10)/\(Int(course.allowance / divisor))"
    }
}
