import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Owners that move to nodes which own much less than their share.
@Suite struct PlannerBalanceTests {
    private let names = (0..<120).map { "d\(1000 + $0).example" }
    private let lives = ["sr1", "sr2", "sr3"].map { life($0) }

    private func layout(
        orders: [Int] = [1, 1, 1], weights: [Int] = [1, 1, 1],
        _ pace: ClusterLayout.Pace = ClusterLayout.Pace(rebalanceAfter: .zero)
    ) -> ClusterLayout {
        ClusterLayout(
            nodes: lives.indices.map {
                ClusterLayout.Node(
                    name: lives[$0].name, role: .sr, site: "main", server: "server\($0)", order: orders[$0],
                    weight: weights[$0])
            },
            domains: names.map { ClusterLayout.Domain(name: domain($0), replicas: 2) }, pace: pace)
    }

    /// Everything was placed and is in sync while the last node was away; now it has come.
    private func joined(_ layout: ClusterLayout) -> Scene {
        var before = Scene(layout, alive: Array(lives.dropLast()))
        _ = before.settleAll()
        var scene = Scene(layout, alive: lives)
        scene.assignments = before.assignments
        return scene
    }

    @Test func aNodeThatJoinedGetsItsShareAFewDomainsAtATime() {
        var scene = joined(layout(.init(movingDomains: 10, rebalanceAfter: .zero)))
        #expect(scene.owned(lives[2]) == 0)
        let settled = scene.settleAll()
        #expect(settled.mostMovements == 10)
        #expect(settled.mostOrders == Planner.gentleHandOverLimit)
        #expect(settled.mostCatchingUp <= 10)
        #expect(scene.owned(lives[2]) == 36)
        // Nothing but what had to move did.
        #expect(settled.ownerChanges == 36)
    }

    @Test func aNodeThatCameALittleWhileAgoIsGivenNoOwners() {
        var scene = joined(layout(.init(rebalanceAfter: .seconds(60))))
        scene.now = at(59_999)
        #expect(scene.settleAll().ownerChanges == 0)
        #expect(scene.owned(lives[2]) == 0)
        scene.now = at(60_000)
        #expect(scene.settleAll().ownerChanges == 36)
    }

    @Test func aNodeThatWasDownHasComeAnew() {
        var scene = joined(layout(.init(rebalanceAfter: .seconds(60))))
        scene.now = at(60_000)
        _ = scene.membership.refused(lives[2].name, at: at(59_000).monotonic)
        _ = scene.membership.heard(heartbeat(), from: lives[2], at: at(60_000).monotonic)
        for alive in lives.dropLast() { _ = scene.membership.heard(heartbeat(), from: alive, at: at(60_000).monotonic) }
        #expect(scene.settleAll().ownerChanges == 0)
        // To be late now and then is not to be down.
        scene.now = at(119_900)
        for alive in lives { _ = scene.membership.heard(heartbeat(), from: alive, at: at(119_200).monotonic) }
        _ = scene.membership.sweep(at: scene.now.monotonic)
        #expect(scene.membership[lives[2].name]?.standing == .suspect)
        for alive in lives { _ = scene.membership.heard(heartbeat(), from: alive, at: scene.now.monotonic) }
        scene.now = at(120_000)
        #expect(scene.settleAll().ownerChanges == 36)
    }

    @Test func ownersMayBeToldToStayWhereTheyAre() {
        var scene = joined(layout(.init(movingDomains: 0, rebalanceAfter: .zero)))
        #expect(scene.settleAll().ownerChanges == 0)
        // Standbys go where they belong all the same, one by one.
        #expect(scene.assignments.contains { $0.inSync == [lives[2]] })
    }

    @Test func aReserveTakesNothingWhileOthersAreThere() {
        var scene = joined(layout(orders: [1, 1, 2]))
        #expect(scene.settleAll().ownerChanges == 0)
    }

    @Test func aReserveGivesBackEverything() {
        var scene = joined(layout(orders: [1, 2, 1]))
        #expect(scene.owned(lives[0]) == 120)
        for index in scene.assignments.indices {
            scene.assignments[index].owner = lives[1]
            scene.assignments[index].standbys = [standby(lives[0])]
        }
        _ = scene.settleAll()
        #expect(scene.owned(lives[0]) == 60)
        #expect(scene.owned(lives[2]) == 60)
    }

    @Test func sharesAreByWeight() {
        var scene = joined(layout(weights: [1, 1, 4]))
        _ = scene.settleAll()
        #expect(scene.owned(lives[2]) == 72)
    }

    @Test func aDrainedNodeIsGivenNothingUntilItIsUndrained() {
        var scene = joined(layout())
        scene.wishes.drain(lives[2].name)
        #expect(scene.settleAll().ownerChanges == 0)
        scene.wishes.undrain(lives[2].name)
        #expect(scene.settleAll().ownerChanges == 36)
    }

    @Test func copiesOfADrainedNodeAreReplacedAllAtOnce() {
        var scene = Scene(layout(.init(movingDomains: 4, rebalanceAfter: .zero)), alive: lives)
        _ = scene.settleAll()
        let concerned = scene.assignments.filter { $0.inSync.contains(lives[2]) }
        #expect(concerned.count > 4)
        scene.wishes.drain(lives[2].name)
        scene.carryOut(scene.plan())
        for former in concerned {
            let filling = scene.assignments.first { $0.domain == former.domain }?.standbys.filter { !$0.inSync }
            #expect(filling?.count == 1, "\(former.domain)")
        }
    }

    @Test func whereNodesHaveTheirSharesNothingMovesForADrainedOne() {
        var scene = Scene(layout(), alive: lives)
        _ = scene.settleAll()
        scene.wishes.drain(lives[2].name)
        _ = scene.settleAll()
        #expect(scene.owned(lives[2]) == 0)
        #expect(scene.settleAll().ownerChanges == 0)
        // Only what is too much for the others comes back.
        scene.wishes.undrain(lives[2].name)
        #expect(scene.settleAll().ownerChanges <= 40)
        #expect(scene.owned(lives[2]) >= 36)
    }

    @Test func whatOperatorsWishComesFirst() throws {
        var scene = joined(layout())
        let wished = try #require(scene.assignments.first { $0.owner == lives[0] }).domain
        scene.wishes.move(wished, to: lives[1].name)
        #expect(scene.plan().movements.map(\.domain) == [wished])
        #expect(scene.plan().movements.map(\.successor) == [lives[1]])
    }

    @Test func whatHasBegunGoesOnThoughOthersWouldNeedNoFilling() throws {
        var scene = joined(layout(.init(movingDomains: 4, rebalanceAfter: .zero)))
        let first = scene.plan()
        scene.carryOut(first)
        let begun = Set(first.movements.map(\.domain))
        #expect(begun.count == 4)
        let other = try #require(
            scene.assignments.firstIndex { !begun.contains($0.domain) && $0.inSync.count == $0.standbys.count })
        scene.assignments[other].standbys = [standby(lives[2])]
        #expect(Set(scene.plan().movements.map(\.domain)) == begun)
    }

    @Test func anOrderThatBalanceNoLongerWantsIsNotGranted() {
        var scene = Scene(layout(), alive: lives)
        _ = scene.settleAll()
        let balanced = scene.assignments[0]
        guard let owner = balanced.owner, let standby = balanced.inSync.first else { return #expect(Bool(false)) }
        let change = ReplicaChange(
            domain: balanced.domain, epoch: balanced.epoch, revision: balanced.revision, kind: .handOver,
            node: standby)
        scene.requests[balanced.domain] = [Planner.ReplicaRequest(sender: owner, change: change)]
        #expect(scene.plan().changes == [])
    }
}

extension Scene {
    struct Settled {
        var mostMovements = 0
        var mostOrders = 0
        var mostCatchingUp = 0
        var ownerChanges = 0
        var isQuiet = false
    }

    func owned(_ node: NodeID) -> Int { owned(node.name) }
    func owned(_ name: NodeName) -> Int { assignments.count { $0.owner?.name == name } }

    /// Plans and carries out until nothing is left to do; owners bring their standbys in and hand over as ordered.
    mutating func settleAll() -> Settled {
        var settled = Settled()
        for _ in 0..<2_000 {
            let plan = plan()
            let orders = plan.movements.compactMap(\.order)
            settled.mostMovements = max(settled.mostMovements, plan.movements.count)
            settled.mostOrders = max(settled.mostOrders, orders.count)
            let former = Dictionary(uniqueKeysWithValues: assignments.map { ($0.domain, $0) })
            for change in plan.changes {
                let owner = former[change.assignment.domain]?.owner
                if owner != nil, owner != change.assignment.owner { settled.ownerChanges += 1 }
            }
            carryOut(plan)
            let catchingUp = assignments.filter { $0.inSync.count < $0.standbys.count }
            if !former.isEmpty { settled.mostCatchingUp = max(settled.mostCatchingUp, catchingUp.count) }
            if plan.changes.isEmpty, orders.isEmpty, catchingUp.isEmpty, plan.postponed == 0 {
                settled.isQuiet = plan.movements.isEmpty && plan.waiting.isEmpty
                return settled
            }
            let current = Dictionary(uniqueKeysWithValues: assignments.map { ($0.domain, $0) })
            requests = [:]
            for assignment in catchingUp {
                requests[assignment.domain] = assignment.standbys.filter { !$0.inSync }.map {
                    request(.add, $0.node, of: assignment)
                }
            }
            for order in orders {
                guard let assignment = current[order.domain], assignment.revision == order.revision else { continue }
                requests[order.domain, default: []].append(request(.handOver, order.node, of: assignment))
            }
        }
        return settled
    }

    func request(_ kind: ReplicaChange.Kind, _ node: NodeID, of assignment: Assignment) -> Planner.ReplicaRequest {
        Planner.ReplicaRequest(
            sender: assignment.owner ?? node,
            change: ReplicaChange(
                domain: assignment.domain, epoch: assignment.epoch, revision: assignment.revision, kind: kind,
                node: node))
    }
}
