import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

@Suite struct RouterMachineTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private var owned: Assignment { assignment(revision: 5, owner: sr1, standbys: [standby(sr2)]) }
    private let unavailable = CoordinatorError.unavailable("test")

    private func promoting() -> Driven {
        var router = Driven(leading: [owned], alive: [sr1, sr2, sr3])
        _ = router.feed(.refused(sr1.name))
        return router
    }

    @Test func routersThatStartTogetherCampaignInTheirOrder() {
        var first = RouterMachine(node: life("router1"), layout: threeServers, periods: Periods(), at: at(0))
        var second = RouterMachine(node: life("router2"), layout: threeServers, periods: Periods(), at: at(0))
        #expect(first.handle(.tick, at: at(0)) == [.campaign(above: 0)])
        #expect(second.handle(.tick, at: at(0)) == [])
        #expect(second.handle(.tick, at: at(200)) == [.campaign(above: 0)])
    }

    @Test func theLeadershipIsRenewedAtAThird() {
        var router = Driven(leading: [owned])
        let before = router.run(until: 600)
        #expect(!before.isCampaign)
        #expect(router.run(until: 700).isCampaign)
        _ = router.run(until: 10_000)
        #expect(router.isLeading)
    }

    @Test func anotherLeaderEndsTheLeadership() {
        var router = Driven(leading: [owned])
        router.time = 700
        #expect(router.feed(.tick).isCampaign)
        _ = router.feed(.campaigned(.success(.standby(leader: life("router2")))))
        #expect(!router.isLeading)
    }

    /// All were silent at once, so it is most likely this router that was cut off: the first to be heard again must not
    /// take over from those that are heard a moment later.
    @Test func whoWasCutOffItselfHearsTheOthersBeforeItConcludesAnything() {
        var router = Driven(
            leading: [assignment(revision: 5, owner: sr1, standbys: [standby(sr3)])], alive: [sr1, sr2, sr3])
        for node in [sr1, sr2, sr3] { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        var directives = router.run(until: 2_000, alive: [sr1, sr2, sr3], revision: 5)
        directives += router.run(until: 3_500)
        #expect(router.machine.membership.standing(of: sr1) == .down)
        directives += router.beat(sr3, revision: 5)
        directives += router.run(until: 3_600, alive: [sr3], revision: 5)
        #expect(directives.stored == [])
        directives += router.run(until: 6_000, alive: [sr1, sr2, sr3], revision: 5)
        #expect(directives.stored == [])
        // When nobody else comes, it was as it looked.
        directives += router.run(until: 7_600)
        directives += router.run(until: 9_000, alive: [sr3], revision: 5)
        #expect(directives.stored.map(\.assignment.owner) == [sr3])
    }

    @Test func oneStoreAtATime() {
        var router = promoting()
        #expect(router.feed(.refused(sr3.name)).stored == [])
        var next = owned
        next.epoch = 2
        next.revision = 6
        next.owner = sr2
        next.standbys = []
        #expect(router.feed(.stored(.success(.stored([next])), term: 1)).stored == [])
    }

    @Test func aConflictLoadsAgain() {
        var router = promoting()
        #expect(router.feed(.stored(.success(.conflict), term: 1)) == [.load(term: 1)])
        let again = router.feed(.loaded(.success(StoredAssignments(revision: 5, assignments: [owned])), term: 1))
        #expect(again.stored.map(\.assignment.owner) == [sr2])
    }

    @Test func aDeposedRouterStepsDownAtOnce() {
        var router = promoting()
        _ = router.feed(.stored(.success(.deposed), term: 1))
        #expect(!router.isLeading)
    }

    @Test func aTermWithAnUnknownOutcomeIsLeftForGood() {
        var router = promoting()
        #expect(router.feed(.stored(.failure(unavailable), term: 1)).last == .resign(term: 1))
        #expect(!router.isLeading)
        while !router.feed(.tick).isCampaign { router.time += 100 }
        #expect(router.feed(.campaigned(.success(.leading(term: 1)))).contains(.resign(term: 1)))
        #expect(!router.isLeading)
        while !router.feed(.tick).isCampaign { router.time += 100 }
        #expect(router.feed(.campaigned(.success(.leading(term: 2)))).contains(.load(term: 2)))
        #expect(router.isLeading)
    }

    @Test func answersOfAnEarlierTermAreIgnored() {
        var router = promoting()
        #expect(router.feed(.stored(.success(.deposed), term: 0)) == [])
        #expect(router.feed(.loaded(.success(StoredAssignments(revision: 0, assignments: [])), term: 0)) == [])
        #expect(router.isLeading)
    }

    @Test func aLoadThatFailsIsTriedAgain() {
        var router = Driven()
        _ = router.feed(.tick)
        #expect(router.feed(.campaigned(.success(.leading(term: 1)))).contains(.load(term: 1)))
        #expect(
            router.feed(.loaded(.failure(unavailable), term: 1)) == [.log(.coordinatorFailed(unavailable))])
        router.time = 100
        #expect(router.feed(.tick) == [.load(term: 1)])
    }

    /// As when a program was put back to a version that cannot read a record.
    @Test func aLeaderThatCannotReadWhatIsStoredLetsOthersTry() {
        let damaged = CoordinatorError.damaged("a record cannot be read by this version")
        var router = Driven()
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.success(.leading(term: 1))))
        let left = router.feed(.loaded(.failure(damaged), term: 1))
        #expect(left.contains(.log(.coordinatorFailed(damaged))) && left.contains(.resign(term: 1)))
        #expect(!router.isLeading)
        var again = left
        while again.campaigns.isEmpty, router.time < 60_000 {
            router.time += 100
            again = router.feed(.tick)
        }
        #expect(router.time >= Periods().leadership.milliseconds)
        // That it may lead does not mean that all is well again.
        let leads = router.feed(.campaigned(.success(.leading(term: 2))))
        #expect(!leads.contains(.log(.coordinatorAnswers)))
        #expect(router.machine.coordinator.state == .unreachable)
        let more = router.feed(.loaded(.failure(damaged), term: 2))
        #expect(!more.contains(.log(.coordinatorFailed(damaged))), "said once")
        while router.feed(.tick).campaigns.isEmpty, router.time < 60_000 { router.time += 100 }
        _ = router.feed(.campaigned(.success(.leading(term: 3))))
        let contents = StoredAssignments(revision: 0, assignments: [])
        #expect(router.feed(.loaded(.success(contents), term: 3)).contains(.log(.coordinatorAnswers)))
    }

    @Test func failuresOfTheCoordinatorAreLoggedOnce() {
        var router = Driven()
        var notices: [RouterMachine.Directive] = []
        for _ in 0..<30 {
            router.time += 100
            if router.feed(.tick).isCampaign { notices += router.feed(.campaigned(.failure(unavailable))) }
        }
        #expect(notices == [.log(.coordinatorFailed(unavailable))])
    }

    @Test func aVacantLeadershipIsCampaignedForAtOnceAndInTheRoutersOrder() {
        var first = Driven()
        _ = first.feed(.tick)
        _ = first.feed(.campaigned(.success(.standby(leader: life("router9")))))
        first.time = 50
        #expect(first.feed(.vacant) == [.campaign(above: 0)])
        var second = Driven()
        second.machine = RouterMachine(node: life("router2"), layout: threeServers, periods: Periods(), at: at(0))
        second.time = 200
        #expect(second.feed(.tick).isCampaign)
        _ = second.feed(.campaigned(.success(.standby(leader: life("router9")))))
        second.time = 250
        #expect(second.feed(.vacant) == [])
        second.time = 299
        #expect(second.feed(.tick) == [])
        second.time = 300
        #expect(second.feed(.tick) == [.campaign(above: 0)])
    }

    @Test func aRouterThatSteppedDownLetsOthersTakeWhatItLeft() {
        var router = promoting()
        _ = router.feed(.stored(.failure(unavailable), term: 1))
        #expect(router.feed(.vacant) == [])
        router.time += Periods().heartbeat.milliseconds - 1
        #expect(router.feed(.tick) == [])
        router.time += 1
        #expect(router.feed(.tick).isCampaign)
        #expect(router.feed(.vacant) == [], "one campaign at a time")
    }

    @Test func aLeaderDoesNotListenToVacancies() {
        var router = Driven(leading: [owned], alive: [sr1])
        #expect(router.feed(.vacant) == [])
    }

    @Test func aNodeThatIsFarBehindIsToldInParts() throws {
        let many = (1...5000).map {
            assignment("d\($0).example", revision: UInt64($0), owner: life("sr1"), standbys: [standby(life("sr2"))])
        }
        var router = Driven(leading: many)
        guard case .send(.assignments(let first), _) = try #require(router.beat(sr3, revision: 0).first) else {
            Issue.record("no update")
            return
        }
        #expect(first.from == 0)
        #expect((1_000...4_096).contains(first.to), "as many as a list may hold")
        #expect(first.assignments.map(\.revision).elementsEqual(1...first.to))
        guard case .send(.assignments(let second), _) = try #require(router.beat(sr3, revision: first.to).first)
        else {
            Issue.record("no update")
            return
        }
        #expect(second.to == 5000)
        #expect(second.assignments.count == Int(5000 - first.to))
    }

    @Test func anOwnerThatAsksByAnOldAssignmentIsToldTheNewOne() {
        var router = Driven(leading: [owned], alive: [sr1, sr2])
        let change = ReplicaChange(
            domain: owned.domain, epoch: 1, revision: 4, kind: .remove, node: sr2)
        let directives = router.feed(.received(.replicaChange(change), from: sr1))
        #expect(directives.updates == ["sr1"])
        #expect(directives.stored == [])
    }

    @Test func anOwnersRequestIsStoredAtOnceAndPushed() throws {
        var router = Driven(leading: [owned], alive: [sr1, sr2, sr3])
        let change = ReplicaChange(domain: owned.domain, epoch: 1, revision: 5, kind: .remove, node: sr2)
        let store = router.feed(.received(.replicaChange(change), from: sr1)).stored
        #expect(store.map(\.expected) == [5])
        var next = try #require(store.first).assignment
        #expect(next.inSync == [])
        next.revision = 6
        #expect(router.feed(.stored(.success(.stored([next])), term: 1)).updates == ["sr1", "sr2", "sr3"])
    }

    @Test func requestsDuringAStoreAreLookedAtAfterIt() throws {
        let other = assignment("e.example", revision: 4, owner: sr2, standbys: [standby(sr3)])
        var router = Driven(
            layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: ["d.example", "e.example"]),
            leading: [owned, other], alive: [sr1, sr2, sr3])
        let store = router.feed(.refused(sr1.name)).stored
        #expect(store.map(\.assignment.domain) == [owned.domain])
        let change = ReplicaChange(domain: other.domain, epoch: 1, revision: 4, kind: .remove, node: sr3)
        #expect(router.feed(.received(.replicaChange(change), from: sr2)).stored == [])
        var next = try #require(store.first).assignment
        next.revision = 6
        let after = router.feed(.stored(.success(.stored([next])), term: 1)).stored
        #expect(after.map(\.assignment.domain) == [other.domain])
    }
}
