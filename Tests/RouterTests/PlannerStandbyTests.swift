import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

@Suite struct PlannerStandbyTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    /// sr1 and sr2 share a server.
    private let sharing = layout(sr: [("sr1", "a"), ("sr2", "a"), ("sr3", "b")])

    private func request(
        _ kind: ReplicaChange.Kind, _ node: NodeID, from sender: NodeID, epoch: UInt64 = 1, revision: UInt64 = 1
    ) -> [DomainName: [Planner.ReplicaRequest]] {
        let change = ReplicaChange(
            domain: domain("d.example"), epoch: epoch, revision: revision, kind: kind, node: node)
        return [change.domain: [Planner.ReplicaRequest(sender: sender, change: change)]]
    }

    @Test func aDeadStandbyIsTakenOutAndReplaced() throws {
        var scene = Scene(sharing, alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr3)])]
        let next = try #require(scene.next())
        #expect(next.epoch == 1)
        #expect(next.standbys == [standby(sr2, inSync: false)])
    }

    @Test func aStandInStaysUntilTheBetterStandbyIsInSync() throws {
        var scene = Scene(sharing, alive: [sr1, sr2, life("sr3", 2)])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].standbys == [standby(sr2), standby(life("sr3", 2), inSync: false)])
        #expect(scene.plan().changes == [])
        scene.requests = request(.add, life("sr3", 2), from: sr1, revision: 2)
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].standbys == [standby(life("sr3", 2))])
    }

    /// sr3 was restarted when sr2 was drained: until it is back, or was given the time, what sr2 has is the only other
    /// copy.
    @Test func aDrainedNodeKeepsACopyWhileTheOneToReplaceItIsJustAway() throws {
        var scene = Scene(alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.wishes.drain(sr2.name)
        _ = scene.membership.refused(sr3.name, at: at(1000).monotonic)
        scene.now = at(2000)
        #expect(scene.plan().changes == [])
        #expect(scene.plan().nextLook == at(1000).monotonic + Periods().restartGrace)
        _ = scene.membership.heard(heartbeat(), from: life("sr3", 2), at: at(3000).monotonic)
        scene.now = at(3000)
        #expect(scene.next()?.standbys == [standby(sr2), standby(life("sr3", 2), inSync: false)])
        _ = scene.membership.refused(sr3.name, at: at(3100).monotonic)
        scene.now = at(8200)
        #expect(scene.next()?.standbys == [], "nobody is waited for any longer")
    }

    /// Its process may have ended just before, with all that its disk did not take.
    @Test func theOnlyOtherCopyIsNotDroppedBeforeTheOwnerIsHeardOnceMore() throws {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.wishes.drain(sr2.name)
        scene.now = at(400)
        scene.droppable = [:]
        let plan = scene.plan()
        let expected = Planner.Droppable(owner: sr1, since: at(400).monotonic)
        #expect(plan.changes == [] && plan.droppable == [domain("d.example"): expected])
        scene.droppable = plan.droppable
        scene.now = at(600)
        #expect(scene.plan().changes == [] && scene.plan().droppable == plan.droppable)
        scene.comesUp(sr1)
        #expect(scene.next()?.standbys == [])
        scene.goesDown(sr1)
        #expect(scene.next()?.owner == sr2)
    }

    @Test func aCopyThatOthersReplaceIsDroppedAtOnce() throws {
        var scene = Scene(alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2), standby(sr3)])]
        scene.wishes.drain(sr2.name)
        scene.droppable = [:]
        #expect(scene.next()?.standbys == [standby(sr3)])
    }

    @Test func copiesThatGetNowhereHoldUpNobodyElse() throws {
        let names = (1...4).map { "d\($0).example" }
        let sharing = ClusterLayout(
            nodes: layout(sr: [("sr1", "a"), ("sr2", "a"), ("sr3", "b"), ("sr4", "c")]).nodes,
            domains: names.map { ClusterLayout.Domain(name: domain($0), replicas: 2) },
            pace: ClusterLayout.Pace(movingDomains: 1, rebalanceAfter: .seconds(300)))
        var scene = Scene(sharing, alive: [sr1, sr2, sr3, life("sr4")])
        let place = Planner(sharing, restartGrace: .seconds(5))
        // All stand by on sr1's own server; one is being filled at a better node, and the others have to wait.
        scene.assignments = names.enumerated().map { index, name in
            assignment(name, revision: UInt64(index) + 1, owner: sr1, standbys: [standby(sr2)])
        }
        let better = names.map { name in
            place.ranks[place.places[domain(name)] ?? 0].map { place.nodes[$0].name }
                .first { $0 == sr3.name || $0 == NodeName("sr4") }
        }
        let first = try #require(better[0])
        scene.assignments[0].standbys.append(standby(NodeID(name: first, incarnation: 1), inSync: false))
        #expect(scene.plan().changes == [])
        scene.stuckFills = [first: 1]
        // Another copy is begun, and not there: the next one of those that wait, or one in its place.
        let begun = try scene.plan().changes.map { change in
            let before = try #require(scene.assignments.first { $0.domain == change.assignment.domain })
            return change.assignment.standbys.filter { !before.standbys.contains($0) }.map(\.node.name)
        }
        #expect(begun.count == 1 && begun.allSatisfy { $0.count == 1 && !$0.contains(first) })
    }

    @Test func standbysAreLeftAloneWhileTheRouterIsStillLearningWhoIsThere() {
        var scene = Scene(sharing, alive: [sr1, sr2])
        scene.membership = Membership(sharing, periods: Periods(), listeningFrom: at(0).monotonic)
        _ = scene.membership.heard(heartbeat(), from: sr1, at: at(0).monotonic)
        _ = scene.membership.heard(heartbeat(), from: sr2, at: at(0).monotonic)
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr3)])]
        for isSettled in [false, true] {
            scene.isSettled = isSettled
            #expect(scene.plan().changes == [])
        }
    }

    @Test func aSingleReplicaHasNoStandby() throws {
        var scene = Scene(
            layout(sr: [("sr1", "a"), ("sr2", "b")], replicas: 1), alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        #expect(scene.next()?.standbys == [])
    }

    @Test func anOtherSiteIsPreferredAmongOtherServers() throws {
        let sites = ClusterLayout(
            nodes: [("sr1", "a", "x"), ("sr2", "b", "x"), ("sr3", "c", "y"), ("sr4", "d", "x")].map {
                ClusterLayout.Node(name: NodeName($0.0), role: .sr, site: $0.2, server: $0.1)
            }, domains: (0..<20).map { ClusterLayout.Domain(name: domain("d\($0).example"), replicas: 2) })
        var scene = Scene(sites, alive: [sr1, sr2, sr3, life("sr4")])
        scene.carryOut(scene.plan())
        for assignment in scene.assignments where assignment.owner != sr3 {
            #expect(assignment.standbys.map(\.node) == [sr3])
        }
    }

    @Test func theOwnersWordBringsAStandbyIn() throws {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2, inSync: false)])]
        scene.requests = request(.add, sr2, from: sr1)
        #expect(scene.next()?.standbys == [standby(sr2)])
    }

    @Test(arguments: [
        (life("sr2"), UInt64(1), UInt64(1)), (life("sr1"), 2, 1), (life("sr1"), 1, 2), (life("sr1", 2), 1, 1),
    ])
    func requestsThatDoNotFitAreVoid(sender: NodeID, epoch: UInt64, revision: UInt64) {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2, inSync: false)])]
        scene.requests = request(.add, sr2, from: sender, epoch: epoch, revision: revision)
        #expect(scene.plan().changes == [])
    }

    @Test func removingAStandbyThatIsAlreadyOutVoidsADelayedAdd() throws {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2, inSync: false)])]
        scene.requests = request(.remove, sr2, from: sr1)
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].revision == 2)
        scene.requests = request(.add, sr2, from: sr1)
        #expect(scene.plan().changes == [])
    }

    /// So an owner whose domain was put back amid its removal knows that it may serve again.
    @Test func removingWhoIsNoStandbyVoidsADelayedClear() throws {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.requests = request(.remove, sr1, from: sr1)
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].revision == 2)
        #expect(scene.assignments[0].epoch == 1 && scene.assignments[0].inSync == [sr2])
        scene.requests = request(.clear, sr1, from: sr1)
        #expect(scene.plan().changes == [])
    }

    @Test func severalRequestsAtOneRevisionAreGrantedTogether() throws {
        var scene = Scene(
            layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], replicas: 3), alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2), standby(sr3)])]
        let key = domain("d.example")
        scene.requests = request(.remove, sr2, from: sr1)
        scene.requests[key]?.append(contentsOf: request(.remove, sr3, from: sr1)[key] ?? [])
        #expect(scene.next()?.inSync == [])
    }

    @Test func clearingKeepsOwnerAndStandbysInANewEpoch() throws {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.requests = request(.clear, sr1, from: sr1)
        let next = try #require(scene.next())
        #expect(next.epoch == 2)
        #expect(next.owner == sr1)
        #expect(next.cause == .storageCleared)
        #expect(next.standbys == [standby(sr2)])
    }

    @Test func aLostOwnerIsGrantedNothing() throws {
        var scene = Scene(alive: [sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2), standby(sr3)])]
        scene.requests = request(.remove, sr2, from: sr1)
        #expect(scene.next()?.inSync.count == 1)
    }
}
