import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Nodes that cannot write their journals, as the planner goes by them.
@Suite struct PlannerJournalTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let name = domain("d.example")

    private func scene(
        owner: NodeID? = life("sr1"), _ standbys: [Assignment.Standby], _ layout: ClusterLayout = threeServers,
        alive: [NodeID] = [life("sr1"), life("sr2"), life("sr3")]
    ) -> Scene {
        var scene = Scene(layout, alive: alive)
        scene.assignments = [assignment(owner: owner, standbys: standbys)]
        return scene
    }

    // MARK: Planned moves

    @Test func aDrainedOwnersDomainGoesToTheNodeThatCanWrite() {
        var scene = scene([standby(sr2)])
        scene.cannotWrite(sr2)
        scene.wishes.drain(sr1.name)
        #expect(scene.plan().movements.map(\.successor) == [sr3])
        scene.settle()
        #expect(scene.assignments[0].owner == sr3)
        #expect(scene.assignments[0].standbys == [standby(sr2)])
    }

    @Test func aDrainWaitsUntilSomebodyElseCanWrite() {
        var scene = scene([standby(sr2)], alive: [sr1, sr2])
        scene.cannotWrite(sr2, for: 60_000)
        scene.wishes.drain(sr1.name)
        scene.settle()
        #expect(scene.assignments[0].owner == sr1)
        #expect(scene.assignments[0].standbys == [standby(sr2)])
        #expect(scene.plan().movements == [])
        scene.canWrite(sr2)
        scene.settle()
        #expect(scene.assignments[0].owner == sr2)
        #expect(scene.assignments[0].standbys == [])
    }

    @Test func aDrainedNodeKeepsTheOnlyCopyThatIsInAJournal() {
        var scene = scene(owner: sr2, [standby(sr1)], alive: [sr1, sr2])
        scene.cannotWrite(sr2)
        scene.wishes.drain(sr1.name)
        scene.settle()
        #expect(scene.assignments[0].owner == sr2)
        #expect(scene.assignments[0].standbys == [standby(sr1)])
        scene.canWrite(sr2)
        scene.settle()
        #expect(scene.assignments[0].standbys == [])
    }

    @Test func aHandOverIsNotCarriedOutOnceTheDiskIsFull() throws {
        var scene = scene([standby(sr2)])
        scene.wishes.drain(sr1.name)
        scene.carryOut(scene.plan())
        let order = try #require(scene.plan().movements.first?.order)
        #expect(order.node == sr2)
        let change = ReplicaChange(domain: name, epoch: 1, revision: order.revision, kind: .handOver, node: sr2)
        scene.requests[name] = [Planner.ReplicaRequest(sender: sr1, change: change)]
        scene.cannotWrite(sr2)
        #expect(scene.plan().changes.allSatisfy { $0.assignment.owner == sr1 })
        scene.canWrite(sr2)
        #expect(scene.plan().changes.map(\.assignment.owner) == [sr2])
    }

    @Test func aMoveWaitsForRoom() {
        var scene = scene([standby(sr2)])
        scene.cannotWrite(sr2)
        scene.wishes.move(name, to: sr2.name)
        #expect(scene.plan().movements == [])
        #expect(scene.plan().wishes.moves == [name: sr2.name])
        scene.canWrite(sr2)
        #expect(scene.plan().movements.map(\.successor) == [sr2])
    }

    @Test func aPinnedNodeGetsItsDomainBackWhenItCanWrite() {
        let pinned = ClusterLayout(
            nodes: threeServers.nodes, domains: [ClusterLayout.Domain(name: name, replicas: 2, pin: [sr2.name])])
        var scene = scene([standby(sr2)], pinned)
        scene.now = at(60_000)
        scene.cannotWrite(sr2)
        #expect(scene.plan().movements == [])
        scene.canWrite(sr2)
        #expect(scene.plan().movements.map(\.successor) == [sr2])
    }

    @Test func nothingIsBalancedTowardsIt() {
        let many = layout(sr: [("sr1", "a"), ("sr2", "b")], domains: (0..<10).map { "d\($0).example" })
        var scene = Scene(many, alive: [sr1, sr2])
        scene.now = at(600_000)
        scene.assignments = many.domains.enumerated().map {
            assignment($1.name.rawValue, revision: UInt64($0 + 1), owner: sr1, standbys: [standby(sr2)])
        }
        scene.cannotWrite(sr2)
        #expect(scene.plan().movements == [])
        scene.canWrite(sr2)
        #expect(!scene.plan().movements.isEmpty)
    }

    // MARK: Owners that are lost

    @Test func ofStandbysInSyncOneThatCanWriteIsPromoted() {
        for full in [sr2, sr3] {
            var scene = scene([standby(sr2), standby(sr3)], alive: [sr2, sr3])
            scene.holds(full, copy(1, 90))
            scene.holds(full == sr2 ? sr3 : sr2, copy(1, 88))
            scene.cannotWrite(full)
            #expect(scene.next()?.owner == (full == sr2 ? sr3 : sr2))
        }
    }

    @Test func theOnlyStandbyInSyncIsPromotedAllTheSame() {
        var scene = scene([standby(sr2), standby(sr3, inSync: false)], alive: [sr2, sr3])
        scene.cannotWrite(sr2)
        #expect(scene.next()?.owner == sr2)
        #expect(scene.next()?.cause == .failover)
    }

    @Test func afterARestartTheFurthestCopyCountsAndOfEqualsTheOneThatCanWrite() {
        for full in [sr1, sr2] {
            let other = full == sr1 ? sr2 : sr1
            var scene = scene(owner: life("sr1", 0), [standby(life("sr2", 0))])
            scene.holds(full, copy(1, 70))
            scene.holds(other, copy(1, 70))
            scene.cannotWrite(full)
            #expect(scene.next()?.owner == other)
            scene.holds(full, copy(1, 71))
            #expect(scene.next()?.owner == full)
        }
    }

    // MARK: New domains and copies

    @Test func newDomainsAndTheirCopiesGoToNodesThatCanWrite() {
        let many = layout(
            sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: (0..<12).map { "d\($0).example" })
        var scene = Scene(many, alive: [sr1, sr2, sr3])
        scene.cannotWrite(sr2)
        scene.carryOut(scene.plan())
        #expect(Set(scene.assignments.flatMap { [$0.owner] + $0.standbys.map(\.node) }) == [sr1, sr3])
        #expect(scene.plan().changes == [])
    }

    @Test func whenNobodyCanWriteDomainsAreServedAllTheSame() {
        var scene = Scene(alive: [sr1, sr2])
        scene.cannotWrite(sr1)
        scene.cannotWrite(sr2)
        scene.carryOut(scene.plan())
        #expect(Set([scene.assignments[0].owner] + scene.assignments[0].standbys.map(\.node)) == [sr1, sr2])
    }

    @Test func aCopyIsReplacedWhenItsDiskHasBeenFullForLong() throws {
        var scene = scene([standby(sr2)])
        scene.settle()
        let present = try #require(scene.assignments[0].standbys.first?.node)
        scene.cannotWrite(present, for: 4_900)
        #expect(scene.plan().changes == [])
        #expect(scene.plan().nextLook == scene.now.monotonic + .milliseconds(100))
        scene.cannotWrite(present, for: 5_000)
        scene.settle()
        #expect(scene.assignments[0].owner == sr1)
        #expect(scene.assignments[0].standbys == [standby(present == sr2 ? sr3 : sr2)])
        #expect(scene.plan().nextLook == nil)
    }

    @Test func anotherSiteIsWorthMoreThanAJournal() {
        let sites = ClusterLayout(
            nodes: ["north", "north", "south"].enumerated().map { index, site in
                ClusterLayout.Node(
                    name: NodeName("sr\(index + 1)"), role: .sr, site: site, server: "server\(index)")
            },
            domains: [ClusterLayout.Domain(name: name, replicas: 2, needsOtherSite: true)])
        var scene = scene([], sites)
        scene.cannotWrite(sr3, for: 60_000)
        scene.settle()
        #expect(scene.assignments[0].standbys == [standby(sr3)])
    }
}
