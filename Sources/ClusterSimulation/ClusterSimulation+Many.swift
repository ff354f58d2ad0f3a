import Foundation

extension ClusterSimulation {
    /// A history that once broke a promise, and what was wrong.
    public struct FormerBug: Sendable {
        public let seed: UInt64
        /// Whether it is a history of the first kind, of before there were others.
        public let isPlain: Bool
        public let cause: String
    }

    /// They are run first, for ever.
    public static let formerBugs: [FormerBug] = [
        FormerBug(
            seed: 8, isPlain: true,
            cause:
                "an owner cut off from its standby let uncommitted entries leave the ring, and began endless "
                + "snapshots"),
        FormerBug(
            seed: 121, isPlain: true,
            cause: "a standby counted as in sync before it had dropped what the epoch's replay did not restate"),
        FormerBug(
            seed: 1129, isPlain: true,
            cause:
                "an owner died before it took up its epoch, and its copy of the epoch before was not used when "
                + "all was back"
        ),
        FormerBug(
            seed: 2, isPlain: false,
            cause:
                "a copy that was brought up to date from the log counted times to live from then, so that contacts "
                + "outlived a failover"
        ),
        FormerBug(
            seed: 344, isPlain: false,
            cause:
                "a follower that was handed more events at once than it keeps sent subscribers of states, too, back to "
                + "a list of a moment ago"
        ),
        FormerBug(
            seed: 2_002_521, isPlain: false,
            cause:
                "an owner whose domain was put back amid its removal took in registrations that the clear it had asked "
                + "for before then voided"
        ),
        FormerBug(
            seed: 2_008_599, isPlain: false,
            cause:
                "an owner that had handed its domain over, and took it over again before it had heard the next one, "
                + "granted nobody the outage between"
        ),
        FormerBug(
            seed: 6_000_007, isPlain: false,
            cause:
                "when all registrars had been away for longer than the grace, the first to come back began domains "
                + "with what it had"
        ),
        FormerBug(
            seed: 4_008_962_751, isPlain: false,
            cause:
                "an owner that was still restating answered that there was nothing to unregister, which a standby had "
                + "and brought back when it was promoted"
        ),
        FormerBug(
            seed: 7_002_472, isPlain: false,
            cause:
                "an owner served again that could not reach a router for its clear, which then voided what it had "
                + "taken in by then"
        ),
        FormerBug(
            seed: 128_872_673, isPlain: false,
            cause:
                "a drain had the only other copy dropped before routers knew that the owner had died with an end of "
                + "its journal missing"
        ),
        FormerBug(
            seed: 2_113_693_633, isPlain: false,
            cause:
                "a follower sent subscribers of net changes a list of a moment ago once more, with what a replay had "
                + "not restated"
        ),
    ]

    /// Runs the histories of former bugs.
    public static func runFormerBugs(plantedBug: PlantedBug? = nil, _ body: (Outcome) throws -> Void) rethrows {
        for bug in formerBugs { try body(run(seed: bug.seed, plantedBug: plantedBug, isPlain: bug.isPlain)) }
    }

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
