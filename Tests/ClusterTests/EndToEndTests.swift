import ClusterClients
import ClusterRuntime
import Drills
import Foundation
import NIOCore
import NodeProcesses
import RegistrarEvents
import Testing

/// The whole product as its users meet it: the program, its processes, its addresses.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct EndToEndTests {
    @Test func whoFollowsSeesALoginAndItsEndAlsoAcrossAFailover() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let (added, text) = try await cluster.run(
            "account", "add", cluster.topologyFile, "--domain", "demo.example", "--kind", "user", "--password",
            "secret",
            "alice")
        try #require(added == .exited(0), "\(text)")
        try await cluster.whileUp { cluster, _ in
            let tail = try await cluster.start(
                "tail", cluster.topologyFile, "--domain", "demo.example", "--snapshot", "--json", log: "tail")
            let changes = try await cluster.start(
                "tail", cluster.topologyFile, "--domain", "demo.example", "--snapshot", "--changes", "--json",
                log: "changes")
            let first = try #require(cluster.topology.node(named: NodeName("ws1")))
            try await WebSocketClient().withConnection(to: endpoint(first)) { connection in
                var messages = connection.messages.makeAsyncIterator()
                let reply = try await messages.request(
                    "login", ["login": "alice", "pwd": "secret", "td": "demo.example"])
                #expect(reply["register"] == "ok")
                let contact = try #require(reply["connectionid"]?.text)
                try await eventually("tail shows the login") {
                    self.events(cluster).contains {
                        $0.change == .registered(.user, account: "alice", contact: contact)
                    }
                }
                let (listed, list) = try await cluster.run(
                    "contacts", cluster.topologyFile, "--domain", "demo.example", "--json")
                #expect(listed == .exited(0))
                #expect(list.contains("alice"))

                let before = try await cluster.domainStatus()
                let owner = NodeName(try #require(before.owner))
                _ = try #require(NodeProcess.signal(SIGKILL, owner, of: cluster.topologyFile))
                try await eventually("another owner in a new epoch") {
                    try await cluster.domainStatus().epoch > before.epoch
                }
                try await eventually("tail shows the clear and the login again") {
                    self.events(cluster).contains {
                        $0.position.epoch > before.epoch && $0.replay
                            && $0.change == .registered(.user, account: "alice", contact: contact)
                    }
                }
                try await eventually("the killed node is back and in sync", within: .seconds(30)) {
                    try await cluster.domainStatus().standbys.contains(where: \.inSync)
                }
            }
            try await eventually("tail shows the end of the connection") {
                self.events(cluster).contains { self.isEnd($0) }
            }
            let (verified, comparison) = try await cluster.run("verify", cluster.topologyFile)
            #expect(verified == .exited(0), "\(comparison)")
            await tail.stop(grace: .seconds(5))
            #expect(tail.ending == .exited(0))
            try await eventually("net changes show the end of the connection") {
                self.events(cluster, "changes").contains { self.isEnd($0) }
            }
            await changes.stop(grace: .seconds(5))
            // Not the failover, but all that changed the list.
            let shown = self.events(cluster, "changes")
            #expect(shown.allSatisfy { $0.isOwnClear || self.isOfAlice($0) }, "\(shown)")
            #expect(shown.count { self.isOfAlice($0) } == 2, "\(shown)")
            var view = SubscriberView(name: "tail", contacts: 0)
            for event in self.events(cluster) {
                let change: SubscriberView.Event.Change =
                    switch event.change {
                    case .clear: .clear(own: event.isOwnClear)
                    default: .registered(nil)
                    }
                _ = view.apply(.init(event.position, change, replay: event.replay), at: .distantPast)
            }
            #expect(view.violations == [])
        }
    }

    @Test func aDrillThatKillsTheOwnerFindsEveryPromiseKept() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let drill = "\(cluster.directory)/drill.yaml"
        try """
        name: kill the owner
        topology: test.yaml
        load: { domain: demo.example, registrations: 200, renewals_per_s: 60, churn_per_s: 10, subscribers: 4 }
        steps: [ { at: 2s, kill: owner }, { at: 5s, start: killed } ]
        for: 8s
        expect: { lost: 0, stale: 0, accept_within: 6s, converge_within: 8s }
        """.write(toFile: drill, atomically: true, encoding: .utf8)
        let (ending, output) = try await cluster.run("drill", cluster.topologyFile, drill, "--json")
        #expect(ending == .exited(0), "\(output)")
        let json = try #require(output.split(separator: "\n").first { $0.hasPrefix("{") })
        let report = try JSONDecoder().decode(DrillReport.self, from: Data(json.utf8))
        #expect(report.ok)
        #expect((report.lost, report.stale, report.duplicated, report.order) == (0, 0, 0, 0))
        #expect(report.acknowledged > 300)
        #expect(report.detect != nil && report.accept != nil && report.converge != nil)
    }

    @Test func aSecondSupervisorIsRefusedAndTheFirstTakesItsNodesAlong() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        try await cluster.whileUp { cluster, supervisor in
            let (second, message) = try await cluster.run("up", cluster.topologyFile)
            #expect(second == .exited(2))
            #expect(message.contains("another `rollcall up`"))

            supervisor.signal(SIGKILL)
            try await eventually("no node outlives its supervisor", within: .seconds(5)) {
                cluster.topology.nodes.allSatisfy { NodeProcess.find($0.name, of: cluster.topologyFile) == nil }
            }
        }
    }

    @Test func theSupervisorStopsEverythingWhenAsked() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        try await cluster.whileUp { cluster, supervisor in
            supervisor.signal(SIGTERM)
            #expect(await supervisor.wait() == .exited(0))
            for node in cluster.topology.nodes {
                #expect(NodeProcess.find(node.name, of: cluster.topologyFile) == nil, "\(node.name) still runs")
            }
        }
    }

    @Test func theClusterInOneProcessTakesALogin() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let base = try freePorts(1)[0]
        let process = try await cluster.start("dev", "--port-base", String(base), "--accounts", "3", log: "dev")
        do {
            try await eventually("a login succeeds", within: .seconds(30)) {
                do {
                    let endpoint = WebSocketClient.Endpoint(host: "127.0.0.1", port: base + 1, path: "/ws")
                    return try await WebSocketClient().withConnection(to: endpoint) { connection in
                        var messages = connection.messages.makeAsyncIterator()
                        let reply = try await messages.request(
                            "login", ["login": "u2", "pwd": "secret", "td": "demo.example"])
                        return reply["result"] == "ok"
                    }
                } catch {
                    return false
                }
            }
        } catch {
            Issue.record("\(error)\n\(cluster.output("dev"))")
        }
        process.signal(SIGTERM)
        #expect(await process.wait() == .exited(0))
    }

    private func endpoint(_ node: NodeSpec) -> WebSocketClient.Endpoint {
        WebSocketClient.Endpoint(node, path: "/ws")
    }

    private func isOfAlice(_ event: RegistrarNotification) -> Bool {
        switch event.change {
        case .registered(.user, "alice", _), .unregistered(.user, "alice", _, _): true
        case .registered, .unregistered, .clear, .other: false
        }
    }

    private func isEnd(_ event: RegistrarNotification) -> Bool {
        guard case .unregistered(.user, "alice", _, _) = event.change else { return false }
        return true
    }

    /// What `tail --json` has printed so far; notes for people among it are left out.
    private func events(_ cluster: TestCluster, _ log: String = "tail") -> [RegistrarNotification] {
        cluster.output(log).split(separator: "\n").compactMap { line in
            guard line.hasPrefix("{") else { return nil }
            // A line may be half written at this moment.
            return try? RegistrarNotification.read(.init(string: "[\"event\",\(line)]"))
        }
    }
}
