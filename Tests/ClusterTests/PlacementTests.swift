import ClusterClients
import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// Pins and groups in a running cluster of real processes.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PlacementTests {
    @Test func domainsGoWhereTheyArePinnedAndWhereTheirGroupIs() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let original = try String(contentsOfFile: cluster.topologyFile, encoding: .utf8)
        try await cluster.whileUp { cluster, _ in
            let client = try await Self.client(cluster)
            for number in 0..<20 {
                let node = try #require(client.topology.node(named: NodeName("ws1")))
                let answer = await client.register(
                    "account-\(number)", in: TestCluster.domain, ttl: .seconds(600), through: node,
                    timeout: .seconds(10))
                guard case .acknowledged = answer else { throw NotInTime(description: "registered: \(answer)") }
            }
            let pinned = try await repin(cluster, original)
            try await loseAndReturn(cluster, pinned)
            let grouped = try await giveToGroups(cluster, original)
            try await removeGroup(cluster, original, of: grouped, client)
            #expect(try await client.contacts(of: TestCluster.domain).count == 20, "nothing was lost on the way")
            #expect(try await cluster.run("verify", cluster.topologyFile).ending == .exited(0))
            await client.shutDown()
        }
    }

    /// Another pin moves the domain, as planned.
    private func repin(_ cluster: TestCluster, _ original: String) async throws -> String {
        let file = cluster.topologyFile
        let former = try #require(try await cluster.domainStatus().owner)
        let pinned: String = former == "sr1" ? "sr2" : "sr1"
        try Self.write(original.replacing("replicas: 2", with: "replicas: 2, pin: \(pinned)"), cluster)
        let (dry, shown) = try await cluster.run("apply", file, "--dry-run")
        #expect(dry == .exited(0) && shown.contains("-> \(pinned), because it is pinned to \(pinned)"), "\(shown)")
        let (applied, text) = try await cluster.run("apply", file)
        #expect(applied == .exited(0) && text.contains("pin none -> [\(pinned)]"), "\(text)")
        try await eventually("the domain is where it is pinned to") {
            try await cluster.domainStatus().owner == pinned
        }
        let (_, explained) = try await cluster.run("explain", file, "demo.example")
        #expect(explained.contains("(moved)") && explained.contains("it is pinned to \(pinned)"), "\(explained)")
        let (moved, why) = try await cluster.run("move", file, "demo.example", former)
        #expect(moved == .exited(1) && why.contains("is pinned to \(pinned)"), "\(why)")
        return pinned
    }

    /// After a failover the domain returns by a planned move, once its node is there to stay.
    private func loseAndReturn(_ cluster: TestCluster, _ pinned: String) async throws {
        try await eventually("a standby is in sync") {
            try await cluster.domainStatus().standbys.contains(where: \.inSync)
        }
        let epoch = try await cluster.domainStatus().epoch
        _ = try #require(NodeProcess.signal(SIGKILL, NodeName(pinned), of: cluster.topologyFile))
        try await eventually("it went elsewhere and came back", within: .seconds(30)) {
            let now = try await cluster.domainStatus()
            return now.owner == pinned && now.epoch >= epoch + 2 && now.standbys.contains(where: \.inSync)
        }
        let (ending, output) = try await cluster.run("explain", cluster.topologyFile, "demo.example", "--json")
        try #require(ending == .exited(0), "\(output)")
        let explanation = try JSONDecoder().decode(DomainExplanation.self, from: Data(output.utf8))
        #expect(explanation.changes.suffix(2).map(\.cause) == ["failover", "moved"])
    }

    /// The owner becomes a group's node, which serves another domain alone.
    /// - Returns: the group's node.
    private func giveToGroups(_ cluster: TestCluster, _ original: String) async throws -> String {
        let file = cluster.topologyFile
        let owner = try #require(try await cluster.domainStatus().owner)
        let grouped = original.replacing("name: \(owner), role: sr,", with: "name: \(owner), role: sr, group: big, ")
        try Self.write(grouped, cluster)
        let (bad, problems) = try await cluster.run("apply", file)
        #expect(bad == .exited(2) && problems.contains("would both serve what no group names"), "\(problems)")

        try Self.write(
            grouped.replacing("group: big,", with: "group: big, include_domains: [big.example],")
                .replacing("sites:\n", with: "  - { name: shop.big.example, replicas: 1 }\nsites:\n"), cluster)
        let (applied, text) = try await cluster.run("apply", file)
        #expect(applied == .exited(0), "\(text)")
        let status = try await cluster.status()
        #expect(status.domains.first { $0.name == "shop.big.example" }?.owner == owner)
        try await eventually("the domain left the group's node") {
            let now = try await cluster.domainStatus()
            return now.owner != owner && now.standbys.map(\.inSync) == [true]
                && !now.standbys.contains { $0.name == owner }
        }
        let (moved, why) = try await cluster.run("move", file, "demo.example", owner)
        #expect(moved == .exited(1) && why.contains("does not serve demo.example"), "\(why)")
        return owner
    }

    /// The only node of a group goes, and takes nothing along: what it served is served by the others.
    private func removeGroup(
        _ cluster: TestCluster, _ original: String, of node: String, _ client: ClusterClient
    ) async throws {
        let (file, shop) = (cluster.topologyFile, try #require(DomainName("shop.big.example")))
        let frontier = try #require(client.topology.node(named: NodeName("ws1")))
        let answer = await client.register(
            "customer", in: shop, ttl: .seconds(600), through: frontier, timeout: .seconds(10))
        guard case .acknowledged = answer else { throw NotInTime(description: "registered: \(answer)") }
        let left = original.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.contains("name: \(node),") }.joined(separator: "\n")
            .replacing("sites:\n", with: "  - { name: shop.big.example, replicas: 1 }\nsites:\n")
        try Self.write(left, cluster)
        let version = try #require(try await cluster.status().topology)
        let (dry, shown) = try await cluster.run("apply", file, "--dry-run")
        #expect(dry == .exited(0) && shown.contains("in two steps: with version \(version + 1)"), "\(shown)")
        #expect(shown.contains("shop.big.example: owner \(node) -> sr"), "\(shown)")
        #expect(try await cluster.status().topology == version)

        let (applied, text) = try await cluster.run("apply", file)
        #expect(applied == .exited(0) && text.contains("others are to serve first what \(node) do"), "\(text)")
        let status = try await cluster.status()
        #expect(status.topology == version + 2)
        #expect(!status.nodes.contains { $0.name == node })
        #expect(status.domains.allSatisfy { $0.owner != nil && $0.owner != node })
        try await eventually("\(node) is stopped") { NodeProcess.find(NodeName(node), of: file) == nil }
        let (listed, contacts) = try await cluster.run("contacts", file, "--domain", "shop.big.example", "--json")
        #expect(listed == .exited(0) && contacts.contains("\"customer\""), "\(contacts)")
    }

    private static func write(_ text: String, _ cluster: TestCluster) throws {
        try text.write(toFile: cluster.topologyFile, atomically: true, encoding: .utf8)
    }

    private static func client(_ cluster: TestCluster) async throws -> ClusterClient {
        let (_, printed) = try await cluster.run("token", cluster.topologyFile, "--admin")
        let token = String(printed.split(separator: "\n").last ?? "")
        return ClusterClient(topology: try Topology.load(path: cluster.topologyFile), token: token)
    }
}
