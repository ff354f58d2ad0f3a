import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Groups and pins, as the planner goes by them.
@Suite struct PlannerPlacementTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let sr4 = life("sr4")

    /// Four nodes at two sites; sr1 and sr2 are of group one.
    private func cluster(
        _ domains: [ClusterLayout.Domain], orders: [Int] = [1, 1, 1, 1], grouped: Bool = true
    ) -> ClusterLayout {
        ClusterLayout(
            nodes: (0..<4).map { index in
                ClusterLayout.Node(
                    name: NodeName("sr\(index + 1)"), role: .sr, site: index % 2 == 0 ? "north" : "south",
                    server: "host", order: orders[index], group: grouped && index < 2 ? "one" : nil)
            }, domains: domains)
    }

    private func domains(_ count: Int, group: String?, replicas: Int = 2) -> [ClusterLayout.Domain] {
        (0..<count).map {
            ClusterLayout.Domain(name: domain("d\($0).example"), replicas: replicas, group: group)
        }
    }

    private func pinned(_ pin: [NodeID], replicas: Int = 2) -> ClusterLayout {
        cluster(
            [ClusterLayout.Domain(name: domain("d.example"), replicas: replicas, pin: pin.map(\.name))],
            grouped: false)
    }

    // MARK: Groups

    @Test func aGroupsDomainsGoToItsNodesAloneAndEqualOrdersShareThem() {
        var scene = Scene(cluster(domains(12, group: "one")), alive: [sr1, sr2, sr3, sr4])
        scene.carryOut(scene.plan())
        #expect(Set(scene.assignments.map(\.owner)) == [sr1, sr2])
        for found in scene.assignments {
            #expect(Set([found.owner] + found.standbys.map(\.node)) == [sr1, sr2])
        }
        #expect(scene.assignments.count { $0.owner == sr1 } <= 7)
    }

    @Test func theFirstInOrderThatLivesOwnsAllOfAGroup() {
        let layout = cluster(domains(12, group: "one"), orders: [2, 1, 1, 1])
        var scene = Scene(layout, alive: [sr1, sr2, sr3, sr4])
        scene.carryOut(scene.plan())
        #expect(Set(scene.assignments.map(\.owner)) == [sr2])
        var reserve = Scene(layout, alive: [sr1, sr3, sr4])
        reserve.carryOut(reserve.plan())
        #expect(Set(reserve.assignments.map(\.owner)) == [sr1])
    }

    /// Nodes of other groups have been there all the while.
    @Test func theGraceCountsFromWhenSomebodyOfTheGroupIsThere() {
        var scene = Scene(cluster(domains(1, group: "one")), alive: [sr3, sr4])
        scene.assignments = [assignment("d0.example", epoch: 4, owner: sr1)]
        scene.lostSince = [domain("d0.example"): at(0)]
        scene.waits = [:]
        for time in stride(from: 0, through: 60_000, by: 200) {
            scene.now = at(Int64(time))
            scene.waits = scene.plan().waits
        }
        scene.comesUp(sr2)
        #expect(scene.plan().changes == [], "sr1 may come in a moment")
        scene.waits = scene.plan().waits
        scene.now = at(61_000)
        scene.comesUp(life("sr1", 2))
        scene.holds(life("sr1", 2), copy(4, 9, of: "d0.example"))
        #expect(scene.next()?.owner == life("sr1", 2))
    }

    @Test func whatNoGroupNamesGoesToNodesWithoutGroup() {
        var scene = Scene(cluster(domains(12, group: nil)), alive: [sr1, sr2, sr3, sr4])
        scene.carryOut(scene.plan())
        #expect(Set(scene.assignments.map(\.owner)) == [sr3, sr4])
    }

    @Test func nobodyStandsInForAGroup() {
        var scene = Scene(cluster(domains(1, group: "one")), alive: [sr3, sr4])
        #expect(scene.plan().changes == [])
        scene.assignments = [assignment("d0.example", owner: sr1, standbys: [standby(sr2)])]
        scene.lostSince = [domain("d0.example"): at(-60_000)]
        let plan = scene.plan()
        #expect(plan.changes == [])
        #expect(plan.waiting == [domain("d0.example")])
    }

    @Test func aStandbyOfAnotherGroupIsPromotedRatherThanALossAndThenGivesTheDomainAway() {
        var scene = Scene(cluster(domains(1, group: "one")), alive: [sr1, sr2, sr3])
        scene.assignments = [assignment("d0.example", owner: sr4, standbys: [standby(sr3)])]
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].owner == sr3)
        scene.settle()
        let found = scene.assignments[0]
        #expect(Set([found.owner] + found.standbys.map(\.node)) == [sr1, sr2])
        #expect(found.inSync.count == 1)
    }

    @Test func aDomainThatWasGivenToAnotherGroupMovesThereAndLosesNoCopyOnTheWay() throws {
        var scene = Scene(cluster(domains(1, group: "one")), alive: [sr1, sr2, sr3, sr4])
        scene.assignments = [assignment("d0.example", owner: sr3, standbys: [standby(sr4)])]
        scene.carryOut(scene.plan())
        #expect(scene.assignments[0].owner == sr3)
        #expect(scene.assignments[0].inSync == [sr4], "until those of the group have it")
        let target = try #require(scene.plan().movements.first?.successor)
        #expect([sr1, sr2].contains(target))
        scene.settle()
        let found = scene.assignments[0]
        #expect(found.owner == target && found.cause == .moved)
        #expect(found.inSync == [target == sr1 ? sr2 : sr1])
    }

    @Test func aDomainStaysWhereItIsWhileNobodyOfItsGroupIsThere() {
        var scene = Scene(cluster(domains(1, group: "one")), alive: [sr3, sr4])
        scene.assignments = [assignment("d0.example", owner: sr3, standbys: [standby(sr4)])]
        #expect(scene.plan().changes == [])
        #expect(scene.plan().movements == [])
    }

    @Test func aMoveOutOfTheGroupIsGivenUp() {
        var scene = Scene(cluster(domains(1, group: "one")), alive: [sr1, sr2, sr3, sr4])
        scene.assignments = [assignment("d0.example", owner: sr1, standbys: [standby(sr2)])]
        scene.wishes.move(domain("d0.example"), to: sr3.name)
        #expect(scene.plan().wishes.isEmpty)
        #expect(scene.plan().movements == [])
    }

    // MARK: Pins

    @Test func aNewDomainGoesToTheFirstNodeThatItIsPinnedTo() {
        #expect(Scene(pinned([sr3, sr1]), alive: [sr1, sr2, sr3]).next()?.owner == sr3)
        #expect(Scene(pinned([sr3, sr1]), alive: [sr1, sr2]).next()?.owner == sr1)
        #expect(Scene(pinned([sr3]), alive: [sr1, sr2]).next()?.owner != nil)
    }

    @Test func aDomainMovesToTheNodeThatItIsPinnedToByNow() {
        var scene = Scene(pinned([sr3]), alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        scene.now = at(10_000)
        scene.settle()
        #expect(scene.assignments[0].owner == sr3)
        #expect(scene.assignments[0].cause == .moved)
        #expect(scene.assignments[0].epoch == 2)
        #expect(scene.assignments[0].inSync.count == 1)
    }

    @Test func aNodeThatCameBackGetsItsDomainOnceItIsThereToStay() {
        var scene = Scene(pinned([sr3]), alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr3)])]
        let early = scene.plan()
        #expect(early.movements == [])
        #expect(early.nextLook == at(0).monotonic + Periods().restartGrace)
        scene.now = at(Periods().restartGrace.milliseconds)
        #expect(scene.plan().movements.map(\.successor) == [sr3])
        #expect(scene.plan().nextLook == nil)
    }

    @Test func aPinGivesWayToADrainAndToNothingElse() {
        var scene = Scene(pinned([sr3, sr2]), alive: [sr1, sr2, sr3])
        scene.now = at(10_000)
        scene.assignments = [assignment(owner: sr3, standbys: [standby(sr1)])]
        scene.wishes.move(domain("d.example"), to: sr1.name)
        #expect(scene.plan().wishes.isEmpty, "it would go back at once")
        scene.wishes = MovementWishes()
        scene.wishes.drain(sr3.name)
        scene.settle()
        #expect(scene.assignments[0].owner == sr2, "the next one, not the standby in sync")
        scene.wishes.undrain(sr3.name)
        scene.settle()
        #expect(scene.assignments[0].owner == sr3)
    }

    @Test func aFailoverPrefersThePinnedStandbyInSync() {
        for pin in [sr2, sr3] {
            var scene = Scene(pinned([sr1, pin], replicas: 3), alive: [sr2, sr3, sr4])
            scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2), standby(sr3)])]
            scene.holds(pin == sr2 ? sr3 : sr2, copy(1, 9))
            scene.holds(pin, copy(1, 8))
            #expect(scene.next()?.owner == pin)
        }
    }

    @Test func onlySoManyPinnedDomainsAreOnTheirWayAtOnce() {
        let many = (0..<60).map {
            ClusterLayout.Domain(name: domain("d\($0).example"), replicas: 1, pin: [sr2.name])
        }
        var scene = Scene(cluster(many, grouped: false), alive: [sr1, sr2])
        scene.now = at(10_000)
        scene.assignments = many.enumerated().map {
            assignment($1.name.rawValue, revision: UInt64($0 + 1), owner: sr1)
        }
        #expect(scene.plan().movements.count == Limits().movingDomains)
        scene.settle(rounds: 60)
        #expect(scene.assignments.allSatisfy { $0.owner == sr2 && $0.standbys.isEmpty })
    }

    // MARK: Sites

    @Test func serversOfOneNameAtTwoSitesAreTwoServers() {
        var scene = Scene(
            cluster(
                [ClusterLayout.Domain(name: domain("d.example"), replicas: 2, needsOtherSite: true)], grouped: false),
            alive: [sr1, sr2, sr3, sr4])
        scene.assignments = [assignment(owner: sr1)]
        scene.carryOut(scene.plan())
        let found = scene.assignments[0].standbys.map(\.node)
        #expect(found == [sr2] || found == [sr4], "they are at the other site")
    }
}
