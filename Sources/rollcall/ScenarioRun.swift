import ClusterRuntime
import ClusterSimulation
import Foundation

/// Runs a scenario file for `rollcall sim --scenario`.
struct ScenarioRun {
    let path: String
    let rewrites: Bool
    let isJSON: Bool

    private struct Document: Encodable {
        let ok: Bool
        let as_expected: Bool
        let violations: [String]
        let trace: [String]
    }

    /// Lines of the trace that are shown before the first that differs, and from there on.
    private static let linesBefore = 3
    private static let linesAfter = 12

    func run() throws {
        var scenario = try read()
        let outcome = ClusterSimulation.run(scenario, isTraced: true)
        let isAsExpected =
            outcome.ending == scenario.ending && (scenario.trace.map { $0 == outcome.trace } ?? true)
        if isJSON {
            try Console.json(
                Document(
                    ok: outcome.isGood, as_expected: isAsExpected, violations: outcome.violations,
                    trace: outcome.trace))
        } else {
            for line in outcome.trace { Console.line(line) }
        }
        // What a file that has a trace comes to is not changed in passing: it may have lost what it was written for.
        if rewrites, scenario.trace == nil || outcome.ending == scenario.ending {
            (scenario.trace, scenario.ending) = (outcome.trace, outcome.ending)
            return try Self.write(scenario, to: path)
        }
        guard !isAsExpected else { return }
        throw CommandFailure.no("\(path): \(Self.difference(scenario, outcome))")
    }

    private func read() throws -> Scenario {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw CommandFailure.badInput("cannot read \(path): \(error.localizedDescription)")
        }
        do throws(ScenarioFileError) {
            return try Scenario(parsing: text, file: path)
        } catch {
            throw CommandFailure.badInput(error.description)
        }
    }

    static func write(_ scenario: Scenario, to path: String) throws {
        do {
            try scenario.text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw CommandFailure.badInput("cannot write \(path): \(error.localizedDescription)")
        }
    }

    private static func difference(_ scenario: Scenario, _ outcome: ClusterSimulation.Outcome) -> String {
        if outcome.ending != scenario.ending {
            return "expected \(scenario.ending), and it was \(outcome.ending); `breaks:` says which promise has to"
        }
        let expected = scenario.trace ?? []
        let shared = zip(expected, outcome.trace).prefix { $0 == $1 }.count
        let start = max(0, shared - linesBefore)
        let same = expected[start..<shared].map { "  \($0)" }
        let missing = expected[shared...].prefix(linesAfter).map { "- \($0)" }
        let extra = outcome.trace[shared...].prefix(linesAfter).map { "+ \($0)" }
        return "the trace differs from line \(shared + 1) on (--rewrite writes it as it is now)\n"
            + (same + missing + extra).joined(separator: "\n")
    }
}
