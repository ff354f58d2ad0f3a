import ClusterRuntime
import Drills
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// Planned movement by the commands that operators give, on real processes.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct MovementTests {
    @Test func aDomainIsMovedAndItsNodeDrainedAndUndrained() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        try await cluster.whileUp { cluster, _ in
            let file = cluster.topologyFile
            let before = try await cluster.domainStatus()
            let owner = try #require(before.owner)
            let target = try #require(["sr1", "sr2", "sr3"].first { $0 != owner })
            let (moved, movedText) = try await cluster.run("move", file, "demo.example", target, "--json")
            #expect(moved == .exited(0), "\(movedText)")
            #expect(movedText.contains(#""done":true"#))
            let after = try await cluster.domainStatus()
            #expect(after.owner == target && after.epoch > before.epoch)

            let (explained, text) = try await cluster.run("explain", file, "demo.example")
            #expect(explained == .exited(0), "\(text)")
            #expect(text.contains("(moved)") && text.contains(target), "\(text)")

            let (drained, drainedText) = try await cluster.run("drain", file, target)
            #expect(drained == .exited(0), "\(drainedText)")
            let status = try await cluster.status()
            #expect(status.nodes.first { $0.name == target }?.status == .drained)
            #expect(
                status.domains.allSatisfy { domain in
                    domain.owner != target && !domain.standbys.contains { $0.name == target }
                        && domain.standbys.contains(where: \.inSync)
                })
            #expect(try await cluster.run("move", file, "demo.example", target).ending == .exited(1))

            // It stays drained over a restart, of the node and of the router that was told.
            _ = try #require(NodeProcess.signal(SIGKILL, NodeName(target), of: file))
            _ = try #require(NodeProcess.signal(SIGKILL, NodeName("router1"), of: file))
            try await eventually("the node is back and drained", within: .seconds(30)) {
                let (ending, output) = try await cluster.run("status", file, "--json")
                guard ending == .exited(0) else { return false }
                let status = try JSONDecoder().decode(ClusterStatus.self, from: Data(output.utf8))
                return status.nodes.first { $0.name == target }?.status == .drained
            }
            #expect(try await cluster.run("undrain", file, target).ending == .exited(0))
            try await eventually("the node is up again") {
                try await cluster.status().nodes.first { $0.name == target }?.status == .up
            }
            #expect(try await cluster.run("verify", file).ending == .exited(0))
        }
    }

    @Test func whatCannotBeMovedIsRefused() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let file = cluster.topologyFile
        for verb in [
            ["drain", file, "sr9"], ["move", file, "demo.example", "sr9"], ["move", file, "x.example", "sr1"],
        ] {
            let process = try await ChildProcess.start(
                .init(executable: TestCluster.program, arguments: verb, log: "\(cluster.directory)/bad.out"))
            #expect(await process.wait() == .exited(2), "\(verb)")
        }
        #expect(try await cluster.run("explain", file, "demo.example").ending == .exited(3))
        try await cluster.whileUp { cluster, _ in
            let (router, text) = try await cluster.run("drain", file, "router1")
            #expect(router == .exited(1))
            #expect(text.contains("stop it, and another one leads"), "\(text)")
            #expect(try await cluster.run("drain", file, "ws1").ending == .exited(1))
        }
    }

    @Test func aDrillThatMovesAndDrainsFindsEveryPromiseKept() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let drill = "\(cluster.directory)/drill.yaml"
        try """
        name: move and drain
        topology: test.yaml
        load: { domain: demo.example, registrations: 200, renewals_per_s: 100, churn_per_s: 10, subscribers: 4 }
        steps:
          - { at: 1s, move: standby }
          - { at: 3s, drain: owner }
          - { at: 5s, undrain: drained }
        for: 7s
        expect: { lost: 0, stale: 0, failed: 0, gap_within: 5s }
        """.write(toFile: drill, atomically: true, encoding: .utf8)
        let (ending, output) = try await cluster.run("drill", cluster.topologyFile, drill, "--json")
        #expect(ending == .exited(0), "\(output)")
        let json = try #require(output.split(separator: "\n").first { $0.hasPrefix("{") })
        let report = try JSONDecoder().decode(DrillReport.self, from: Data(json.utf8))
        #expect(report.ok)
        #expect((report.lost, report.stale, report.failed, report.order) == (0, 0, 0, 0))
        #expect(report.faults.count == 2)
        #expect(report.gap != nil && report.converge != nil)
    }
}
