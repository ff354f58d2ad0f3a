import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// The same machines under random faults: first nothing may go wrong, then everything must come right.
@Suite struct ClusterPropertyTests {
    /// The shortest grace that is legal, so that lone owners are replaced often.
    private var periods: Periods {
        var periods = Periods()
        periods.restartGrace = periods.down
        return periods
    }

    /// Seeds that once failed, each with its cause.
    private static let kept: [UInt64] = []

    @Test(arguments: kept + Array(1...40)) func nothingAcknowledgedIsLostAndAllComesRight(seed: UInt64) {
        var cluster = harmed(seed: seed, periods: periods)
        #expect(cluster.violations == [], "seed \(seed)")

        cluster.latency = 0
        cluster.coordinatorAnswers = true
        cluster.cut = []
        cluster.mute = []
        for node in cluster.layout.nodes {
            cluster.pause(node.name, false)
            cluster.start(node.name)
        }
        cluster.run(5_000)
        for name in cluster.coordinator.load().wishes.drained { cluster.order(.undrain(name)) }
        cluster.run(20_000)
        #expect(cluster.violations == [], "seed \(seed)")
        #expect(cluster.unrest == [], "seed \(seed)")
        let stores = cluster.stores
        cluster.run(5000)
        #expect(cluster.stores == stores, "seed \(seed): it does not come to rest")
    }

    /// A green run proves something only if a fault would have shown.
    @Test func leasesThatOutlastTheGraceAreFoundOut() {
        var periods = periods
        periods.ownerLease = .seconds(30)
        #expect((1...60).contains { seed in !harmed(seed: seed, periods: periods).violations.isEmpty })
    }

    /// A cluster after the safety phase: it ends early at the first violation.
    private func harmed(seed: UInt64, periods: Periods) -> MiniCluster {
        let servers = [("sr1", "a"), ("sr2", "b"), ("sr3", "c")]
        let domains = ["a.example", "b.example", "c.example"]
        var cluster = MiniCluster(
            layout(sr: servers, domains: domains, replicas: Int(seed % 3) + 1), seed: seed, periods: periods)
        cluster.latency = 80
        cluster.run(3000)
        for _ in 0..<60 {
            harm(&cluster)
            cluster.run(Int64.random(in: 1...80, using: &cluster.random) * 10)
            if !cluster.violations.isEmpty { break }
        }
        return cluster
    }

    private func harm(_ cluster: inout MiniCluster) {
        let names = cluster.layout.nodes.map(\.name)
        let name = names[Int.random(in: 0..<names.count, using: &cluster.random)]
        switch Int.random(in: 0..<13, using: &cluster.random) {
        case 0, 1: cluster.kill(name, isNoticed: cluster.random.chance(70))
        case 2, 3, 4: cluster.start(name)
        case 5: cluster.pause(name)
        case 6: cluster.pause(name, false)
        case 7: cluster.cut = cluster.cut.isEmpty ? [name] : []
        case 8: cluster.mute = cluster.mute.isEmpty ? [name] : []
        case 9: cluster.order(.drain(name))
        case 10: cluster.order(.undrain(name))
        case 11:
            let domains = cluster.layout.domains.map(\.name)
            cluster.order(.move(domains[Int.random(in: 0..<domains.count, using: &cluster.random)], to: name))
        default: cluster.coordinatorAnswers = cluster.random.chance(70)
        }
    }
}
