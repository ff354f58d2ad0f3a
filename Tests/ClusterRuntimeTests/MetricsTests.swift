import ClusterRuntime
import Testing

@Suite struct MetricsTests {
    private static func lines(of metrics: MetricsRegistry, _ name: String) -> [String] {
        metrics.render().split(separator: "\n").map(String.init).filter { $0.contains(name) }
    }

    @Test func countersAndGaugesAreShownWithHelpAndType() {
        let metrics = MetricsRegistry()
        metrics.counter("frames_total", help: "Frames sent.").add(3)
        metrics.gauge("load", help: "Load.") { 0.5 }
        metrics.counter("lost_total", help: "Kept elsewhere.") { 9 }
        #expect(
            metrics.render() == """
                # HELP frames_total Frames sent.
                # TYPE frames_total counter
                frames_total 3
                # HELP load Load.
                # TYPE load gauge
                load 0.5
                # HELP lost_total Kept elsewhere.
                # TYPE lost_total counter
                lost_total 9
                # HELP rollcall_metrics_dropped_series Series that did not fit and are not shown.
                # TYPE rollcall_metrics_dropped_series gauge
                rollcall_metrics_dropped_series 0

                """)
    }

    @Test func theSameNameAndLabelsAreTheSameCounter() {
        let metrics = MetricsRegistry()
        for reason in ["a", "b", "a"] {
            metrics.counter("refused_total", help: "Refused.", labels: [("reason", reason)]).add()
        }
        #expect(
            Self.lines(of: metrics, "refused_total{") == [
                #"refused_total{reason="a"} 2"#, #"refused_total{reason="b"} 1"#,
            ])
        #expect(Self.lines(of: metrics, "TYPE refused_total").count == 1)
    }

    @Test func labelsAndHelpAreEscaped() {
        let metrics = MetricsRegistry()
        _ = metrics.counter("odd_total", help: "One\nline \\ \"quoted\".", labels: [("name", "a\"b\\c\nd\r\n")])
        #expect(Self.lines(of: metrics, "HELP odd") == [#"# HELP odd_total One\nline \\ "quoted"."#])
        #expect(metrics.render().contains("odd_total{name=\"a\\\"b\\\\c\\nd\r\\n\"} 0\n"))
    }

    @Test func samplesComeWhenTheyAreRead() {
        let metrics = MetricsRegistry()
        metrics.gauges("contacts", help: "Contacts.") {
            [.init(labels: [("domain", "demo.example")], value: 12), .init(labels: [("domain", "x")], value: .nan)]
        }
        #expect(
            Self.lines(of: metrics, "contacts{") == [
                #"contacts{domain="demo.example"} 12"#, #"contacts{domain="x"} NaN"#,
            ])
    }

    @Test func seriesOverTheLimitCountButAreNotShown() {
        let metrics = MetricsRegistry()
        for number in 0..<MetricsRegistry.maximumSeries + 5 {
            metrics.counter("many_total", help: "Many.", labels: [("number", "\(number)")]).add()
        }
        #expect(Self.lines(of: metrics, "many_total{").count == MetricsRegistry.maximumSeries)
        #expect(Self.lines(of: metrics, "dropped_series 5").count == 1)
    }

    @Test func samplesOverTheLimitCountToo() {
        let metrics = MetricsRegistry()
        metrics.gauges("many", help: "Many.") {
            (0..<MetricsRegistry.maximumSeries + 7).map { .init(labels: [("number", "\($0)")], value: 1) }
        }
        for _ in 0..<2 { #expect(Self.lines(of: metrics, "dropped_series 7").count == 1) }
        #expect(Self.lines(of: metrics, "many{").count == MetricsRegistry.maximumSeries)
    }

    @Test func countingFromManyTasksLosesNothing() async {
        let counter = MetricsRegistry().counter("hits_total", help: "Hits.")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<10_000 { counter.add() } }
            }
        }
        #expect(counter.value == 80_000)
    }
}
