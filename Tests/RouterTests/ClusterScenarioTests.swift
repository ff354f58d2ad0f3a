import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Routers with nodes around them, step by step.
@Suite struct ClusterScenarioTests {
    private let sr1 = NodeName("sr1")
    private let router1 = NodeName("router1")
    private let router2 = NodeName("router2")

    private func settled(_ layout: ClusterLayout = threeServers) -> MiniCluster {
        var cluster = MiniCluster(layout)
        cluster.run(3000)
        #expect(cluster.unrest == [])
        return cluster
    }

    private func only(_ cluster: MiniCluster) throws -> Assignment {
        try #require(cluster.coordinator.load().assignments.first)
    }

    @Test func aFreshClusterIsServedAtOnceByTheFirstRouter() throws {
        var cluster = MiniCluster()
        cluster.run(500)
        #expect(cluster.unrest == [])
        #expect(cluster.coordinator.leadership.holder?.name == router1)
        #expect(try only(cluster).epoch == 1)
    }

    @Test func aFreshClusterDoesNotWaitForeverForANodeThatIsMissing() throws {
        var cluster = MiniCluster()
        cluster.kill(NodeName("sr3"), isNoticed: false)
        cluster.run(4000)
        #expect(cluster.coordinator.load().assignments == [])
        cluster.run(2500)
        #expect(cluster.unrest == [])
    }

    /// The routers lived on, and noticed it long ago.
    @Test func whenEveryRegistrarWasAwayForLongTheFirstToComeBackWaitsForTheOthers() throws {
        var cluster = settled()
        cluster.run(2000)
        let writes = try #require(cluster.acknowledged[try only(cluster).domain])
        let registrars = cluster.layout.nodes(of: .sr).map(\.name)
        for name in registrars { cluster.kill(name, isNoticed: false) }
        cluster.run(20_000)
        let before = try only(cluster)
        let members = ([before.owner].compactMap(\.self) + before.inSync).map(\.name)
        #expect(members.count == 2)
        for name in registrars where !members.contains(name) { cluster.start(name) }
        cluster.run(2000)
        #expect(try only(cluster) == before)
        for name in members { cluster.start(name) }
        cluster.run(4000)
        let after = try only(cluster)
        #expect(members.contains(try #require(after.owner).name))
        #expect(after.cause == .restart)
        #expect(try #require(cluster.acknowledged[before.domain]) >= writes)
        #expect(cluster.unrest == [])
    }

    @Test func nothingChangesWhileAllIsWell() {
        var cluster = settled()
        let revision = cluster.coordinator.revision
        cluster.run(10_000)
        #expect(cluster.coordinator.revision == revision)
    }

    @Test func aKilledOwnerIsReplacedWithinAStep() throws {
        var cluster = settled()
        let before = try only(cluster)
        cluster.kill(try #require(before.owner).name)
        cluster.run(10)
        let after = try only(cluster)
        #expect(after.owner == before.inSync.first)
        #expect(after.epoch == before.epoch + 1)
        #expect(after.cause == .failover)
        let promoted = try #require(after.owner)
        #expect(cluster.nodes[promoted.name]?.agent.table[after.domain] == after)
    }

    @Test func aSilentOwnerIsReplacedOnlyAfterDown() throws {
        var cluster = settled()
        let before = try only(cluster)
        cluster.pause(try #require(before.owner).name)
        cluster.run(800)
        #expect(try only(cluster).owner == before.owner)
        cluster.run(400)
        #expect(try only(cluster).owner == before.inSync.first)
    }

    @Test func aKilledNodeThatComesBackBecomesAStandbyAgain() throws {
        var cluster = settled()
        let owner = try #require(try only(cluster).owner)
        cluster.kill(owner.name)
        cluster.run(1000)
        cluster.start(owner.name)
        cluster.run(3000)
        #expect(cluster.unrest == [])
        #expect(try only(cluster).epoch == 2)
    }

    @Test func aRestartOfEverythingGoesOnFromTheCopies() throws {
        var cluster = settled()
        cluster.run(5000)
        let writes = cluster.acknowledged[domain("d.example")]
        #expect(try #require(writes) > 10)
        for node in cluster.layout.nodes { cluster.kill(node.name) }
        cluster.run(1000)
        for node in cluster.layout.nodes { cluster.start(node.name) }
        cluster.run(3000)
        #expect(cluster.unrest == [])
        let after = try only(cluster)
        #expect(after.epoch == 2)
        #expect(after.cause == .restart)
        #expect(try #require(cluster.acknowledged[after.domain]) > 10)
    }

    @Test func theSecondRouterTakesOverWithoutTouchingAnything() throws {
        var cluster = settled()
        let before = try only(cluster)
        cluster.kill(router1)
        cluster.run(5000)
        #expect(cluster.coordinator.leadership.holder?.name == router2)
        #expect(try only(cluster) == before)
    }

    @Test func anOwnerThatDiedWithTheRouterIsFoundByTheNextOne() throws {
        var cluster = settled()
        let before = try only(cluster)
        cluster.kill(router1)
        cluster.kill(try #require(before.owner).name, isNoticed: false)
        cluster.run(4500)
        #expect(try only(cluster).owner == before.inSync.first)
    }

    @Test func aRouterThatWasHeldUpKillsNobody() throws {
        var cluster = settled()
        let before = try only(cluster)
        cluster.pause(router1)
        cluster.run(1500)
        cluster.pause(router1, false)
        cluster.run(2000)
        #expect(try only(cluster) == before)
        #expect(cluster.notices.contains { if case .heldUp = $0 { true } else { false } })
    }

    @Test func aRouterThatSleptThroughItsLeaseStepsDownBeforeAnythingElse() throws {
        var cluster = settled()
        cluster.pause(router1)
        cluster.run(10_000)
        #expect(cluster.coordinator.leadership.holder?.name == router2)
        cluster.pause(router1, false)
        cluster.run(5000)
        #expect(cluster.violations == [])
        #expect(cluster.coordinator.leadership.holder?.name == router2)
    }

    @Test func ownersWithStandbysGoOnWithoutCoordinator() throws {
        var cluster = settled()
        cluster.coordinatorAnswers = false
        cluster.run(5000)
        let before = try #require(cluster.acknowledged[domain("d.example")])
        cluster.run(1000)
        #expect(try #require(cluster.acknowledged[domain("d.example")]) >= before + 9)
        cluster.coordinatorAnswers = true
        cluster.run(3000)
        #expect(cluster.unrest == [])
        #expect(cluster.notices.contains(.coordinatorAnswers))
    }

    @Test func aLoneOwnerStopsWithoutARouter() throws {
        var cluster = settled(layout(sr: [("sr1", "a")]))
        cluster.run(1000)
        for router in cluster.layout.routers { cluster.kill(router) }
        cluster.run(1000)
        let stopped = cluster.acknowledged
        cluster.run(2000)
        #expect(cluster.acknowledged == stopped)
        cluster.start(router2)
        cluster.run(6000)
        #expect(try #require(cluster.acknowledged[domain("d.example")]) > stopped[domain("d.example")] ?? 0)
        #expect(try only(cluster).epoch == 1)
    }

    @Test func aRouterWithUnknownOutcomeOfAStoreTakesANewTerm() throws {
        var cluster = settled()
        let owner = try #require(try only(cluster).owner)
        cluster.coordinatorAnswers = false
        cluster.kill(owner.name)
        cluster.run(100)
        cluster.coordinatorAnswers = true
        cluster.run(6000)
        #expect(cluster.coordinator.leadership.term > 1)
        #expect(cluster.unrest.isEmpty)
        #expect(try only(cluster).epoch == 2)
    }
}
