import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// What the planner makes of operators' wishes.
@Suite struct PlannerMovementTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")

    private func scene(_ standbys: [Assignment.Standby], _ wish: (inout MovementWishes) -> Void) -> Scene {
        var scene = Scene(alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: standbys)]
        wish(&scene.wishes)
        return scene
    }

    @Test func aDrainedOwnerIsOrderedToHandOverToItsStandbyInSync() throws {
        var scene = scene([standby(sr2)]) { $0.drain(sr1.name) }
        scene.carryOut(scene.plan())
        let movement = try #require(scene.plan().movements.first)
        #expect(movement.owner == sr1)
        #expect(movement.successor == sr2)
        #expect(movement.order?.node == sr2)
        #expect(movement.order?.revision == scene.assignments[0].revision)
    }

    @Test func theHandedOverDomainKeepsItsFormerOwnerInSyncUntilAnotherOneIs() throws {
        var scene = scene([standby(sr2)]) { $0.drain(sr1.name) }
        scene.carryOut(scene.plan())
        let order = try #require(scene.plan().movements.first?.order)
        scene.requests[order.domain] = [
            Planner.ReplicaRequest(
                sender: sr1,
                change: ReplicaChange(
                    domain: order.domain, epoch: 1, revision: order.revision, kind: .handOver, node: sr2))
        ]
        let next = try #require(scene.next())
        #expect(next.owner == sr2)
        #expect(next.epoch == 2)
        #expect(next.cause == .moved)
        #expect(next.inSync == [sr1])
        #expect(next.standbys.contains(standby(sr3, inSync: false)))
    }

    /// Copies at sr3 get nowhere: moves and drains go on without it, and do not wait for what was begun there.
    @Test(arguments: [true, false]) func nothingIsHeldUpByCopiesThatGetNowhere(isDrained: Bool) {
        let names = (1...4).map { "d\($0).example" }
        let single = ClusterLayout(
            nodes: threeServers.nodes, domains: names.map { ClusterLayout.Domain(name: domain($0), replicas: 1) },
            pace: ClusterLayout.Pace(movingDomains: 1))
        var scene = Scene(single, alive: [sr1, sr2, sr3])
        scene.assignments = names.enumerated().map { index, name in
            assignment(name, revision: UInt64(index) + 1, owner: sr1, standbys: [])
        }
        scene.assignments[0].standbys = [standby(sr3, inSync: false)]
        if isDrained {
            scene.wishes.drain(sr1.name)
        } else {
            scene.wishes.move(domain(names[0]), to: sr3.name)
            scene.wishes.move(domain(names[1]), to: sr2.name)
        }
        #expect(!scene.plan().changes.contains { $0.assignment.standbys.contains { $0.node == sr2 } })
        scene.stuckFills = [sr3.name: 1]
        #expect(scene.plan().changes.contains { $0.assignment.standbys.contains { $0.node == sr2 } })
    }

    @Test func aDrainedNodeEndsEmpty() {
        var scene = scene([standby(sr2)]) { $0.drain(sr1.name) }
        scene.settle()
        let found = scene.assignments[0]
        #expect(Set([found.owner] + found.standbys.map(\.node)) == [sr2, sr3])
        #expect(found.inSync.count == 1)
        #expect(scene.plan().movements == [])
    }

    @Test func aDrainedStandbyIsReplacedBeforeItIsDropped() {
        var scene = scene([standby(sr2)]) { $0.drain(sr2.name) }
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].standbys == [standby(sr2), standby(sr3, inSync: false)])
        scene.settle()
        #expect(scene.assignments[0].owner == sr1)
        #expect(scene.assignments[0].standbys == [standby(sr3)])
    }

    @Test func aDomainMovesToANodeThatIsFilledFirst() {
        let target = scene([standby(sr2)]) { _ in }.next()?.standbys.contains { $0.node == sr3 } == true ? sr2 : sr3
        let present = target == sr2 ? sr3 : sr2
        var scene = scene([standby(present)]) { $0.move(domain("d.example"), to: target.name) }
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].standbys.contains(standby(target, inSync: false)))
        #expect(scene.assignments[0].inSync == [present])
        #expect(scene.plan().movements.map(\.order) == [nil])
        scene.settle()
        #expect(scene.assignments[0].owner == target)
        #expect(scene.assignments[0].standbys.count == 1)
        #expect(scene.wishes.isEmpty)
    }

    @Test func aDomainWithoutStandbysMovesToo() {
        var scene = Scene(layout(sr: [("sr1", "a"), ("sr2", "b")], replicas: 1), alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1)]
        scene.wishes.drain(sr1.name)
        scene.settle()
        #expect(scene.assignments[0].owner == sr2)
        #expect(scene.assignments[0].standbys == [])
    }

    @Test func whatNobodyWishesIsNotHandedOver() {
        var scene = scene([standby(sr2)]) { _ in }
        let change = ReplicaChange(domain: domain("d.example"), epoch: 1, revision: 1, kind: .handOver, node: sr2)
        scene.requests[change.domain] = [Planner.ReplicaRequest(sender: sr1, change: change)]
        #expect(scene.plan().changes.allSatisfy { $0.assignment.owner == sr1 })
        // Another node than the wished one.
        scene.wishes.move(change.domain, to: sr3.name)
        #expect(scene.plan().changes.allSatisfy { $0.assignment.owner == sr1 })
    }

    @Test func aWishForANodeThatIsDownIsGivenUp() {
        var scene = Scene(alive: [sr1, sr2])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.wishes.move(domain("d.example"), to: sr3.name)
        #expect(scene.plan().wishes.isEmpty)
        #expect(scene.plan().movements == [])
    }

    @Test func aWishForADrainedNodeOrAForeignDomainIsGivenUp() {
        var scene = scene([standby(sr2)]) {
            $0.drain(sr3.name)
            $0.move(domain("d.example"), to: sr3.name)
            $0.move(domain("other.example"), to: sr2.name)
        }
        #expect(scene.plan().wishes.moves == [:])
        #expect(scene.plan().wishes.drained == [sr3.name])
        scene.carryOut(scene.plan())
        #expect(scene.plan().movements == [])
    }

    @Test func newDomainsGoToNodesThatAreNotDrained() {
        for drained in [sr1, sr2, sr3] {
            var scene = Scene(alive: [sr1, sr2, sr3])
            scene.wishes.drain(drained.name)
            #expect(scene.next()?.owner != drained)
            #expect(scene.next()?.standbys.contains { $0.node == drained } == false)
        }
    }

    @Test func drainedNodesServeWhenThereIsNobodyElse() {
        var scene = Scene(alive: [sr1])
        scene.wishes.drain(sr1.name)
        #expect(scene.next()?.owner == sr1)
        // What only they hold is not given up either.
        scene.assignments = [assignment(owner: sr2, standbys: [standby(sr1)])]
        #expect(scene.next()?.owner == sr1)
        #expect(scene.next()?.cause == .failover)
    }

    @Test func aFailoverPrefersAStandbyThatIsNotDrained() {
        for drained in [sr2, sr3] {
            var scene = Scene(
                layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], replicas: 3), alive: [sr2, sr3])
            scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2), standby(sr3)])]
            scene.wishes.drain(drained.name)
            #expect(scene.next()?.owner == (drained == sr2 ? sr3 : sr2))
        }
    }

    @Test func onlySoManyDomainsAreHandedOverAtOnce() {
        let names = (0..<40).map { "d\($0).example" }
        var scene = Scene(
            layout(sr: [("sr1", "a"), ("sr2", "b")], domains: names), alive: [sr1, sr2])
        scene.assignments = names.enumerated().map {
            assignment($1, revision: UInt64($0 + 1), owner: sr1, standbys: [standby(sr2)])
        }
        scene.wishes.drain(sr1.name)
        #expect(scene.plan().movements.count == 40)
        #expect(scene.plan().movements.filter { $0.order != nil }.count == Planner.handOverLimit)
    }

    @Test func onlySoManyDomainsAreFilledBesideTheirStandbysAtOnce() {
        let names = (0..<40).map { "d\($0).example" }
        var scene = Scene(
            layout(sr: [("sr1", "a"), ("sr2", "b")], domains: names, replicas: 1), alive: [sr1, sr2])
        scene.assignments = names.enumerated().map { assignment($1, revision: UInt64($0 + 1), owner: sr1) }
        scene.wishes.drain(sr1.name)
        scene.carryOut(scene.plan())
        #expect(scene.assignments.filter { !$0.standbys.isEmpty }.count == Limits().movingDomains)
        for _ in 0..<12 { scene.settle() }
        #expect(scene.assignments.allSatisfy { $0.owner == sr2 && $0.standbys.isEmpty })
    }

    @Test func nothingMovesBeforeTheRouterKnowsWhoIsThere() {
        var scene = scene([standby(sr2)]) { $0.drain(sr1.name) }
        scene.isSettled = false
        #expect(scene.plan().movements == [])
        #expect(scene.plan().changes == [])
    }
}
