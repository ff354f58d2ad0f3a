import Foundation

extension ClusterSimulation {
    /// Seeds of histories that once broke a promise, with what was wrong. They are run first, for ever.
    public static let seedsOfFormerBugs: [(seed: UInt64, cause: String)] = [
        (8, "an owner cut off from its standby let uncommitted entries leave the ring, and began endless snapshots"),
        (121, "a standby counted as in sync before it had dropped what the epoch's replay did not restate"),
        (
            1129,
            "an owner died before it took up its epoch, and its copy of the epoch before was not used when all was back"
        ),
    ]

    /// Runs histories on all processors.
    /// - Parameter body: is handed each outcome as it comes, one at a time, in no particular order.
    public static func run(
        seeds: some Collection<UInt64> & Sendable, plantedBug: PlantedBug? = nil, _ body: (Outcome) throws -> Void
    ) async rethrows {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            var waiting = seeds.makeIterator()
            for _ in 0..<max(1, ProcessInfo.processInfo.activeProcessorCount) {
                guard let seed = waiting.next() else { break }
                group.addTask { run(seed: seed, plantedBug: plantedBug) }
            }
            while let outcome = try await group.next() {
                try body(outcome)
                if let seed = waiting.next() { group.addTask { run(seed: seed, plantedBug: plantedBug) } }
            }
        }
    }
}
