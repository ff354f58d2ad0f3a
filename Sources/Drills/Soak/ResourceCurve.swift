import ClusterRuntime

/// What a node held over a soak, and whether that grew.
///
/// The samples are taken at rest, when the load is gone and all faults are taken back. The first third of the soak, and
/// of each life of the node, is warm-up: tables, pools and the allocator reach the size that the load needs. Over the
/// rest, the median of the slopes between any two samples of one life (Theil and Sen's estimate, which a few wild
/// samples do not move), times what is judged of the longest life, is the growth: clients that come back one by one
/// after a node was killed are not taken for what they would be if they went on coming until the end.
package struct ResourceCurve: Sendable {
    package enum Measure: String, CaseIterable, Sendable {
        case bytes, descriptors, threads

        /// The most that may have been added over the rest of a soak.
        package var allowance: Double {
            switch self {
            case .bytes: 8 * 1_048_576
            case .descriptors: 4
            // The system's pool adds up to two for each kind of work while processors are busy with other programs.
            case .threads: 4
            }
        }
    }

    package let node: String
    package private(set) var samples: [ResourceSample] = []

    /// Shorter lives say nothing.
    static let leastSamples = 6

    package init(node: String) { self.node = node }

    package mutating func add(_ sample: ResourceSample) { samples.append(sample) }

    package func values(_ measure: Measure) -> [Double] { samples.map { Self.value(measure, $0) } }

    /// How many processes the node had.
    package var lives: Int { Set(samples.map(\.process)).count }

    /// By how much one life of the node grew over the last two thirds; nil when none was long enough to tell.
    package func growth(_ measure: Measure) -> Double? {
        trend(measure).map { $0.perSecond * ($0.judged / .seconds(1)) }
    }

    /// The same as what an hour would add.
    package func hourlyGrowth(_ measure: Measure) -> Double? { trend(measure).map { $0.perSecond * 3_600 } }

    /// Nil when no life was long enough to tell.
    package func isFlat(_ measure: Measure) -> Bool? { growth(measure).map { $0 <= measure.allowance } }

    /// The median slope, and what is judged of the longest life.
    private func trend(_ measure: Measure) -> (perSecond: Double, judged: Duration)? {
        guard let end = samples.last?.at else { return nil }
        let warmUp = end / 3
        var slopes: [Double] = []
        var longest = Duration.zero
        for life in Dictionary(grouping: samples, by: \.process).values where life.count >= Self.leastSamples {
            let judged = life.dropFirst(life.count / 3).filter { $0.at >= warmUp }
            if let first = judged.first, let last = judged.last { longest = max(longest, last.at - first.at) }
            for (index, later) in judged.enumerated() {
                for earlier in judged[..<(judged.startIndex + index)] {
                    let rise = Self.value(measure, later) - Self.value(measure, earlier)
                    slopes.append(rise / ((later.at - earlier.at) / .seconds(1)))
                }
            }
        }
        guard !slopes.isEmpty else { return nil }
        let sorted = slopes.sorted()
        return ((sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2, longest)
    }

    /// The values as a line of bars, from nothing to the greatest of them; the mean of what falls to one bar.
    package func sparkline(_ measure: Measure, width: Int = 24) -> String {
        let values = values(measure)
        guard let most = values.max(), most > 0 else { return "" }
        let bars = Array("▁▂▃▄▅▆▇█")
        let count = min(width, values.count)
        return String(
            (0..<count).map { column in
                let part = values[(column * values.count / count)..<((column + 1) * values.count / count)]
                let mean = part.reduce(0, +) / Double(part.count)
                return bars[min(bars.count - 1, Int(mean / most * Double(bars.count - 1) + 0.5))]
            })
    }

    private static func value(_ measure: Measure, _ sample: ResourceSample) -> Double {
        switch measure {
        case .bytes: Double(sample.bytes)
        case .descriptors: Double(sample.descriptors)
        case .threads: Double(sample.threads)
        }
    }
}
