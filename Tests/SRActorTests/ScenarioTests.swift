import Foundation
import Testing

/// Scenarios with their whole traces, in `Scenarios/`. After a wanted change of behaviour run the tests once with
/// ROLLCALL_REWRITE=1 and read the difference.
struct ScenarioTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Scenarios")

    private static let names = [
        "write-and-commit", "failover", "standby-joins", "deposed-owner", "expiry-after-failover", "clear",
        "hand-over",
    ]

    @Test(arguments: names)
    func theTraceIsAsWritten(name: String) throws {
        let file = Self.folder.appending(path: name + ".txt")
        let script = try String(contentsOf: file, encoding: .utf8)
        let result = try Scenario.rewritten(script)
        if ProcessInfo.processInfo.environment["ROLLCALL_REWRITE"] == "1" {
            try Data(result.utf8).write(to: file)
            return
        }
        guard result != script else { return }
        let lines = zip(
            script.split(separator: "\n", omittingEmptySubsequences: false),
            result.split(separator: "\n", omittingEmptySubsequences: false))
        let first = lines.enumerated().first { $1.0 != $1.1 }
        Issue.record(
            """
            \(name).txt, line \((first?.offset ?? -1) + 1):
            expected \(first?.element.0 ?? "(the end)")
            got      \(first?.element.1 ?? "(the end)")
            """)
    }

    @Test func everyScenarioIsRun() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(files.filter { $0.hasSuffix(".txt") }.sorted() == Self.names.map { $0 + ".txt" }.sorted())
    }

    @Test func aMistakeInAScriptIsNamed() {
        for line in ["dance a", "lease a", "lease a soon", "assign owner=a"] {
            let error = #expect(throws: Scenario.Problem.self) { try Scenario.rewritten("nodes a\n----\n\n" + line) }
            #expect(error?.description.hasPrefix(line) == true)
        }
    }
}
