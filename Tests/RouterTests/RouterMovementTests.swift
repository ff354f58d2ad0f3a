import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import Router

/// Operators' orders at one router.
@Suite struct RouterMovementTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let owned = assignment(
        revision: 5, owner: life("sr1"), standbys: [standby(life("sr2")), standby(life("sr3"))])
    private let threeCopies = layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], replicas: 3)

    private func router(wishes: MovementWishes = MovementWishes()) -> Driven {
        var router = Driven(threeCopies, leading: [owned], wishes: wishes, alive: [sr1, sr2, sr3])
        for node in [sr1, sr2, sr3] { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        return router
    }

    @Test func anOrderIsAnsweredWhenItIsStoredAndCarriedOutThen() throws {
        var router = router()
        let ordered = router.feed(.ordered(.drain(sr1.name), id: 1))
        #expect(ordered.answers == [:])
        #expect(ordered.wishes.map(\.drained) == [[sr1.name]])
        #expect(ordered.handOvers.isEmpty)
        let stored = router.feed(.stored(.success(.stored([])), term: 1))
        #expect(stored.answers == [1: .accepted])
        #expect(stored.handOvers.map(\.owner) == ["sr1"])
        #expect(stored.contains(.log(.draining(sr1.name))))
        router.time += 100
        #expect(router.feed(.tick).handOvers.isEmpty, "not twice within a heartbeat")
        _ = router.run(until: router.time + 300, alive: [sr1, sr2, sr3], revision: 5)
        #expect(router.run(until: router.time + 300, alive: [sr1, sr2, sr3], revision: 5).handOvers.count >= 1)
    }

    @Test func theOwnersWordMakesTheStandbyOwnerAndIsTimedFromTheOrder() throws {
        var router = router()
        _ = router.feed(.ordered(.move(owned.domain, to: sr3.name), id: 1))
        let order = try #require(router.feed(.stored(.success(.stored([])), term: 1)).handOvers.first?.order)
        #expect(order == HandOver(domain: owned.domain, epoch: 1, revision: 5, node: sr3))
        router.time += 40
        let change = ReplicaChange(domain: owned.domain, epoch: 1, revision: 5, kind: .handOver, node: sr3)
        var next = try #require(router.feed(.received(.replicaChange(change), from: sr1)).stored.first).assignment
        #expect(next.owner == sr3)
        #expect(Set(next.inSync) == [sr1, sr2])
        next.revision = 6
        let after = router.feed(.stored(.success(.stored([next])), term: 1))
        #expect(after.wishes == [MovementWishes()], "the wish is fulfilled")
        let told = try #require(router.machine.ownerChanges(of: owned.domain).last)
        #expect(told.cause == "moved")
        #expect(told.tookMilliseconds == 40)
    }

    @Test func ordersThatCannotBeCarriedOutAreRefusedWithTheReason() {
        let nodes =
            threeCopies.nodes + [
                ClusterLayout.Node(name: NodeName("ws1"), role: .wssubscr, site: "main", server: "a")
            ]
        var wishes = MovementWishes()
        wishes.drain(sr2.name)
        var router = Driven(
            ClusterLayout(nodes: nodes, domains: threeCopies.domains), leading: [owned], wishes: wishes,
            alive: [sr1, sr2])
        func outcome(_ order: MovementOrder) -> OrderOutcome? {
            router.feed(.ordered(order, id: 9)).answers[9]
        }
        let other = domain("other.example")
        #expect(outcome(.drain(NodeName("sr9"))) == .unknown("there is no node sr9"))
        #expect(outcome(.undrain(NodeName("sr9"))) == .unknown("there is no node sr9"))
        #expect(outcome(.move(other, to: sr3.name)) == .unknown("there is no domain other.example"))
        for refused: MovementOrder in [
            .drain(NodeName("ws1")), .drain(NodeName("router1")), .drain(sr1.name), .move(owned.domain, to: sr2.name),
            .move(owned.domain, to: sr3.name), .move(owned.domain, to: NodeName("ws1")),
        ] {
            guard case .refused(let why) = outcome(refused) else {
                Issue.record("\(refused) was not refused")
                continue
            }
            #expect(!why.isEmpty)
        }
    }

    @Test func whatIsSoAlreadyIsAccepted() {
        var router = router()
        #expect(router.feed(.ordered(.undrain(sr1.name), id: 1)).answers == [1: .accepted])
        let move = router.feed(.ordered(.move(owned.domain, to: sr1.name), id: 2))
        #expect(move.answers == [2: .accepted])
        #expect(move.wishes == [])
    }

    @Test func aRouterThatDoesNotLeadTakesNoOrders() {
        var router = Driven()
        #expect(router.feed(.ordered(.drain(sr1.name), id: 1)).answers == [1: .notLeading])
        var leader = self.router()
        _ = leader.feed(.ordered(.drain(sr1.name), id: 2))
        let lost = leader.feed(.stored(.failure(.unavailable("gone")), term: 1))
        #expect(lost.answers == [2: .notLeading], "nobody knows whether it was stored")
    }

    @Test func ordersGivenDuringAStoreAreInTheNextOne() {
        var router = router()
        _ = router.feed(.ordered(.drain(sr1.name), id: 1))
        #expect(router.feed(.ordered(.drain(sr2.name), id: 2)).wishes == [])
        let next = router.feed(.stored(.success(.stored([])), term: 1))
        #expect(next.answers == [1: .accepted])
        #expect(next.wishes.map(\.drained) == [[sr1.name, sr2.name]])
    }

    @Test func aConflictForgetsNoOrder() {
        var router = router()
        _ = router.feed(.ordered(.drain(sr1.name), id: 1))
        _ = router.feed(.stored(.success(.conflict), term: 1))
        let again = router.feed(
            .loaded(.success(StoredAssignments(revision: 5, assignments: [owned])), term: 1))
        #expect(again.wishes.map(\.drained) == [[sr1.name]])
        #expect(router.feed(.stored(.success(.stored([])), term: 1)).answers == [1: .accepted])
    }

    @Test func onlySoManyOrdersWait() {
        var router = router()
        for id in 1...64 { _ = router.feed(.ordered(.drain(sr1.name), id: UInt64(id))) }
        #expect(router.feed(.ordered(.drain(sr1.name), id: 65)).answers == [65: .tooManyWaiting])
    }

    @Test func theStatusTellsOfDrainingAndOfMovements() throws {
        var wishes = MovementWishes()
        wishes.drain(sr1.name)
        var router = router(wishes: wishes)
        _ = router.run(until: 400, alive: [sr1, sr2, sr3], revision: 5)
        var status = router.machine.status(following: AssignmentTable(), at: at(router.time))
        #expect(status.nodes.first { $0.name == "sr1" }?.status == .draining)
        #expect(status.domains[0].movingTo != nil)
        let text = String(decoding: try JSONEncoder().encode(status), as: UTF8.self)
        #expect(text.contains(#""moving_to":"sr"#))
        #expect(try JSONDecoder().decode(ClusterStatus.self, from: Data(text.utf8)) == status)

        router = Driven(
            leading: [assignment(revision: 5, owner: sr2, standbys: [standby(sr3)])], wishes: wishes,
            alive: [sr1, sr2, sr3])
        _ = router.run(until: 400, alive: [sr1, sr2, sr3], revision: 5)
        status = router.machine.status(following: AssignmentTable(), at: at(router.time))
        #expect(status.nodes.first { $0.name == "sr1" }?.status == .drained)
        #expect(status.domains[0].movingTo == nil)
    }

    @Test func anExplanationSaysWhoWhyAndWhereTo() throws {
        var wishes = MovementWishes()
        wishes.drain(sr1.name)
        var router = router(wishes: wishes)
        _ = router.run(until: 400, alive: [sr1, sr2, sr3], revision: 5)
        let told = try #require(router.machine.explanation(of: owned.domain, at: at(router.time)))
        #expect(told.owner == "sr1#1")
        #expect(told.candidates.map(\.name).sorted() == ["sr1", "sr2", "sr3"])
        #expect(told.candidates.first { $0.name == "sr1" }?.part == .owner)
        #expect(told.candidates.first { $0.name == "sr1" }?.owns == 1)
        #expect(told.candidates.first { $0.name == "sr2" }?.part == .standby)
        #expect(told.reasons.contains { $0.contains("because sr1 is drained") }, "\(told.reasons)")
        #expect(told.movingTo != nil)
        #expect(router.machine.explanation(of: domain("other.example"), at: at(router.time)) == nil)
        #expect(Driven().machine.explanation(of: owned.domain, at: at(0)) == nil)
    }
}
