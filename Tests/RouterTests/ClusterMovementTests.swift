import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Movements with routers, a coordinator and nodes around them.
@Suite struct ClusterMovementTests {
    private let router1 = NodeName("router1")

    private func settled(_ layout: ClusterLayout = threeServers) -> MiniCluster {
        var cluster = MiniCluster(layout)
        cluster.run(3000)
        #expect(cluster.unrest == [])
        return cluster
    }

    private func only(_ cluster: MiniCluster) throws -> Assignment {
        try #require(cluster.coordinator.load().assignments.first)
    }

    private func isEmpty(_ node: NodeName, in cluster: MiniCluster) -> Bool {
        cluster.coordinator.load().assignments.allSatisfy { assignment in
            assignment.owner?.name != node && !assignment.standbys.contains { $0.node.name == node }
        }
    }

    @Test func aDrainedNodeIsEmptySoonAndNothingIsLost() throws {
        var cluster = settled()
        let before = try only(cluster)
        let owner = try #require(before.owner).name
        let writes = try #require(cluster.acknowledged[before.domain])
        #expect(cluster.order(.drain(owner)) == .accepted)
        cluster.run(1500)
        #expect(isEmpty(owner, in: cluster))
        #expect(cluster.unrest == [])
        #expect(cluster.violations == [])
        #expect(try only(cluster).cause == .moved)
        #expect(try only(cluster).epoch == before.epoch + 1)
        #expect(try #require(cluster.acknowledged[before.domain]) > writes)
    }

    @Test func aDrainOutlivesTheRouterAndTheNode() throws {
        var cluster = settled()
        let owner = try #require(try only(cluster).owner).name
        #expect(cluster.order(.drain(owner)) == .accepted)
        cluster.kill(router1)
        cluster.run(6000)
        #expect(isEmpty(owner, in: cluster))
        cluster.kill(owner)
        cluster.run(500)
        cluster.start(owner)
        cluster.run(3000)
        #expect(isEmpty(owner, in: cluster))
        #expect(cluster.order(.undrain(owner)) == .accepted)
        cluster.run(3000)
        #expect(cluster.unrest == [])
    }

    @Test func aRouterThatDiesAmidAMoveLeavesItToTheNextOne() throws {
        for delay: Int64 in [0, 10, 50, 100, 200] {
            var cluster = settled()
            let before = try only(cluster)
            let members = [before.owner?.name] + before.standbys.map(\.node.name)
            let target = try #require(cluster.layout.nodes(of: .sr).first { !members.contains($0.name) }).name
            #expect(cluster.order(.move(before.domain, to: target)) == .accepted)
            cluster.run(delay)
            cluster.kill(router1)
            cluster.run(8000)
            #expect(try only(cluster).owner?.name == target, "killed after \(delay) ms")
            #expect(cluster.unrest == [])
            #expect(cluster.violations == [])
        }
    }

    @Test func aMoveToANodeThatDiesIsGivenUp() throws {
        var cluster = settled()
        let before = try only(cluster)
        let members = [before.owner?.name] + before.standbys.map(\.node.name)
        let target = try #require(cluster.layout.nodes(of: .sr).first { !members.contains($0.name) }).name
        cluster.pause(target)
        #expect(cluster.order(.move(before.domain, to: target)) == .accepted)
        cluster.run(3000)
        #expect(try only(cluster).owner == before.owner)
        #expect(cluster.coordinator.load().wishes.isEmpty)
        #expect(cluster.notices.contains(.moveGivenUp(before.domain, to: target)))
    }

    @Test func aDrainOfManyDomainsGoesOnUntilTheLast() throws {
        let domains = (0..<100).map { "d\($0).example" }
        var cluster = settled(
            layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: domains))
        let node = NodeName("sr1")
        #expect(cluster.order(.drain(node)) == .accepted)
        cluster.run(5000)
        #expect(isEmpty(node, in: cluster))
        #expect(cluster.unrest == [])
        #expect(cluster.violations == [])
    }

    @Test func withoutACoordinatorNoOrderIsTaken() throws {
        var cluster = settled()
        cluster.coordinatorAnswers = false
        let owner = try #require(try only(cluster).owner).name
        #expect(cluster.order(.drain(owner)) == .notLeading)
        cluster.coordinatorAnswers = true
        cluster.run(6000)
        #expect(cluster.unrest == [])
        #expect(try only(cluster).owner?.name == owner)
    }
}
