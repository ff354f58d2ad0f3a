import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Sites that ask for more than half of their servers.
@Suite struct SiteQuorumTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let arbiter = life("arbiter")
    private let name = domain("d.example")
    private let grace = Periods().restartGrace.milliseconds

    /// Site x asks for a quorum of sr1, sr2 and an arbiter, on a server each; sr3 is at site y.
    private func cluster(_ domains: [ClusterLayout.Domain]? = nil, south: Bool = true) -> ClusterLayout {
        let routers = threeServers.nodes.filter { $0.role == .router }
        let nodes = ["sr1", "sr2", "arbiter"].map { name in
            ClusterLayout.Node(
                name: NodeName(name), role: name == "arbiter" ? .arbiter : .sr, site: "x", server: "on-\(name)")
        }
        let other = ClusterLayout.Node(name: sr3.name, role: .sr, site: "y", server: "on-sr3")
        return ClusterLayout(
            nodes: routers + nodes + (south ? [other] : []),
            domains: domains ?? [ClusterLayout.Domain(name: name, replicas: 2)],
            sites: [ClusterLayout.Site(name: "x", servers: ["on-sr1", "on-sr2", "on-arbiter"])])
    }

    private func scene(alive: [NodeID], owner: NodeID?, _ standbys: [Assignment.Standby], south: Bool = true) -> Scene {
        var scene = Scene(cluster(south: south), alive: alive, absence: 0)
        scene.assignments = owner.map { [assignment(owner: $0, standbys: standbys)] } ?? []
        return scene
    }

    // MARK: Counting

    @Test func moreThanHalfOfTheServersMakeAQuorumAndArbitersCount() {
        let counts: [([NodeID], Int, Bool)] = [
            ([sr1, sr2, arbiter], 3, true), ([sr1, arbiter], 2, true), ([sr1, sr2, sr3], 2, true), ([sr1], 1, false),
            ([sr3], 0, false),
        ]
        for (alive, present, isHeld) in counts {
            let quorum = Scene(cluster(), alive: alive).membership.quorums["x"]
            #expect(quorum?.present == present && quorum?.servers == 3 && quorum?.isHeld == isHeld)
        }
        #expect(Scene(cluster(), alive: [sr1]).membership.quorums["y"] == nil)
    }

    @Test func whatIsNotKnownYetIsNeitherHeldNorLost() {
        var membership = Membership(cluster(), periods: Periods(), listeningFrom: at(0).monotonic)
        _ = membership.heard(heartbeat(), from: sr1, at: at(10).monotonic)
        #expect(membership.quorums["x"]?.standing == .unknown)
        _ = membership.heard(heartbeat(.arbiter), from: arbiter, at: at(20).monotonic)
        #expect(membership.quorums["x"]?.standing == .held)
        _ = membership.refused(arbiter.name, at: at(30).monotonic)
        #expect(membership.quorums["x"]?.standing == .unknown, "sr2 may be there")
        _ = membership.heard(heartbeat(), from: sr1, at: at(1_900).monotonic)
        _ = membership.sweep(at: at(2_000).monotonic)
        #expect(membership.quorums["x"]?.standing == .lost(since: at(2_000).monotonic), "with sr2, the second to go")
    }

    // MARK: Planning

    @Test func nobodyNewServesAtASiteWithoutQuorum() {
        #expect(scene(alive: [sr1], owner: nil, []).plan().changes == [])
        #expect(scene(alive: [sr1], owner: nil, []).plan().waiting == [name])
        #expect(scene(alive: [sr1, sr3], owner: nil, []).next()?.owner == sr3)
    }

    @Test func aStandbyInSyncIsNotPromotedThereButWaitedFor() {
        var scene = scene(alive: [sr2, sr3], owner: sr1, [standby(sr2), standby(sr3, inSync: false)])
        scene.lostSince = [name: at(-60_000)]
        scene.holds(sr3, copy(1, 5))
        #expect(scene.plan().changes == [], "sr3 may lack what was acknowledged")
        #expect(scene.plan().waiting == [name])
        var whole = self.scene(alive: [sr2, arbiter, sr3], owner: sr1, [standby(sr2), standby(sr3, inSync: false)])
        #expect(whole.next()?.owner == sr2)
        whole = self.scene(alive: [sr2, sr3], owner: sr1, [standby(sr2), standby(sr3)])
        whole.holds(sr2, copy(1, 9))
        #expect(whole.next()?.owner == sr3, "which has everything as well, and a quorum")
    }

    @Test func aCopyOnDiskIsNotTakenUpThereEither() {
        var scene = scene(alive: [life("sr1", 2), sr3], owner: sr1, [])
        scene.holds(life("sr1", 2), copy(1, 5))
        scene.lostSince = [name: at(-60_000)]
        #expect(scene.plan().changes == [])
        var held = self.scene(alive: [life("sr1", 2), arbiter, sr3], owner: sr1, [])
        held.holds(life("sr1", 2), copy(1, 5))
        #expect(held.next()?.owner == life("sr1", 2))
    }

    /// Whoever was there without a quorum could not take over, so nobody has waited by the time that it is back.
    @Test func theGraceCountsFromWhenTheQuorumIsBack() {
        var scene = scene(alive: [sr2], owner: sr1, [], south: false)
        scene.holds(sr2, copy(1, 5))
        scene.lostSince = [name: at(0)]
        scene.waits = [:]
        for time in stride(from: 0, through: 40_000, by: 200) {
            scene.now = at(Int64(time))
            scene.waits = scene.plan().waits
        }
        // It is of a life that has not said yet what it holds.
        scene.comesUp(life("sr1", 2))
        #expect(scene.membership.quorums["x"]?.isHeld == true)
        #expect(scene.plan().changes == [])
        scene.waits = scene.plan().waits
        scene.now = at(40_200)
        scene.holds(life("sr1", 2), copy(1, 9))
        #expect(scene.next()?.owner == life("sr1", 2))
    }

    /// Of two that hold the same the one that may serve does.
    @Test func ofEqualCopiesTheOneWithAQuorumIsTakenUp() {
        var scene = scene(alive: [life("sr1", 2), life("sr3", 2)], owner: sr1, [standby(sr3)])
        scene.holds(life("sr1", 2), copy(1, 5))
        scene.holds(life("sr3", 2), copy(1, 5))
        #expect(scene.next()?.owner == life("sr3", 2))
        scene.holds(life("sr1", 2), copy(1, 6))
        #expect(scene.plan().changes == [], "sr1 has more, and waits for its quorum")
    }

    @Test func whatASiteOwnsMovesAwayAsPlannedOnceItsQuorumIsGoneForLong() {
        var scene = scene(alive: [sr1, sr3], owner: sr1, [standby(sr3)])
        #expect(scene.plan().movements == [])
        let since: MonotonicInstant? =
            if case .lost(let since) = scene.membership.quorums["x"]?.standing { since } else { nil }
        #expect(scene.plan().nextLook == since.map { $0 + Periods().restartGrace })
        scene.now = at(grace)
        scene.settle()
        #expect(scene.assignments[0].owner == sr3)
        #expect(scene.assignments[0].cause == .moved)
        #expect(scene.assignments[0].inSync == [sr1], "a copy there is better than none")
    }

    @Test func whatNobodyElsewhereCanTakeStays() {
        var scene = scene(alive: [sr1], owner: sr1, [standby(sr2)], south: false)
        scene.now = at(grace)
        scene.settle()
        #expect(scene.assignments[0].owner == sr1)
        #expect(scene.plan().movements == [])
    }

    @Test func aMoveToASiteWithoutQuorumIsGivenUp() {
        var scene = scene(alive: [sr1, sr3], owner: sr3, [])
        scene.wishes.move(name, to: sr1.name)
        #expect(scene.plan().wishes.isEmpty)
        #expect(scene.plan().movements == [])
    }

    /// By chance: nobody who had no part in a domain, and no standby, comes to own it at a site without quorum.
    @Test(arguments: 1...20) func nobodyNewServesWithoutQuorumWhateverHappens(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let domains = (0..<8).map {
            ClusterLayout.Domain(
                name: domain("d\($0).example"), replicas: Int.random(in: 1...3, using: &random),
                pin: random.chance(40) ? [NodeName(["sr1", "sr2", "sr3"][Int.random(in: 0..<3, using: &random)])] : [])
        }
        let layout = cluster(domains)
        var lives = ["sr1", "sr2", "sr3", "arbiter"].map { life($0) }
        var assignments: [Assignment] = []
        for step in 0..<20 {
            let comment: Comment = "seed \(seed), step \(step)"
            let alive = lives.filter { _ in random.chance(70) }
            var scene = Scene(layout, alive: alive)
            scene.assignments = assignments
            scene.now = at(random.chance(50) ? 60_000 : 0)
            if random.chance(50) {
                scene.lostSince = Dictionary(uniqueKeysWithValues: assignments.map { ($0.domain, at(-60_000)) })
            }
            let isHeld = scene.membership.quorums["x"]?.isHeld ?? false
            for _ in 0..<12 {
                let before = scene.assignments
                scene.settle(rounds: 1)
                for next in scene.assignments {
                    let former = before.first { $0.domain == next.domain }
                    guard let owner = next.owner, owner != former?.owner else { continue }
                    #expect(isHeld || owner.name == sr3.name, "\(owner) came to own \(next.domain); \(comment)")
                    let promotable = (former?.inSync ?? []).filter(alive.contains)
                    #expect(
                        promotable.isEmpty || promotable.contains(owner), "an acknowledged write is lost; \(comment)")
                }
            }
            scene.requests = [:]
            #expect(scene.plan().changes == [], comment)
            assignments = scene.assignments
            lives = lives.map { alive.contains($0) ? $0 : life($0.name.rawValue, UInt64(step + 2)) }
        }
    }

    // MARK: One router

    private func router(alive: [NodeID], owner: NodeID, _ standbys: [Assignment.Standby]) -> Driven {
        var router = Driven(
            cluster(), leading: [assignment(revision: 5, owner: owner, standbys: standbys)], alive: alive)
        for node in alive { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        return router
    }

    private func reasons(_ router: Driven) throws -> String {
        try #require(router.machine.explanation(of: name, at: at(router.time))).reasons.joined(separator: "\n")
    }

    @Test func aLostQuorumIsToldAndItsDomainsAreHandedOverWhenItLasts() throws {
        var router = router(alive: [sr1, sr3], owner: sr1, [standby(sr3)])
        let early = router.run(until: 2_000, alive: [sr1, sr3], revision: 5)
        #expect(early.contains { if case .log(.quorumLost("x", _)) = $0 { true } else { false } })
        #expect(early.handOvers.isEmpty)
        #expect(
            try reasons(router).contains(
                "site x has 1 of 3 servers, no quorum: if that lasts for 5000 ms, it moves to another site"))
        let status = router.machine.status(following: AssignmentTable(), at: at(router.time))
        #expect(
            status.sites == [ClusterStatus.Site(name: "x", servers: 3, serversPresent: 1, hasQuorum: false)])
        let late = router.run(until: 8_000, alive: [sr1, sr3], revision: 5)
        #expect(late.handOvers.first?.order.node == sr3)
        #expect(try reasons(router).contains("it moves to sr3, because site x has 1 of 3 servers, no quorum"))
        let back = router.feed(.received(.heartbeat(heartbeat(.arbiter, revision: 5)), from: arbiter))
        #expect(back.contains { if case .log(.quorumHeld("x", _)) = $0 { true } else { false } })
    }

    @Test func ordersThatASiteWithoutQuorumCannotCarryOutAreRefused() throws {
        var router = router(alive: [sr1, sr3], owner: sr3, [standby(sr1)])
        _ = router.run(until: 2_000, alive: [sr1, sr3], revision: 5)
        #expect(
            router.feed(.ordered(.move(name, to: sr1.name), id: 1)).answers[1]
                == .refused("sr1 takes nothing on: site x has 1 of 3 servers, no quorum"))
        guard case .refused = router.feed(.ordered(.drain(sr3.name), id: 2)).answers[2] else {
            Issue.record("nobody could take its domains")
            return
        }
        guard case .refused = router.feed(.ordered(.drain(arbiter.name), id: 3)).answers[3] else {
            Issue.record("an arbiter has nothing to be drained")
            return
        }
    }

    @Test func aDomainThatWaitsForAQuorumIsExplained() throws {
        var router = router(alive: [sr2, sr3], owner: sr1, [standby(sr2)])
        _ = router.run(until: 2_500, alive: [sr2, sr3], revision: 5)
        #expect(
            try reasons(router).contains(
                "its owner is lost; sr2 has everything and takes over when its site has a quorum: site x has 1 of 3"))
    }
}
