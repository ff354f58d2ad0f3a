import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

@Suite struct PlannerTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")

    @Test func theFirstOwnerStartsEpochOneWithAStandbyOnAnotherServer() throws {
        let scene = Scene(layout(sr: [("sr1", "a"), ("sr2", "a"), ("sr3", "b")]), alive: [sr1, sr2, sr3])
        let next = try #require(scene.next())
        #expect(next.epoch == 1)
        #expect(next.cause == .restart)
        #expect(next.standbys.count == 1)
        let servers = [sr1: "a", sr2: "a", sr3: "b"]
        let owner = try #require(next.owner)
        #expect(servers[owner] != servers[next.standbys[0].node])
        #expect(!next.standbys[0].inSync)
    }

    @Test func nothingIsPlacedBeforeTheRouterKnowsWhoIsThere() {
        var scene = Scene(alive: [sr1, sr2, sr3])
        scene.isSettled = false
        #expect(scene.plan().changes == [])
        #expect(scene.plan().waiting.count == 1)
    }

    @Test func aRestoredClusterWithoutAssignmentsGoesOnFromTheBestCopy() throws {
        var scene = Scene(alive: [sr1, sr2, sr3])
        scene.holds(sr1, copy(7, 10))
        scene.holds(sr2, copy(7, 12))
        scene.holds(sr3, copy(8, 1, complete: false))
        let next = try #require(scene.next())
        #expect(next.owner == sr2)
        #expect(next.epoch == 9)
    }

    @Test func theMostAdvancedInSyncStandbyIsPromoted() throws {
        var scene = Scene(alive: [sr2, sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2), standby(sr3)])]
        scene.holds(sr2, copy(4, 10))
        scene.holds(sr3, copy(4, 11))
        let next = try #require(scene.next())
        #expect(next.owner == sr3)
        #expect(next.epoch == 5)
        #expect(next.cause == .failover)
        #expect(next.standbys == [standby(sr2)])
    }

    @Test func aStandbyThatIsNotInSyncIsNeverPromotedWhileAnInSyncOneLives() throws {
        var scene = Scene(alive: [sr2, sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2, inSync: false), standby(sr3)])]
        scene.holds(sr2, copy(4, 99))
        #expect(scene.next()?.owner == sr3)
    }

    @Test func aSuspectOwnerKeepsItsDomain() {
        var scene = Scene(alive: [sr1, sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        _ = scene.membership.heard(heartbeat(), from: sr2, at: at(700).monotonic)
        _ = scene.membership.sweep(at: at(700).monotonic)
        #expect(scene.membership.standing(of: sr1) == .suspect)
        #expect(!scene.plan().changes.contains { $0.assignment.epoch != 1 })
    }

    @Test func anOwnerWhoseProcessWasReplacedIsLost() throws {
        var scene = Scene(alive: [life("sr1", 2), sr2, sr3])
        scene.assignments = [assignment(owner: sr1, standbys: [standby(sr2)])]
        let next = try #require(scene.next())
        #expect(next.owner == sr2)
    }

    @Test func withoutAnInSyncStandbyTheMembersAreWaitedFor() {
        var scene = Scene(alive: [life("sr2", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        scene.holds(life("sr2", 2), copy(4, 10))
        let plan = scene.plan()
        #expect(plan.changes == [])
        #expect(plan.lost == [domain("d.example")])
        #expect(plan.waiting.count == 1)
    }

    @Test func whenAllMembersAreBackTheMostAdvancedCopyGoesOn() throws {
        var scene = Scene(alive: [life("sr1", 2), life("sr2", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        scene.holds(life("sr1", 2), copy(4, 12))
        scene.holds(life("sr2", 2), copy(4, 10))
        let next = try #require(scene.next())
        #expect(next.owner == life("sr1", 2))
        #expect(next.epoch == 5)
        #expect(next.cause == .restart)
        #expect(!next.standbys.contains { $0.inSync })
    }

    @Test func aMemberThatIsBackIsNotJudgedBeforeItHasReported() {
        var scene = Scene(alive: [life("sr1", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.copies = CopyCatalogue()
        #expect(scene.plan().changes == [])
    }

    @Test func anIncompleteCopyIsNoCopy() {
        var scene = Scene(alive: [life("sr1", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.holds(life("sr1", 2), copy(4, 12, complete: false))
        #expect(scene.plan().changes == [])
    }

    @Test func aMembersCopyOfAnEarlierEpochCountsOnceAllMembersAreBack() throws {
        var scene = Scene(alive: [life("sr1", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.holds(life("sr1", 2), copy(3, 12))
        let next = try #require(scene.next())
        #expect(next.owner == life("sr1", 2))
        #expect(next.cause == .restart)
    }

    /// What a node says that it holds it may have let go of since, when it is no member.
    @Test func aCopyOfNoMemberDoesNotCountOnceAllMembersAreBack() throws {
        var scene = Scene(alive: [life("sr1", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.holds(life("sr1", 2), copy(4, 12))
        scene.holds(sr3, copy(4, 15))
        #expect(scene.next()?.owner == life("sr1", 2))
    }

    @Test func copiesOfOthersAreTakenOnlyAfterTheGrace() throws {
        var scene = Scene(alive: [sr2, sr3], presence: 9_000)
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.holds(sr3, copy(3, 11))
        scene.lostSince = [domain("d.example"): at(-4999)]
        #expect(scene.plan().changes == [])
        scene.lostSince = [domain("d.example"): at(-5000)]
        let next = try #require(scene.next())
        #expect(next.owner == sr3)
        #expect(next.cause == .restart)
    }

    /// All of them were away for long, and whoever comes first waits for the others.
    @Test func theGraceDoesNotCountWhileNobodyIsThere() {
        var scene = Scene(alive: [])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        scene.lostSince = [domain("d.example"): at(-60_000)]
        scene.waits = [:]
        #expect(scene.plan().waits.isEmpty)
        scene.comesUp(sr3)
        for time in stride(from: 0, to: 5_000, by: 200) {
            scene.now = at(Int64(time))
            let plan = scene.plan()
            #expect(plan.changes == [] && plan.waiting == [domain("d.example")])
            scene.waits = plan.waits
        }
        scene.now = at(5000)
        #expect(scene.next()?.owner == sr3)
    }

    /// Another node only seemed to be there: it was down when the first one came.
    @Test func theGraceCountsFromWhenOneIsUpThatStaysUp() {
        var scene = Scene(alive: [sr2])
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.lostSince = [domain("d.example"): at(0)]
        scene.waits = [:]
        for time in stride(from: 0, to: 9_000, by: 200) {
            scene.now = at(Int64(time))
            if time == 4_000 { scene.comesUp(sr3) }
            if time == 4_400 { scene.goesDown(sr2) }
            let plan = scene.plan()
            #expect(plan.changes == [], "\(time)")
            scene.waits = plan.waits
        }
        scene.now = at(9_000)
        #expect(scene.next()?.owner == sr3)
    }

    /// Those that are there keep restarting: it does not go on for ever.
    @Test func theGraceEndsThoughWhoeverIsThereComesAndGoes() {
        var scene = Scene(alive: [sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        scene.lostSince = [domain("d.example"): at(0)]
        scene.waits = [:]
        var time: Int64 = 0
        while scene.plan().changes.isEmpty, time < 60_000 {
            scene.waits = scene.plan().waits
            time += 200
            scene.now = at(time)
            if time % 4_000 == 0 { scene.goesDown(sr3) } else if time % 4_000 == 200 { scene.comesUp(sr3) }
        }
        #expect((30_000...34_000).contains(time), "\(time)")
    }

    @Test func aMemberThatOnlyEverComesBackIsNotAwaitedForEver() {
        var scene = Scene(alive: [life("sr1", 2), sr3], presence: 30_000)
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.copies = CopyCatalogue()
        scene.copies.take(CopyReports(reports: [copy(3, 11)]), from: sr3)
        scene.lostSince = [domain("d.example"): at(-30_000)]
        #expect(scene.next()?.owner == sr3)
    }

    @Test func theGraceCountsAnewWhileAMemberComesBack() {
        var scene = Scene(alive: [life("sr1", 2), sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.copies = CopyCatalogue()
        scene.copies.take(CopyReports(reports: [copy(3, 11)]), from: sr3)
        scene.lostSince = [domain("d.example"): at(-20_000)]
        #expect(scene.plan().changes == [])
        scene.now = at(5000)
        #expect(scene.next()?.owner == sr3)
    }

    @Test func afterTheGraceWithoutAnyCopyTheDomainStartsEmpty() throws {
        var scene = Scene(alive: [sr2, sr3], presence: 9_000)
        scene.assignments = [assignment(epoch: 4, owner: sr1)]
        scene.lostSince = [domain("d.example"): at(-5000)]
        let next = try #require(scene.next())
        #expect([sr2, sr3].contains(next.owner))
        #expect(next.epoch == 5)
        #expect(next.cause == .failover)
    }

    @Test func theMembersAreRememberedWhileTheOwnerIsLost() {
        var scene = Scene(alive: [sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        #expect(scene.plan().changes == [])
    }

    @Test func aMemberNotHeardYetIsNotPassedOver() {
        var scene = Scene(alive: [sr3])
        scene.membership = Membership(threeServers, periods: Periods(), listeningFrom: at(0).monotonic)
        _ = scene.membership.heard(heartbeat(), from: sr3, at: at(0).monotonic)
        _ = scene.membership.heard(heartbeat(), from: life("sr1", 2), at: at(0).monotonic)
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        #expect(scene.plan().changes == [])
        _ = scene.membership.heard(heartbeat(), from: sr2, at: at(100).monotonic)
        #expect(scene.next()?.owner == sr2)
    }

    @Test func anEpochIsNeverReusedEvenIfTheCoordinatorWasSetBack() throws {
        var scene = Scene(alive: [sr2, sr3])
        scene.assignments = [assignment(epoch: 4, owner: sr1, standbys: [standby(sr2)])]
        scene.holds(sr3, copy(9, 2))
        #expect(scene.next()?.epoch == 10)
    }

    @Test func fewDomainsDoNotAllGoToOneNode() {
        let names = (0..<6).map { "d\($0).example" }
        var scene = Scene(
            layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: names), alive: [sr1, sr2, sr3])
        scene.carryOut(scene.plan())
        for node in [sr1, sr2, sr3] {
            #expect(scene.assignments.filter { $0.owner == node }.count <= 3)
        }
    }

    @Test func lostOwnersComeBeforeStandbyRepairs() {
        let names = (0..<400).map { "d\(1000 + $0).example" }
        var scene = Scene(layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: names), alive: [sr2, sr3])
        scene.assignments = names.enumerated().map { index, name in
            assignment(
                name, revision: UInt64(index + 1), owner: index < 300 ? sr2 : sr1,
                standbys: [standby(index < 300 ? sr1 : sr3)])
        }
        let changes = scene.plan().changes
        #expect(changes.count == names.count)
        #expect(changes.prefix(100).allSatisfy { $0.assignment.owner == sr3 && $0.assignment.epoch == 2 })
        #expect(changes.dropFirst(100).allSatisfy { $0.assignment.epoch == 1 })
    }
}
