import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Groups and pins at one router: what it refuses, when it looks again, and what it says.
@Suite struct RouterPlacementTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let name = domain("d.example")
    private let owned = assignment(revision: 5, owner: life("sr1"), standbys: [standby(life("sr2"))])

    private func router(
        pin: [NodeID] = [], grouped: [NodeID] = [], sites: [String] = ["x", "x", "x"], otherSite: Bool = false,
        alive: [NodeID]
    ) -> Driven {
        let routers = threeServers.nodes.filter { $0.role == .router }
        let nodes = zip([sr1, sr2, sr3], sites).map { node, site in
            ClusterLayout.Node(
                name: node.name, role: .sr, site: site, server: "\(node.name)",
                group: grouped.contains(node) ? "one" : nil)
        }
        let layout = ClusterLayout(
            nodes: routers + nodes,
            domains: [
                ClusterLayout.Domain(
                    name: name, replicas: 2, group: grouped.isEmpty ? nil : "one", pin: pin.map(\.name),
                    needsOtherSite: otherSite)
            ])
        var router = Driven(layout, leading: [owned], alive: alive)
        for node in alive { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        return router
    }

    private func reasons(_ router: Driven) throws -> String {
        try #require(router.machine.explanation(of: name, at: at(router.time))).reasons.joined(separator: "\n")
    }

    @Test func aPinnedDomainReturnsWhenItsNodeHasBeenUpForLongEnough() throws {
        var router = router(pin: [sr2, sr1], alive: [sr1, sr2, sr3])
        #expect(try reasons(router).contains("sr2 gets it back when it has been up for another 5000 ms"))
        let early = router.run(until: 4_800, alive: [sr1, sr2, sr3], revision: 5)
        #expect(early.handOvers.isEmpty)
        let late = router.run(until: 5_400, alive: [sr1, sr2, sr3], revision: 5)
        #expect(late.handOvers.first?.owner == "sr1")
        #expect(late.handOvers.first?.order.node == sr2)
        #expect(try reasons(router).contains("it moves to sr2, because it is pinned to sr2; sr2 has everything"))
        #expect(try reasons(router).contains("it is pinned to sr2, sr1"))
    }

    @Test func aMoveAgainstAPinIsRefusedWhileThePinnedNodeIsUp() {
        var router = router(pin: [sr1], alive: [sr1, sr2, sr3])
        let answer = router.feed(.ordered(.move(name, to: sr2.name), id: 1)).answers[1]
        #expect(
            answer
                == .refused(
                    "d.example is pinned to sr1, which is up, and would go back there; change its pin "
                        + "(rollcall apply), or drain sr1"))
    }

    @Test func ordersThatAGroupCannotCarryOutAreRefused() throws {
        var router = router(grouped: [sr1, sr2], alive: [sr1, sr3])
        #expect(
            router.feed(.ordered(.move(name, to: sr3.name), id: 1)).answers[1]
                == .refused("sr3 does not serve d.example: group one serves it"))
        #expect(
            router.feed(.ordered(.drain(sr1.name), id: 2)).answers[2]
                == .refused(
                    "no other sr node of group one is up and not drained, so nobody could take its domains"))
        let told = try #require(router.machine.explanation(of: name, at: at(router.time)))
        #expect(told.group == "one" && told.pin == nil)
        #expect(told.candidates.map(\.name).sorted() == ["sr1", "sr2"])
        #expect(told.reasons.contains("group one serves it"))
    }

    @Test func aDomainWithTheWrongGroupIsExplained() throws {
        let alone = router(grouped: [sr2], alive: [sr1])
        #expect(
            try reasons(alone).contains(
                "sr1 keeps it although group one serves it: none of those nodes is up and not drained"))
        let moving = router(grouped: [sr2], alive: [sr1, sr2, sr3])
        #expect(try reasons(moving).contains("it moves to sr2, because group one serves it"))
    }

    @Test func aDomainWhoseGroupIsGoneIsExplained() throws {
        var router = router(grouped: [sr1, sr2], alive: [sr3])
        _ = router.run(until: 3_000, alive: [sr3], revision: 5)
        #expect(
            try reasons(router)
                == "its owner is lost, and no sr node of group one is up; nobody else serves it")
    }

    @Test func aStandbyThatIsMissingAtTheOtherSiteIsExplained() throws {
        let away = router(sites: ["x", "x", "y"], otherSite: true, alive: [sr1, sr2])
        #expect(
            try reasons(away).contains(
                "no standby is at another site than sr1, though it has spread site: of those that may, sr3 (down)"))
        var filling = router(sites: ["x", "x", "y"], otherSite: true, alive: [sr1, sr2, sr3])
        var next = owned
        next.standbys.append(standby(sr3, inSync: false))
        next.revision = 6
        _ = filling.feed(.stored(.success(.stored([next])), term: 1))
        #expect(try reasons(filling).contains("no standby in sync is at another site yet: sr3 is being filled"))
    }
}
