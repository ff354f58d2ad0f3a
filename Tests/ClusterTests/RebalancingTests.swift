import ClusterRuntime
import ClusterClients
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// Nodes that join, or come back, get their share of owners, under registrations.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct RebalancingTests {
    private static let domains = (10..<50).compactMap { DomainName("d\($0).example") }
    private static let movingDomains = 4

    @Test func nodesThatJoinOrComeBackGetTheirShareAFewDomainsAtATime() async throws {
        let cluster = try TestCluster(sparePorts: 2)
        defer { cluster.remove() }
        let few = try Self.write(cluster)
        try await cluster.whileUp { cluster, _ in
            let load = try await RegistrationLoad(cluster, in: Self.domains)
            let running = Task { await load.run() }
            let ports = cluster.sparePorts
            let more = few + "          - { name: sr4, role: sr, cluster: \(ports[0]), admin: \(ports[1]) }\n"
            try more.write(toFile: cluster.topologyFile, atomically: true, encoding: .utf8)
            let (applied, text) = try await cluster.run("apply", cluster.topologyFile)
            #expect(applied == .exited(0), "\(text)")
            let before = try await waitForShare(of: "sr4", cluster)
            let epochs = Dictionary(uniqueKeysWithValues: before.domains.map { ($0.name, $0.epoch) })
            let owned = Set(before.domains.filter { $0.owner == "sr1" }.map(\.name))
            _ = try #require(NodeProcess.signal(SIGKILL, NodeName("sr1"), of: cluster.topologyFile))
            try await eventually("sr1's domains have failed over") {
                try await cluster.status().domains.allSatisfy {
                    !owned.contains($0.name) || $0.epoch > epochs[$0.name] ?? 0
                }
            }
            _ = try await waitForShare(of: "sr1", cluster)
            load.stop()
            await running.value
            #expect(load.failures == [])
            try await check(load)
            #expect(try await cluster.run("verify", cluster.topologyFile).ending == .exited(0))
            await load.client.shutDown()
        }
    }

    /// Until every node has nine tenths of its share, and everything is in sync and at rest again.
    private func waitForShare(of node: String, _ cluster: TestCluster) async throws -> ClusterStatus {
        var last = try await cluster.status()
        try await eventually("\(node) has its share", within: .seconds(60)) {
            last = try await cluster.status()
            let moving = last.domains.count { $0.movingTo != nil }
            #expect(moving <= Self.movingDomains)
            let counts = Dictionary(grouping: last.domains.compactMap(\.owner)) { $0 }.mapValues(\.count)
            return moving == 0 && counts.count == 4 && counts.values.allSatisfy { $0 >= 9 }
                && last.domains.allSatisfy { $0.standbys.count == 1 && $0.standbys.allSatisfy(\.inSync) }
        }
        return last
    }

    private func check(_ load: RegistrationLoad) async throws {
        #expect(load.acknowledged.count == Self.domains.count)
        for (domain, accounts) in load.acknowledged {
            let listed = try await load.client.contacts(of: domain).map(\.account)
            #expect(Set(listed) == accounts, "\(domain)")
        }
    }

    /// Many domains, nothing of a wait, and little at a time.
    private static func write(_ cluster: TestCluster) throws -> String {
        let list = domains.map { "  - { name: \($0), replicas: 2 }\n" }.joined()
        let text = try String(contentsOfFile: cluster.topologyFile, encoding: .utf8)
            .replacing("  - { name: demo.example, replicas: 2 }\n", with: list)
            .replacing(
                "periods: { restart_grace: 1s }\n",
                with: "periods: { restart_grace: 1s, rebalance_after: 1s }\n"
                    + "limits: { moving_domains: \(movingDomains) }\n")
        try text.write(toFile: cluster.topologyFile, atomically: true, encoding: .utf8)
        return text.hasSuffix("\n") ? text : text + "\n"
    }
}
