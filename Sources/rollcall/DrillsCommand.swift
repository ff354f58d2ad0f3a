import ArgumentParser
import ClusterRuntime
import Drills
import Foundation
import NodeProcesses

struct DrillsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drills",
        abstract: "Run drills one after the other, and print one table of what they found.",
        discussion: """
            Each runs by itself, as `rollcall drill` does, on the topology that it names. All of them run, also after \
            one that failed; what a failed one printed is shown. Exits with 1 when one did not pass.

            A drill whose topology has machines of their own needs a private network, which takes root or user \
            namespaces, /dev/net/tun, and Debian's iproute2 and util-linux. Where there is none it fails, unless \
            --without-network allows to leave it out.

            Example: rollcall drills drills/kill-owner.yaml drills/cut-owner.yaml
            """)

    @Argument(help: "The drill files.", completion: .file(extensions: ["yaml", "yml"]))
    var files: [String]
    @Flag(help: "Where this machine makes no networks, leave the drills out that need one.")
    var withoutNetwork = false
    @OptionGroup var json: JSONOption

    func run() async throws {
        let plans = try files.map { file in
            let drill = try DrillFile.load(path: file)
            return (drill: drill, topology: try Topology.load(path: drill.topology))
        }
        let problems = plans.flatMap { $0.drill.problems(with: $0.topology) }
        guard problems.isEmpty else { throw DrillFailure.badFile(problems) }
        let refusal = await PrivateNetwork.refusal()
        let mayLeaveOut = withoutNetwork
        signal(SIGPIPE, SIG_IGN)
        let start = SystemClock.monotonic()
        let outcomes = try await TerminationSignals.run {
            var outcomes: [DrillOutcome] = []
            for (number, plan) in plans.enumerated() {
                Console.error("\(number + 1) of \(plans.count): \(plan.drill.name) (\(plan.drill.file))")
                if let refusal, mayLeaveOut, plan.drill.needsPrivateNetwork(on: plan.topology) {
                    Console.error("    NOT RUN: this machine makes no private network: \(refusal)")
                    outcomes.append(DrillOutcome(plan.drill, .leftOut))
                    continue
                }
                let outcome = try await Self.carryOut(plan.drill, plan.topology)
                Console.error("    \(outcome.verdict)")
                outcomes.append(outcome)
            }
            return outcomes
        }
        guard let outcomes else { throw CommandFailure.no("the drills were stopped") }
        if json.isOn {
            try Console.json(outcomes.compactMap(\.report))
        } else {
            Console.line(DrillOutcome.table(outcomes))
        }
        let passed = outcomes.count { $0.report?.ok == true }
        let leftOut = outcomes.count { $0.isLeftOut }
        Console.error(
            "\(passed) of \(outcomes.count) drills passed in \((SystemClock.monotonic() - start).components.seconds) s"
                + (leftOut > 0 ? "; \(leftOut) NOT RUN for want of a private network" : ""))
        guard passed + leftOut == outcomes.count else { throw CommandFailure.no() }
    }

    /// One drill, in a process of its own: it may have to become another one to get its network.
    private static func carryOut(_ drill: DrillFile, _ topology: Topology) async throws -> DrillOutcome {
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("rollcall-drills-\(getpid())-\(UInt32.random(in: 0 ... .max))").path
        defer { try? FileManager.default.removeItem(atPath: log) }  // Left behind in /tmp, it does no harm.
        let process = try await ChildProcess.start(
            .init(
                executable: Executable.path, arguments: ["drill", topology.file, drill.file, "--json"],
                environment: [ParentWatch.variable: String(getpid())], log: log))
        let ending = await withTaskCancellationHandler {
            await process.wait()
        } onCancel: {
            process.signal(SIGTERM)
        }
        try Task.checkCancellation()
        let printed = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let report = printed.split(separator: "\n").reversed().lazy.compactMap { line in
            // The others are for people.
            try? JSONDecoder().decode(DrillReport.self, from: Data(line.utf8))
        }.first
        if ending != .exited(0) { Console.error(printed) }
        guard let report else { return DrillOutcome(drill, .notCarriedOut(ending)) }
        return DrillOutcome(drill, .report(report))
    }
}

/// What became of one drill of several.
struct DrillOutcome {
    enum Result {
        case report(DrillReport)
        /// It did not come to a judgement.
        case notCarriedOut(ChildProcess.Ending)
        case leftOut
    }

    private let drill: DrillFile
    private let result: Result

    init(_ drill: DrillFile, _ result: Result) {
        self.drill = drill
        self.result = result
    }

    var report: DrillReport? {
        if case .report(let report) = result { report } else { nil }
    }

    var isLeftOut: Bool {
        if case .leftOut = result { true } else { false }
    }

    var verdict: String {
        switch result {
        case .report(let report): report.ok ? "passed" : "FAILED"
        case .notCarriedOut(let ending): "FAILED (\(ending))"
        case .leftOut: "NOT RUN"
        }
    }

    static func table(_ outcomes: [DrillOutcome]) -> String {
        var table = Table(
            "drill", "faults", "acknowledged", "lost", "stale", "duplicated", "detect", "accept", "converge", "verdict")
        for outcome in outcomes {
            let report = outcome.report
            let counts = [report?.acknowledged, report?.lost, report?.stale, report?.duplicated]
                .map { $0.map(String.init) ?? "-" }
            let times = [report?.detect, report?.accept, report?.converge]
                .map { $0.map { "\(Int($0.rounded())) ms" } ?? "-" }
            table.row(
                (outcome.drill.file as NSString).lastPathComponent.replacing(".yaml", with: ""),
                outcome.drill.faults.joined(separator: ", "), counts[0], counts[1], counts[2], counts[3], times[0],
                times[1], times[2], outcome.verdict)
        }
        return table.text
    }
}
