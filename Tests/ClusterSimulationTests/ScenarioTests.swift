import ClusterRuntime
import ClusterSimulation
import Foundation
import Testing

/// Each file of `Tests/scenarios` is a cluster, what is done to it, and everything that comes of it. To accept what has
/// changed, run with ROLLCALL_REWRITE=1 and read the difference.
struct ScenarioTests {
    private static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "scenarios")
    static let names: [String] = {
        // A directory that cannot be listed has no scenarios, which a test finds.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path())) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    private static func text(_ name: String) throws -> String {
        try String(contentsOf: directory.appending(path: name), encoding: .utf8)
    }

    @Test func thereAreScenarios() { #expect(Self.names.count >= 7) }

    @Test(arguments: names) func scenarioGoesAsWritten(name: String) throws {
        let text = try Self.text(name)
        var scenario = try Scenario(parsing: text, file: name)
        let outcome = ClusterSimulation.run(scenario, isTraced: true)
        #expect(outcome.ending == scenario.ending, "\(outcome.violations)")
        #expect(!text.contains("\nplant:") || outcome.ending != .kept, "the planted bug does no harm here")
        if ProcessInfo.processInfo.environment["ROLLCALL_REWRITE"] == "1" {
            scenario.trace = outcome.trace
            try scenario.text.write(to: Self.directory.appending(path: name), atomically: true, encoding: .utf8)
            return
        }
        let expected = try #require(scenario.trace)
        let shared = zip(expected, outcome.trace).prefix { $0 == $1 }.count
        #expect(
            expected == outcome.trace,
            """
            from line \(shared + 1) of the trace on: \(expected[shared...].prefix(3)) became \
            \(outcome.trace[shared...].prefix(3)); ROLLCALL_REWRITE=1 accepts it
            """)
        #expect(scenario.text == text, "what is written is what was read")
    }

    /// Sets and dictionaries are ordered otherwise in each process: no order of theirs may reach a decision.
    @Test func scenarioGoesAsWrittenInEveryProcess() throws {
        let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "rollcall")
        for name in ["owner-cut-off.txt", "domain-removed.txt"] {
            let path = Self.directory.appending(path: name).path()
            for _ in 1...2 {
                let process = Process()
                process.executableURL = program
                process.arguments = ["sim", "--scenario", path]
                process.environment = ProcessInfo.processInfo.environment.filter {
                    $0.key != "SWIFT_DETERMINISTIC_HASHING"
                }
                process.standardOutput = FileHandle.nullDevice
                try process.run()
                process.waitUntilExit()
                #expect(process.terminationStatus == 0, "\(name) went otherwise in another process")
            }
        }
    }

    @Test func everythingWrongIsToldWithItsLine() throws {
        let text = """
            nodes: 2 router, 0 sr
            colour: blue
            at 1s kill s9 for 2s
            at 500ms register user u1 c1 in z.example for 60s
            at 2s juggle s1
            at 1.5s move b.example to s1
            later
            """
        do throws(ScenarioFileError) {
            _ = try Scenario(parsing: text, file: "wrong.txt")
            Issue.record("nothing was wrong with it")
        } catch {
            #expect(Set(error.problems.map(\.line)) == [1, 2, 3, 4, 5, 6, 7], "\(error)")
        }
    }
}

/// A history that breaks a promise, made small enough to be read.
struct ShrinkerTests {
    @Test func aFailingHistoryBecomesSmall() throws {
        let (bug, seed) = (PlantedBug.answersBeforeStandby, 2 as UInt64)
        let whole = ClusterSimulation.run(seed: seed, plantedBug: bug)
        guard case .broken(let promise) = whole.ending else {
            Issue.record("seed \(seed) breaks nothing with \(bug.rawValue)")
            return
        }
        var shrinker = Shrinker(promise: promise, maximumRuns: 600)
        let found = shrinker.shrink(seed: seed, plantedBug: bug)
        let small = try #require(found)
        #expect(small.actCount <= 6, "\(small.text)")
        #expect(shrinker.runs <= 600)
        // It is written down whole: whoever reads the file breaks the same promise in the same way.
        let read = try Scenario(parsing: small.text, file: "small.txt")
        let again = ClusterSimulation.run(read, isTraced: true)
        #expect(again.ending == .broken(promise))
        #expect(again.trace == small.trace)
    }

    @Test func whatBreaksNothingIsNotMadeSmaller() {
        var shrinker = Shrinker(promise: "one writer", maximumRuns: 3)
        let small = shrinker.shrink(seed: 1)
        #expect(small == nil)
        #expect(shrinker.runs == 3)
    }
}
