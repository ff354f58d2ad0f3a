/// The figures of several runs of one drill.
package struct DrillSummary: Codable, Hashable, Sendable {
    package var drill: String
    package var runs: Int
    /// Runs that passed.
    package var passed: Int
    package var detect: Spread?
    package var accept: Spread?
    package var gap: Spread?
    package var converge: Spread?

    /// Over the runs in which it happened, in milliseconds.
    package struct Spread: Codable, Hashable, Sendable {
        package var median: Double
        package var p99: Double
        package var max: Double

        enum CodingKeys: String, CodingKey {
            case median = "p50"
            case p99, max
        }

        /// By nearest rank: each figure is one that was measured. Nil when there are none.
        package init?(_ values: [Double]) {
            let sorted = values.sorted()
            guard let last = sorted.last else { return nil }
            func rank(_ share: Double) -> Double {
                sorted[Swift.min(sorted.count - 1, Swift.max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1))]
            }
            median = rank(0.5)
            p99 = rank(0.99)
            max = last
        }
    }

    enum CodingKeys: String, CodingKey {
        case drill, runs, passed
        case detect = "detect_ms"
        case accept = "accept_ms"
        case gap = "gap_ms"
        case converge = "converge_ms"
    }

    package init(_ reports: [DrillReport]) {
        drill = reports.first?.drill ?? ""
        runs = reports.count
        passed = reports.count(where: \.ok)
        detect = Spread(reports.compactMap(\.detect))
        accept = Spread(reports.compactMap(\.accept))
        gap = Spread(reports.compactMap(\.gap))
        converge = Spread(reports.compactMap(\.converge))
    }
}
