import ClusterRuntime
import Testing

/// Topologies that every rule of their parts allows, and that could not run.
@Suite struct TopologySizeTests {
    @Test(arguments: ["64KiB", "128KiB", "511KiB"])
    func aFrameHasToHoldTheLongestMessage(size: String) {
        let text = TopologyFixture.text + "\nlimits: { frame_bytes: \(size) }"
        let problems = TopologyFixture.problems(in: text)
        #expect(problems.count == 1 && problems[0].contains("frame_bytes"), "\(problems)")
        #expect(TopologyFixture.problems(in: TopologyFixture.text + "\nlimits: { frame_bytes: 512KiB }") == [])
    }

    @Test func aFrameHasToHoldAReportOfAllDomains() {
        let domains = (0..<9_000).map { "\n  - { name: d\($0).example, replicas: 2 }" }.joined()
        let text = TopologyFixture.replacing("\n  - { name: demo.example, replicas: 2 }", domains)
        let problems = TopologyFixture.problems(in: text + "\nlimits: { frame_bytes: 512KiB }")
        #expect(problems.count == 1 && problems[0].contains("so that a node can report 9000 domains"), "\(problems)")
        #expect(TopologyFixture.problems(in: text) == [])
    }

    @Test(arguments: [500, 501])
    func aNodeHasASocketForEachOther(count: Int) {
        let more = (0..<(count - 4)).map { number -> String in
            let server =
                number % 200 == 0
                ? "\n      - name: more\(number)\n        address: 127.0.0.1\n        nodes:" : ""
            return server
                + "\n          - { name: ws\(number + 10), role: wssubscr, cluster: \(10_000 + number), "
                + "admin: \(20_000 + number), websocket: { listen: \(30_000 + number) } }"
        }.joined()
        let problems = TopologyFixture.problems(in: TopologyFixture.text + more)
        if count > 500 {
            #expect(problems.count == 1 && problems[0].contains("501 nodes; expected at most 500"), "\(problems)")
        } else {
            #expect(problems == [])
        }
    }
}
