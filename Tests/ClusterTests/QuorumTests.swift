import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// A site that asks for a quorum, with an arbiter as a real process.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct QuorumTests {
    @Test func aSiteServesOnlyWhileItsArbiterMakesTheQuorum() async throws {
        let cluster = try TestCluster(sparePorts: 4)
        defer { cluster.remove() }
        try Self.topology(try String(contentsOfFile: cluster.topologyFile, encoding: .utf8), cluster.sparePorts)
            .write(toFile: cluster.topologyFile, atomically: true, encoding: .utf8)
        let file = cluster.topologyFile
        let up = try await cluster.start(
            "up", file, "--only", "router1,router2,sr1,sr2,sr3,ws1,ws2", log: "up")
        var arbiter: ChildProcess?
        do {
            try await eventually("the other site serves", within: .seconds(60)) {
                let (ending, output) = try await cluster.run("status", file, "--json")
                guard ending == .exited(0) else { return false }
                let status = try JSONDecoder().decode(ClusterStatus.self, from: Data(output.utf8))
                return status.domains.first?.owner == "sr3"
                    && status.domains.first?.standbys.contains(where: \.inSync) == true
            }
            let before = try await cluster.status()
            #expect(
                before.sites == [ClusterStatus.Site(name: "north", servers: 5, serversPresent: 2, hasQuorum: false)])
            let (refused, why) = try await cluster.run("move", file, "demo.example", "sr1")
            #expect(refused == .exited(1) && why.contains("site north has 2 of 5 servers, no quorum"), "\(why)")

            arbiter = try await cluster.start("node", file, "arbiter1", log: "arbiter1")
            try await eventually("the domain returns to where it is pinned to", within: .seconds(30)) {
                try await cluster.domainStatus().owner == "sr1"
            }
            #expect(try await cluster.status().sites?.map(\.hasQuorum) == [true])
            #expect(try await cluster.status().nodes.first { $0.name == "arbiter1" }?.roles == ["arbiter"])

            await arbiter?.stop(grace: .seconds(10))
            try await eventually("the domain leaves the site", within: .seconds(30)) {
                try await cluster.domainStatus().owner == "sr3"
            }
            let (_, explained) = try await cluster.run("explain", file, "demo.example", "--json")
            let explanation = try JSONDecoder().decode(DomainExplanation.self, from: Data(explained.utf8))
            #expect(explanation.changes.suffix(2).map(\.cause) == ["moved", "moved"])
            #expect(try await cluster.run("verify", file).ending == .exited(0))
        } catch {
            Issue.record("\(error)\n\(cluster.logs())")
        }
        await arbiter?.stop(grace: .seconds(10))
        await up.stop(grace: .seconds(20))
    }

    /// host-a and host-b are of site north, with three more, two of which are never there; host-c is of another.
    private static func topology(_ original: String, _ ports: [Int]) -> String {
        let servers = [("arbiter1", ports[0], ports[1]), ("arbiter2", ports[2], ports[3])].map { name, cluster, admin in
            """
                  - name: on-\(name)
                    address: 127.0.0.1
                    nodes: [ { name: \(name), role: arbiter, cluster: \(cluster), admin: \(admin) } ]

            """
        }
        let idle = """
                  - name: on-arbiter3
                    address: 127.0.0.2
                    nodes: [ { name: arbiter3, role: arbiter, cluster: 7001, admin: 7002 } ]
              - name: south
                servers:

            """
        return original.replacing("  - name: main\n", with: "  - name: north\n    quorum: true\n")
            .replacing("      - name: host-c\n", with: servers.joined() + idle + "      - name: host-c\n")
            .replacing("replicas: 2", with: "replicas: 2, pin: sr1")
    }
}
