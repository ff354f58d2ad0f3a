import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// To whom a router says `Lead`: what a lone owner's lease rests on.
@Suite struct RouterLeaseTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    /// sr2 is the right standby for sr1, whatever the ranks are.
    private let layout = RouterTests.layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "a")])
    private var owned: Assignment { assignment(revision: 5, owner: sr1, standbys: [standby(sr2)]) }

    @Test func aHeartbeatIsAnsweredWithItsEcho() {
        var router = Driven(layout, leading: [owned])
        router.time = 123
        #expect(router.beat(sr1, revision: 5) == [.send(.lead(Lead(term: 1, echo: 123)), to: sr1.name)])
    }

    @Test func nobodyGetsALeaseBeforeTheAssignmentsAreLoaded() {
        var router = Driven(layout)
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.success(.leading(term: 1))))
        #expect(router.isLeading)
        #expect(router.beat(sr1, revision: 99) == [])
    }

    @Test func whoDoesNotKnowWhatWasStoredIsToldFirst() {
        var router = Driven(layout, leading: [owned])
        let behind = router.beat(sr1, revision: 4)
        #expect(behind.updates == ["sr1"])
        #expect(behind.leads == [])
        #expect(router.beat(sr1, revision: 5).leads == ["sr1"])
    }

    @Test func aLifeWhoseDomainIsBeingTakenAwayGetsNoLease() {
        var router = Driven(layout, leading: [owned], alive: [sr1, sr2, sr3])
        let store = router.feed(.refused(sr1.name)).stored
        #expect(store.map(\.assignment.owner) == [sr2])
        router.time = 300
        #expect(router.beat(sr1, revision: 5).leads == [])
        #expect(router.beat(sr3, revision: 5).leads == ["sr3"])
    }

    @Test func aDeposedLifeGetsALeaseOnlyOnceItKnows() throws {
        var router = Driven(layout, leading: [owned], alive: [sr1, sr2, sr3])
        var next = try #require(router.feed(.refused(sr1.name)).stored.first).assignment
        next.revision = 6
        #expect(router.feed(.stored(.success(.stored([next])), term: 1)).updates == ["sr2", "sr3"])
        router.time = 300
        let behind = router.beat(sr1, revision: 5)
        #expect(behind.updates == ["sr1"])
        #expect(behind.leads == [])
        #expect(router.beat(sr3, revision: 5).leads == ["sr3"])
        #expect(router.beat(sr1, revision: 6).leads == ["sr1"])
    }

    @Test func aRefusedLifeGetsNoLease() {
        var router = Driven(layout, leading: [], alive: [sr1])
        _ = router.feed(.refused(sr1.name))
        router.time = 50
        #expect(router.beat(sr1, revision: 0) == [])
    }

    @Test func noLeaseOutlivesTheLeadership() {
        var router = Driven(layout, leading: [owned])
        router.time = 1999
        #expect(router.beat(sr1, revision: 5).leads == ["sr1"])
        router.time = 2000
        let directives = router.beat(sr1, revision: 5)
        #expect(directives == [.resign(term: 1)])
        #expect(!router.isLeading)
    }

    @Test func leadershipCountsFromWhenItWasAskedFor() {
        var router = Driven(layout)
        _ = router.feed(.tick)
        router.time = 1900
        _ = router.feed(.campaigned(.success(.leading(term: 1))))
        #expect(router.isLeading)
        router.time = 2000
        #expect(!router.isLeading)
    }

    @Test func aGrantThatComesTooLateIsNone() {
        var router = Driven(layout)
        _ = router.feed(.tick)
        router.time = 2000
        #expect(router.feed(.campaigned(.success(.leading(term: 1)))) == [.resign(term: 1)])
        #expect(!router.isLeading)
    }

    /// The former leader may have granted a lease a moment before.
    @Test func nobodyIsDownBySilenceBeforeATakeoverIsOldEnough() {
        var router = Driven(layout)
        for node in [sr1, sr2, sr3] { _ = router.beat(node, revision: 5) }
        while router.time < 5000 {
            router.time += 100
            for node in [sr2, sr3] { _ = router.beat(node, revision: 5) }
            if router.feed(.tick).isCampaign {
                _ = router.feed(.campaigned(.success(.standby(leader: life("router2")))))
            }
        }
        while !router.feed(.tick).isCampaign { router.time += 100 }
        _ = router.feed(.campaigned(.success(.leading(term: 7))))
        router.term = 7
        let takeover = router.time
        let stored = StoredAssignments(revision: 5, assignments: [owned])
        #expect(router.feed(.loaded(.success(stored), term: 7)).stored == [])
        #expect(router.run(until: takeover + 900, alive: [sr2, sr3], revision: 5).stored == [])
        let later = router.run(until: takeover + 1100, alive: [sr2, sr3], revision: 5).stored
        #expect(later.map(\.assignment.owner) == [sr2])
    }

    @Test func silenceWhileTheRouterWasHeldUpDoesNotCount() {
        var router = Driven(layout, leading: [owned], alive: [sr1, sr2, sr3])
        _ = router.run(until: 300, alive: [sr1, sr2, sr3], revision: 5)
        router.time = 1500
        #expect(router.feed(.tick).isCampaign)
        #expect(router.feed(.campaigned(.success(.leading(term: 1)))).stored == [])
        for node in [sr2, sr3] { #expect(router.beat(node, revision: 5).stored == []) }
        #expect(router.run(until: 2400, alive: [sr2, sr3], revision: 5).stored == [])
        #expect(router.run(until: 2600, alive: [sr2, sr3], revision: 5).stored.map(\.assignment.owner) == [sr2])
    }
}
