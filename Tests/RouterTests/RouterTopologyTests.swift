import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Activating topologies, and letting go of the domains that they have no more.
@Suite struct RouterTopologyTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    /// As the planner would have it, so that it plans nothing for the domain by itself.
    private let owned = assignment(revision: 5, owner: life("sr1"), standbys: [standby(life("sr3"))])

    /// Of a domain that stays, likewise.
    private let other = assignment("e.example", revision: 4, owner: life("sr3"), standbys: [standby(life("sr1"))])

    private func topology(_ version: UInt64, _ text: String) -> ActiveTopology {
        ActiveTopology(version: version, text: text, since: 0)
    }

    private func router(
        _ stored: [Assignment]? = nil, topology: ActiveTopology? = nil, wishes: MovementWishes = MovementWishes()
    ) -> Driven {
        var router = Driven(leading: stored ?? [owned], wishes: wishes, topology: topology, alive: [sr1, sr2, sr3])
        for node in [sr1, sr2, sr3] { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        // What is planned at first is put aside: as if it had been stored long ago.
        router.machine.leadership?.storing = nil
        router.machine.leadership?.rest = []
        router.machine.leadership?.due = .nothing
        return router
    }

    private func activate(_ version: UInt64, _ text: String, _ router: inout Driven) throws -> [RouterMachine.Directive]
    {
        let layout = try #require(Driven.layout(of: text))
        return router.feed(.activate(topology(version, text), layout, id: 7))
    }

    @Test func aTopologyIsActedUponOnceItIsStoredAndThenTold() throws {
        var router = router()
        let ordered = try activate(1, "d.example e.example", &router)
        #expect(ordered.activations.map(\.version) == [1])
        #expect(ordered.answers == [:])
        #expect(ordered.stored.isEmpty && ordered.topologies.isEmpty)
        let stored = router.feed(.activated(.success(.stored([])), term: 1))
        #expect(stored.answers == [7: .accepted])
        #expect(stored.topologies.map(\.node).sorted() == ["sr1", "sr2", "sr3"])
        #expect(stored.stored.map(\.assignment.domain) == [domain("e.example")])
        #expect(router.machine.topology.version == 1)
    }

    @Test func aNodeThatDoesNotHaveItIsSentItAgainUntilItDoes() throws {
        var router = router()
        _ = try activate(1, "d.example", &router)
        _ = router.feed(.activated(.success(.stored([])), term: 1))
        #expect(router.run(until: 900, alive: [sr1], revision: 5).topologies.isEmpty, "not twice within a second")
        #expect(router.run(until: 1_900, alive: [sr1], revision: 5).topologies.map(\.node) == ["sr1"])
        var beat = heartbeat(revision: 5, sentAt: 2_000)
        beat.topology = 1
        router.time = 4_000
        #expect(router.feed(.received(.heartbeat(beat), from: sr1)).topologies.isEmpty)
    }

    @Test func whoComparedWithAnOlderVersionIsRefused() throws {
        var router = router(topology: topology(3, "d.example"))
        guard case .refused(let why)? = try activate(2, "d.example", &router).answers[7] else {
            Issue.record("not refused")
            return
        }
        #expect(why.contains("version 3"))
        #expect(try activate(4, "d.example", &router).activations.map(\.version) == [4])
        #expect(try activate(4, "d.example", &router).answers == [7: .tooManyWaiting])
    }

    @Test func aRouterThatWasDeposedActivatesNothing() throws {
        var router = router()
        _ = try activate(1, "d.example e.example", &router)
        let deposed = router.feed(.activated(.success(.deposed), term: 1))
        #expect(deposed.answers == [7: .notLeading])
        #expect(!router.isLeading)
        #expect(router.machine.topology.version == 0)
    }

    @Test func anUnknownOutcomeEndsTheTermAndTheNextLeaderGoesByWhatIsStored() throws {
        var router = router()
        _ = try activate(1, "d.example e.example", &router)
        let unknown = router.feed(.activated(.failure(.unavailable("cut off")), term: 1))
        #expect(unknown.contains(.resign(term: 1)))
        #expect(unknown.answers == [7: .notLeading])
        #expect(!router.isLeading)
        var next = self.router(topology: topology(1, "d.example e.example"))
        #expect(next.machine.topology.version == 1)
        #expect(next.run(until: 2_000, alive: [sr1, sr2, sr3], revision: 5).stored.isEmpty == false)
    }

    @Test func theNewerVersionWinsOverTheCoordinators() throws {
        var router = Driven()
        router.machine = RouterMachine(
            node: life("router1"), layout: threeServers, periods: Periods(), at: at(0),
            topology: topology(4, "d.example"), layoutOf: Driven.layout(of:))
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.success(.leading(term: 1))))
        let loaded = router.feed(
            .loaded(
                .success(StoredAssignments(revision: 5, assignments: [owned], topology: topology(2, "x.example"))),
                term: 1))
        #expect(loaded.activations == [topology(4, "d.example")])
        #expect(router.machine.topology.version == 4)
    }

    @Test func aTopologyThatCannotBeReadKeepsARouterFromLeading() {
        let router = Driven(leading: [owned], topology: topology(1, " "))
        #expect(!router.isLeading)
    }

    @Test func aRoutersOwnFileEndsNoDomain() {
        var router = Driven(
            layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: ["e.example"]), leading: [owned],
            alive: [sr1, sr2, sr3])
        #expect(router.run(until: 3_000, alive: [sr1, sr2, sr3], revision: 5).retirements.isEmpty)
    }

    @Test func theOwnerOfARemovedDomainIsAskedUntilItIsRetired() throws {
        var router = router([owned, other])
        _ = try activate(1, "e.example", &router)
        let directives = router.feed(.activated(.success(.stored([])), term: 1))
        let order = try #require(directives.retirements.first)
        #expect(order.owner == "sr1" && order.order == Retire(domain: owned.domain, epoch: 1, revision: 5, topology: 1))
        #expect(router.run(until: 1_000, alive: [sr1, sr2, sr3], revision: 5).retirements.count >= 3)
        let status = router.machine.status(following: AssignmentTable(), at: at(router.time))
        #expect(status.domains.first { $0.name == "d.example" }?.isBeingRemoved == true)

        let word = ReplicaChange(domain: owned.domain, epoch: 1, revision: 5, kind: .retire, node: sr1)
        let asked = router.feed(.received(.replicaChange(word), from: sr1))
        var retired = try #require(asked.stored.first { $0.assignment.domain == owned.domain }).assignment
        #expect(retired.isRetired && retired.epoch == 1)
        retired.revision = 9
        _ = router.feed(.stored(.success(.stored([retired])), term: 1))
        #expect(router.run(until: 3_000, alive: [sr1, sr2, sr3], revision: 9).retirements.isEmpty)
        #expect(
            router.machine.status(following: AssignmentTable(), at: at(router.time)).domains.map(\.name)
                == ["e.example"])
    }

    @Test func nobodyRetiresADomainThatTheTopologyHas() {
        var router = router()
        let word = ReplicaChange(domain: owned.domain, epoch: 1, revision: 5, kind: .retire, node: sr1)
        #expect(router.feed(.received(.replicaChange(word), from: sr1)).stored.allSatisfy { !$0.assignment.isRetired })
    }

    @Test func aRemovedDomainFailsOverUntilItIsRetired() throws {
        var router = router([owned, other], topology: topology(1, "e.example"))
        _ = router.run(until: 300, alive: [sr1, sr2, sr3], revision: 5)
        let lost = router.run(until: 2_500, alive: [sr2, sr3], revision: 5)
        let next = try #require(lost.stored.last { $0.assignment.domain == owned.domain }).assignment
        #expect(next.owner == sr3 && next.epoch == 2)
    }

    @Test func aDomainThatComesBackBeginsEmptyInALaterEpoch() throws {
        var retired = owned
        (retired.owner, retired.standbys, retired.cause, retired.epoch) = (nil, [], .storageCleared, 12)
        var router = router([retired], topology: topology(1, "e.example"))
        // Somebody who was down meanwhile still has a copy.
        _ = router.feed(.received(.copies(CopyReports(reports: [copy(11, 40, users: 3)])), from: sr3))
        var stored = try activate(2, "d.example", &router)
        stored += router.feed(.stored(.success(.stored([])), term: 1))
        stored += router.feed(.activated(.success(.stored([])), term: 1))
        let back = try #require(stored.stored.first { $0.assignment.domain == owned.domain })
        #expect(back.expected == retired.revision)
        #expect(back.assignment.epoch == 13 && back.assignment.cause == .storageCleared)
        #expect(back.assignment.owner != nil)
    }

    @Test func anSRNodeMayGoOnceItIsEmptyAndDrained() throws {
        var smaller = layout(sr: [("sr1", "a"), ("sr3", "c")])
        var router = router()
        var refused = router.feed(.activate(topology(1, "x"), smaller, id: 1))
        #expect(refused.answers[1] == .refused("sr2 may be given domains at any moment; drain it first"))
        smaller = layout(sr: [("sr1", "a"), ("sr2", "b")])
        refused = router.feed(.activate(topology(1, "x"), smaller, id: 2))
        #expect(refused.answers[2] == .refused("sr3 still serves 1 domains; drain it first"))

        var wishes = MovementWishes()
        wishes.drain(sr2.name)
        var drained = self.router(wishes: wishes)
        smaller = layout(sr: [("sr1", "a"), ("sr3", "c")])
        #expect(drained.feed(.activate(topology(1, "x"), smaller, id: 3)).activations.count == 1)
        let stored = drained.feed(.activated(.success(.stored([])), term: 1))
        #expect(stored.answers[3] == .accepted)
        #expect(stored.topologies.contains { $0.node == "sr2" }, "it is told as well, this once")
        #expect(stored.wishes.last?.drained == [], "it is forgotten")
        #expect(drained.beat(sr2, revision: 0).isEmpty)
    }

    @Test func whatIsBeingStoredMeanwhileKeepsItsNode() throws {
        var wishes = MovementWishes()
        wishes.drain(sr2.name)
        var router = router(wishes: wishes)
        router.machine.leadership?.storing = .init(changes: [], wishes: nil, orders: 0)
        let smaller = layout(sr: [("sr1", "a"), ("sr3", "c")])
        let given = router.feed(.activate(topology(1, "x"), smaller, id: 4))
        #expect(given.activations.isEmpty && given.answers.isEmpty, "one store at a time")
        let planned = assignment(revision: 6, owner: sr1, standbys: [standby(sr2)])
        let stored = router.feed(.stored(.success(.stored([planned])), term: 1))
        #expect(stored.activations.isEmpty)
        #expect(stored.answers[4] == .refused("sr2 still serves 1 domains; drain it first"))
    }

    @Test func aTopologyThatLeavesNobodyToLeadIsRefused() throws {
        var router = router()
        let renamed = layout(routers: ["router3"], sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")])
        let away = layout(routers: ["router2"], sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")])
        for other in [renamed, away] {
            guard case .refused(let why)? = router.feed(.activate(topology(1, "x"), other, id: 1)).answers[1] else {
                Issue.record("not refused")
                return
            }
            #expect(why.contains("no router that is up would stay"))
        }
        let both = layout(routers: ["router1", "router3"], sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")])
        #expect(router.feed(.activate(topology(1, "x"), both, id: 2)).activations.map(\.version) == [1])
    }

    @Test func whatIsActiveAlreadyIsAcceptedAgain() throws {
        var router = router(topology: topology(3, "d.example"))
        #expect(try activate(3, "d.example", &router).answers == [7: .accepted])
        guard case .refused? = try activate(3, "d.example e.example", &router).answers[7] else {
            Issue.record("another text of the same version")
            return
        }
    }

    /// As when an earlier attempt of etcd's came through whose answer was lost.
    @Test func aConflictIsLookedInto() throws {
        for (stored, outcome) in [
            ("d.example e.example", OrderOutcome.accepted),
            ("d.example", .refused("version 1 of the topology came in between")),
        ] {
            var router = router()
            _ = try activate(1, "d.example e.example", &router)
            let conflict = router.feed(.activated(.success(.conflict), term: 1))
            #expect(conflict == [.load(term: 1)])
            let contents = StoredAssignments(revision: 5, assignments: [owned], topology: topology(1, stored))
            #expect(router.feed(.loaded(.success(contents), term: 1)).answers == [7: outcome])
            #expect(router.isLeading)
        }
    }

    @Test func aNodeThatIsGoneDoesNotStayDrainedForWhoeverLeadsNext() throws {
        var wishes = MovementWishes()
        wishes.drain(NodeName("sr9"))
        wishes.drain(sr2.name)
        var router = Driven()
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.success(.leading(term: 1))))
        let contents = StoredAssignments(
            revision: 5, assignments: [owned], wishes: wishes, topology: topology(1, "d.example"))
        let stored = router.feed(.loaded(.success(contents), term: 1)).wishes
        #expect(stored.map(\.drained) == [[sr2.name]])
    }

    @Test func onlyATopologyThatRemovesDomainsMeetsTheLimitOfThoseRemembered() throws {
        let retired = (0...RouterMachine.retiredLimit).map { number in
            Assignment(
                domain: domain("r\(number).example"), epoch: 1, revision: UInt64(number) + 6, owner: nil, standbys: [],
                cause: .storageCleared, since: 0)
        }
        var router = router([owned, other] + retired, topology: topology(1, "d.example e.example"))
        guard case .refused(let why)? = try activate(2, "d.example", &router).answers[7] else {
            Issue.record("not refused")
            return
        }
        #expect(why.contains("none can be removed any more"))
        #expect(try activate(2, "d.example e.example f.example", &router).activations.map(\.version) == [2])
    }

    @Test func domainsThatRetireOneByOneDoNotHaveAllRankedAnewEachTime() throws {
        let third = assignment("f.example", revision: 6, owner: sr1, standbys: [standby(sr3)])
        var router = router([owned, other, third], topology: topology(1, "e.example"))
        router.time = 5_000
        _ = router.feed(.tick)
        #expect(router.machine.closing.map(\.name) == [domain("d.example"), domain("f.example")])
        var gone = owned
        (gone.owner, gone.standbys, gone.cause, gone.revision) = (nil, [], .storageCleared, 7)
        router.machine.tookRetired([gone])
        #expect(router.machine.closing.map(\.name) == [domain("f.example")])
        #expect(router.machine.hasRetired, "the planner is made anew later")
    }

    @Test func aRouterThatTheTopologyHasNoMoreStandsDownAndStaysSo() throws {
        var router = router()
        let other = layout(routers: ["router2"], sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")])
        _ = router.feed(.received(.heartbeat(heartbeat(.router)), from: life("router2")))
        _ = router.feed(.activate(topology(1, "x"), other, id: 1))
        let stored = router.feed(.activated(.success(.stored([])), term: 1))
        #expect(stored.answers[1] == .accepted)
        #expect(!router.isLeading)
        #expect(stored.contains(.resign(term: 1)), "nobody has to wait for the lease to end")
        #expect(!router.run(until: 20_000, alive: [sr1]).isCampaign)
    }
}
