import Synchronization

/// What a node counts and measures, for its `/metrics`.
///
/// Ours, because the Prometheus library for Swift is not among the packages that this project can build with. Small on
/// purpose: counters and gauges, no histograms. Series are found once, when something starts; from then on a counter is
/// one atomic, and a gauge is read only when somebody asks for the metrics.
public final class MetricsRegistry: Sendable {
    /// Series (a name with one set of labels) that a registry keeps; those over it are counted, but never shown.
    public static let maximumSeries = 4_096

    /// Names and values of labels, in the order in which they are shown.
    public typealias Labels = [(name: String, value: String)]

    /// One measured value of a metric whose series come and go.
    public struct Sample: Sendable {
        public var labels: Labels
        public var value: Double

        public init(labels: Labels = [], value: Double) {
            self.labels = labels
            self.value = value
        }
    }

    private let state = Mutex(State())

    private struct State {
        var families: [String: MetricFamily] = [:]
        var series = 0
        var droppedSeries: UInt64 = 0

        mutating func add(
            _ source: MetricFamily.Source, _ name: String, _ kind: MetricFamily.Kind, _ help: String, labels: String
        ) {
            precondition(MetricText.isName(name), "\(name) is no name of a metric")
            var family = families[name] ?? MetricFamily(kind: kind, help: help, series: [:])
            precondition(family.kind == kind, "metric \(name) is registered as two kinds")
            if family.series[labels] == nil {
                guard series < MetricsRegistry.maximumSeries else {
                    droppedSeries += 1
                    return
                }
                series += 1
            }
            family.series[labels] = source
            families[name] = family
        }
    }

    public init() {}

    /// The counter of that name and these labels: the same one each time.
    ///
    /// - Parameters:
    ///   - name: by Prometheus' convention with `_total` at its end.
    ///   - help: what is counted, in one sentence.
    public func counter(_ name: String, help: String, labels: Labels = []) -> Counter {
        let text = MetricText.labels(labels)
        return state.withLock { state in
            if case .counter(let counter) = state.families[name]?.series[text] { return counter }
            let counter = Counter()
            state.add(.counter(counter), name, .counter, help, labels: text)
            return counter
        }
    }

    /// A counter that is kept elsewhere. Registered again, the later one counts.
    public func counter(
        _ name: String, help: String, labels: Labels = [], read: @escaping @Sendable () -> UInt64
    ) {
        let labels = MetricText.labels(labels)
        state.withLock { $0.add(.reading { Double(read()) }, name, .counter, help, labels: labels) }
    }

    /// A value that goes up and down.
    /// - Parameter read: called for each `/metrics`; must return at once.
    public func gauge(
        _ name: String, help: String, labels: Labels = [], read: @escaping @Sendable () -> Double
    ) {
        let labels = MetricText.labels(labels)
        state.withLock { $0.add(.reading(read), name, .gauge, help, labels: labels) }
    }

    /// Gauges whose labels are known only when they are read, such as one for each domain that the node serves.
    /// - Parameter read: called for each `/metrics`; must return at once. Samples over `maximumSeries` are left out
    ///   and counted.
    public func gauges(_ name: String, help: String, read: @escaping @Sendable () -> [Sample]) {
        state.withLock { $0.add(.samples(read), name, .gauge, help, labels: "") }
    }

    /// Everything, in the text format of Prometheus, version 0.0.4, ordered by name and labels.
    public func render() -> String {
        // Read outside the lock: what is read may itself ask for a counter.
        let (families, dropped) = state.withLock { ($0.families, $0.droppedSeries) }
        var text = ""
        var left = 0
        for (name, family) in families.sorted(by: { $0.key < $1.key }) { left += family.render(as: name, into: &text) }
        let missing = Double(dropped) + Double(left)
        MetricFamily(
            kind: .gauge, help: "Series that did not fit and are not shown.",
            series: ["": .reading { missing }]
        ).render(as: "rollcall_metrics_dropped_series", into: &text)
        return text
    }
}
