import ClusterSimulation
import Foundation
import Testing

/// Whole clusters through seeded histories. `make sim` runs many more.
struct SimulationTests {
    @Test func promisesAreKeptInSeededHistories() async {
        var broken: [String] = []
        var acknowledged = 0
        var moves = 0
        var removals = 0
        var nodesRemoved = 0
        var exchanges = 0
        var delivered = 0
        var duplicates = 0
        var quietPoints = 0
        var resumed = 0
        var relisted = 0
        await ClusterSimulation.run(seeds: Array(1...40 as ClosedRange<UInt64>)) { outcome in
            acknowledged += outcome.acknowledged
            moves += outcome.moves
            removals += outcome.removals
            nodesRemoved += outcome.nodesRemoved
            exchanges += outcome.exchanges
            delivered += outcome.delivered
            duplicates += outcome.duplicates
            quietPoints += outcome.quietPoints
            resumed += outcome.resumed
            relisted += outcome.relisted
            if !outcome.isGood { broken.append("seed \(outcome.seed): \(outcome.violations)") }
        }
        #expect(broken.isEmpty, "rollcall sim --seed N --trace shows the history")
        #expect(acknowledged > 5_000, "histories without load prove nothing")
        #expect(moves > 20, "histories without moves prove nothing of them")
        #expect(removals > 3, "nor do histories in which no domain is removed")
        #expect(nodesRemoved > 0, "or no node")
        #expect(exchanges > 10, "nor do those of a single version")
        #expect(delivered > 2_000 && duplicates > 50, "nor those in which the destination gets nothing, or all once")
        #expect(quietPoints > 20, "nor those that are looked at only at their ends")
        #expect(resumed > 20 && relisted > 5, "nor those in which nobody goes on where they were, or nobody cannot")
    }

    @Test func formerBugsStayAway() async {
        ClusterSimulation.runFormerBugs { outcome in
            #expect(outcome.isGood, "seed \(outcome.seed): \(outcome.violations)")
        }
    }

    /// A simulator that finds nothing wrong with these proves nothing by finding nothing wrong.
    @Test(arguments: PlantedBug.allCases) func plantedBugIsFound(bug: PlantedBug) {
        let seeds = 1...PlantedBug.patience
        let found = seeds.first { seed in
            ClusterSimulation.run(seed: seed, plantedBug: bug).violations.contains { $0.hasPrefix("\(bug.promise):") }
        }
        #expect(found != nil, "\(bug.rawValue) went unnoticed in \(seeds.count) histories")
    }

    @Test func aSeedIsOneHistory() {
        let first = ClusterSimulation.run(seed: 77, isTraced: true)
        let second = ClusterSimulation.run(seed: 77, isTraced: true)
        #expect(first.trace == second.trace)
        #expect(first.trace.count > 100)
    }

    /// Sets and dictionaries are ordered otherwise in each process: no order of theirs may reach a decision.
    @Test func aSeedIsOneHistoryInEveryProcess() throws {
        let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "rollcall")
        let traces = try (1...2).map { _ in
            let process = Process()
            process.executableURL = program
            process.arguments = ["sim", "--seed", "78", "--trace"]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return data
        }
        #expect(traces[0] == traces[1])
        #expect(traces[0].count > 10_000)
    }
}
