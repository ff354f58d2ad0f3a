import ClusterRuntime

/// What a soak found: one run's document.
package struct SoakReport: Codable, Hashable, Sendable {
    package var ok = true
    package var seed: UInt64
    package var seconds = 0.0
    package var rounds = 0
    /// How often each kind of fault was done, by what it was done to.
    package var faults: [String: Int] = [:]
    package var acknowledged = 0
    /// Writes that were refused or stayed without an answer: during a fault some are.
    package var failed = 0
    /// Events that subscribers took in.
    package var delivered = 0
    package var lost = 0
    package var stale = 0
    package var duplicated = 0
    package var order = 0
    /// What broke, in words, each with its round; at most `maximumTexts`.
    package var violations: [String] = []
    /// Rounds that could not be carried out, and why.
    package var abandoned: [String] = []
    package var nodes: [Node] = []

    /// What a node held.
    package struct Node: Codable, Hashable, Sendable {
        package var name: String
        /// How many processes it had.
        package var lives: Int
        package var bytes: Course
        package var descriptors: Course
        package var threads: Course

        /// Nil when no life of the node was long enough to judge by.
        package var isFlat: Bool? {
            guard let bytes = bytes.flat, let descriptors = descriptors.flat, let threads = threads.flat else {
                return nil
            }
            return bytes && descriptors && threads
        }
    }

    /// How one of a node's figures went.
    package struct Course: Codable, Hashable, Sendable {
        package var first: Double
        package var last: Double
        package var most: Double
        /// Over the last two thirds, by the median slope; nil when no life of the node was long enough.
        package var growth: Double?
        /// What an hour would add; nil likewise.
        package var growthPerHour: Double?
        /// What `growth` may be at most.
        package var allowance: Double
        /// Nil likewise.
        package var flat: Bool?
        package var curve: String
    }

    package static let maximumTexts = 50
    /// A soak of so many rounds has to have judged every node.
    static let roundsToJudgeBy = 20

    package init(seed: UInt64) { self.seed = seed }
}

extension SoakReport {
    /// Takes in what a round came to.
    mutating func add(_ report: DrillReport, round: Int, topology: Topology) {
        rounds += 1
        for fault in report.faults { faults[Self.kind(fault, topology), default: 0] += 1 }
        acknowledged += report.acknowledged
        failed += report.failed
        delivered += report.delivered
        lost += report.lost
        stale += report.stale
        duplicated += report.duplicated
        order += report.order
        // Times, and writes that failed, are for drills to judge: a soak's machine is as busy as it can be.
        guard report.lost + report.stale + report.duplicated + report.order > 0 else { return }
        let texts = report.violations.map { "round \(round) (\(report.drill)): \($0)" }
        violations += texts.prefix(Self.maximumTexts - violations.count)
    }

    mutating func abandon(_ text: String) {
        if abandoned.count < Self.maximumTexts { abandoned.append(text) }
    }

    /// Takes in the curves, and judges everything.
    mutating func finish(_ curves: [ResourceCurve], after time: Duration) {
        seconds = time / .seconds(1)
        nodes = curves.map { curve in
            Node(
                name: curve.node, lives: curve.lives, bytes: Self.course(of: .bytes, curve),
                descriptors: Self.course(of: .descriptors, curve), threads: Self.course(of: .threads, curve))
        }
        let areFlat = nodes.allSatisfy { $0.isFlat ?? (rounds < Self.roundsToJudgeBy) }
        ok = lost + stale + duplicated + order == 0 && abandoned.isEmpty && rounds > 0 && areFlat
    }

    private static func course(of measure: ResourceCurve.Measure, _ curve: ResourceCurve) -> Course {
        let values = curve.values(measure)
        return Course(
            first: values.first ?? 0, last: values.last ?? 0, most: values.max() ?? 0, growth: curve.growth(measure),
            growthPerHour: curve.hourlyGrowth(measure), allowance: measure.allowance, flat: curve.isFlat(measure),
            curve: curve.sparkline(measure))
    }

    /// A fault by whom it was done to: the role, where the step names a node.
    private static func kind(_ fault: DrillReport.Fault, _ topology: Topology) -> String {
        guard fault.step.hasSuffix(" \(fault.node)"),
            let role = topology.node(named: NodeName(fault.node))?.role
        else { return fault.step }
        return fault.step.dropLast(fault.node.count) + role.name
    }
}
