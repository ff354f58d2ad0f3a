import ClusterClients
import ClusterRuntime
import Drills
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// `rollcall restart --rolling` on real processes, and what keeps it from going on.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RollingRestartTests {
    @Test func everyNodeIsRestartedOnceAndNoneIsLeftDrained() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        try await cluster.whileUp { cluster, _ in
            let before = try await lives(of: cluster)
            // A life that is over within a second counts as a fault for the supervisor, whatever ended it.
            try await Task.sleep(for: .seconds(1))
            let (report, ending, output) = try await restart(cluster)
            #expect(ending == .exited(0), "\(output)")
            #expect(report.done && report.remaining.isEmpty && report.reason == nil)
            #expect(report.nodes.count == cluster.topology.nodes.count)
            #expect(report.nodes.map(\.role) == ["router", "wssubscr", "wssubscr", "sr", "sr", "sr", "router"])
            #expect(report.nodes.allSatisfy { ($0.drain != nil) == ($0.role == "sr") })
            let after = try await lives(of: cluster)
            for (name, life) in after { #expect(life > before[name] ?? .max, "\(name)") }
            #expect(try await cluster.status().nodes.allSatisfy { $0.status == .up })
            #expect(try await cluster.run("verify", cluster.topologyFile).ending == .exited(0))
            // Each was started again by the supervisor, at once, and no other ended.
            let told = cluster.output("up").split(separator: "\n").filter { $0.contains("starting it again") }
            #expect(told.count == 7 && told.allSatisfy { $0.contains("was asked to restart") }, "\(told)")
        }
    }

    @Test func itDoesNotBeginWhileANodeIsSilent() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        try await cluster.whileUp { cluster, _ in
            let before = try await lives(of: cluster)
            #expect(NodeProcess.signal(SIGSTOP, NodeName("sr2"), of: cluster.topologyFile) != nil)
            try await eventually("sr2 is missed") {
                try await cluster.status().nodes.first { $0.name == "sr2" }?.status != .up
            }
            let (report, ending, output) = try await restart(cluster)
            #expect(ending == .exited(1))
            #expect(output.contains("sr2 is ") && output.contains("nothing was restarted"), "\(output)")
            #expect(!report.done && report.nodes.isEmpty && report.remaining.count == 7)
            #expect(NodeProcess.signal(SIGCONT, NodeName("sr2"), of: cluster.topologyFile) != nil)
            #expect(try await lives(of: cluster) == before)
        }
    }

    @Test func itOutlivesTheActiveRouterAndEndsWithoutDrainedNodesWhenInterrupted() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        try await cluster.whileUp { cluster, _ in
            let file = cluster.topologyFile
            let first = try await cluster.start("restart", file, "--rolling", "--only", "sr1,sr2,sr3", log: "first")
            try await eventually("an sr node is being drained") { cluster.output("first").contains("domains away") }
            let leader = try #require(try await cluster.status().routers.first { $0.state == .active }?.name)
            #expect(NodeProcess.signal(SIGKILL, NodeName(leader), of: file) != nil)
            #expect(await first.wait() == .exited(0), "\(cluster.output("first"))")
            #expect(cluster.output("first").contains("3 nodes were restarted"))

            let second = try await cluster.start("restart", file, "--rolling", "--only", "sr3,sr1,sr2", log: "second")
            try await eventually("an sr node is being drained") { cluster.output("second").contains("domains away") }
            second.signal(SIGINT)
            #expect(await second.wait() == .exited(1))
            let told = cluster.output("second")
            #expect(told.contains("interrupted") && told.contains("--only sr1,sr2,sr3"), "\(told)")
            #expect(try await cluster.status().nodes.allSatisfy { $0.status != .draining && $0.status != .drained })

            let third = try await cluster.start("restart", file, "--rolling", "--only", "sr1", log: "third")
            try await eventually("an sr node is being drained") { cluster.output("third").contains("domains away") }
            // As when a terminal is closed.
            third.signal(SIGHUP)
            #expect(await third.wait() == .exited(1))
            #expect(try await cluster.status().nodes.allSatisfy { $0.status != .draining && $0.status != .drained })
            try await eventually("all is as it was") {
                let domain = try await cluster.domainStatus()
                return domain.standbys.contains(where: \.inSync) && domain.standbys.allSatisfy(\.inSync)
            }
        }
    }

    /// The supervisor's program is gone when a node is to be started again, as in a rolling upgrade gone wrong.
    @Test func aNodeThatDoesNotComeBackStopsItAndItGoesOnLater() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        // A copy of its own: a link would have to be on the same file system.
        let program = "\(cluster.directory)/rollcall"
        try FileManager.default.copyItem(atPath: TestCluster.program, toPath: program)
        try await cluster.whileUp(program: program) { cluster, _ in
            try FileManager.default.removeItem(atPath: program)
            let (report, ending, output) = try await restart(cluster, "--only", "sr1,sr2", "--timeout", "8")
            #expect(ending == .exited(1))
            #expect(output.contains("sr1 did not come back") && output.contains("--only sr1,sr2"), "\(output)")
            #expect(report.remaining == ["sr1", "sr2"] && report.nodes.isEmpty)
            let domain = try await cluster.domainStatus()
            #expect(domain.owner != nil && domain.owner != "sr1" && domain.standbys.contains(where: \.inSync))
            #expect(cluster.output("up").contains("cannot start \(program)"))

            try FileManager.default.copyItem(atPath: TestCluster.program, toPath: program)
            try await eventually("the supervisor has started it") {
                try await cluster.status().nodes.allSatisfy { $0.status == .up }
            }
            try await eventually("all copies are in sync") {
                try await cluster.status().domains.allSatisfy { $0.standbys.allSatisfy(\.inSync) }
            }
            let (rest, end, text) = try await restart(cluster, "--only", "sr1,sr2")
            #expect(end == .exited(0), "\(text)")
            #expect(rest.nodes.map(\.name) == ["sr1", "sr2"])
        }
    }

    /// Somebody else removes it while it is away: there is nothing to undrain then.
    @Test func aNodeThatIsGoneFromTheTopologyIsNotAskedForAgainAndAgain() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let program = "\(cluster.directory)/rollcall"
        try FileManager.default.copyItem(atPath: TestCluster.program, toPath: program)
        try await cluster.whileUp(program: program) { cluster, _ in
            let file = cluster.topologyFile
            try FileManager.default.removeItem(atPath: program)
            let restart = try await cluster.start(
                "restart", file, "--rolling", "--only", "sr1", "--timeout", "20", log: "restart")
            try await eventually("sr1 is away", within: .seconds(40)) {
                cluster.output("up").contains("cannot start \(program)")
            }
            let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
            try lines.filter { !$0.contains("name: sr1,") }.joined(separator: "\n")
                .write(toFile: file, atomically: true, encoding: .utf8)
            let (applied, text) = try await cluster.run("apply", file)
            #expect(applied == .exited(0), "\(text)")
            #expect(await restart.wait() == .exited(1))
            #expect(cluster.output("restart").contains("there is no node sr1"), "\(cluster.output("restart"))")
        }
    }

    @Test func aDrillThatRestartsEveryNodeFindsEveryPromiseKept() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let drill = "\(cluster.directory)/drill.yaml"
        try """
        name: rolling restart
        topology: test.yaml
        load: { domain: demo.example, registrations: 100, renewals_per_s: 40, churn_per_s: 4, subscribers: 4 }
        steps: [ { at: 500ms, restart: rolling } ]
        for: 2s
        expect: { lost: 0, stale: 0, strays: 0, resyncs: 0 }
        """.write(toFile: drill, atomically: true, encoding: .utf8)
        let (ending, output) = try await cluster.run("drill", cluster.topologyFile, drill, "--json")
        #expect(ending == .exited(0), "\(output)")
        let json = try #require(output.split(separator: "\n").first { $0.hasPrefix("{") })
        let report = try JSONDecoder().decode(DrillReport.self, from: Data(json.utf8))
        #expect(report.ok && report.restarts.map(\.nodes.count) == [7])
        // Each subscriber was at each of the two nodes when that was restarted, or went there from the other one.
        #expect(report.connections.map(\.node) == ["ws1", "ws2"])
        let lost = report.connections.map(\.lost).reduce(0, +)
        #expect(lost == 2 + 4 && report.connections.allSatisfy { $0.lost == $0.resumed && $0.lost == $0.elsewhere })
    }

    @Test func theRollingHasToBeSaid() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        for arguments in [[], ["--rolling", "--only", "sr9"], ["--rolling", "--timeout", "0"]] {
            let (ending, output) = try await cluster.run(["restart", cluster.topologyFile] + arguments)
            #expect(ending == .exited(2), "\(output)")
        }
        let (ending, output) = try await cluster.run("restart", cluster.topologyFile, "--rolling")
        #expect(ending == .exited(3), "\(output)")
    }

    private func restart(
        _ cluster: TestCluster, _ options: String...
    ) async throws -> (RestartReport, ending: ChildProcess.Ending, output: String) {
        let (ending, output) = try await cluster.run(
            ["restart", cluster.topologyFile, "--rolling", "--json"] + options)
        let json = try #require(output.split(separator: "\n").first { $0.hasPrefix("{") }, "\(output)")
        return (try JSONDecoder().decode(RestartReport.self, from: Data(json.utf8)), ending, output)
    }

    private func lives(of cluster: TestCluster) async throws -> [String: UInt64] {
        Dictionary(uniqueKeysWithValues: try await cluster.status().nodes.map { ($0.name, $0.incarnation) })
    }
}
