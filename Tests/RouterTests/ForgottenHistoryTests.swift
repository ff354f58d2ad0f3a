import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Coordinators that know less than the nodes do.
@Suite struct ForgottenHistoryTests {
    private let name = domain("d.example")

    private func settled() -> MiniCluster {
        var cluster = MiniCluster()
        cluster.run(3000)
        #expect(cluster.unrest == [])
        return cluster
    }

    private func only(_ cluster: MiniCluster) throws -> Assignment {
        try #require(cluster.coordinator.load().assignments.first)
    }

    private func restartRouters(_ cluster: inout MiniCluster) {
        for router in cluster.layout.routers { cluster.kill(router) }
        cluster.run(100)
        for router in cluster.layout.routers { cluster.start(router) }
    }

    /// Everybody goes by what is stored, and nothing acknowledged is gone.
    private func expectAgreement(_ cluster: MiniCluster, after before: Assignment, writes: Int) throws {
        let stored = try only(cluster)
        #expect(cluster.unrest == [])
        // One that has lost everything does not know that a router leads.
        #expect(cluster.violations.filter { !$0.hasSuffix("lead at once") } == [])
        #expect(stored.epoch >= before.epoch)
        for node in cluster.nodes.values {
            #expect(node.agent.table[name] == stored, "\(node.agent.node)")
            #expect(node.agent.term == cluster.coordinator.leadership.term, "\(node.agent.node)")
        }
        let owner = try #require(stored.owner)
        let held = try #require(cluster.disks[owner.name]?[name])
        #expect(held.writes >= writes)
        #expect(held.position.epoch == stored.epoch)
    }

    @Test(arguments: [true, false]) func nodesGoOnWhenTheCoordinatorHasLostEverything(areRestarted: Bool) throws {
        var cluster = settled()
        restartRouters(&cluster)
        cluster.run(10_000)
        let (before, term) = (try only(cluster), cluster.coordinator.leadership.term)
        let writes = try #require(cluster.acknowledged[name])

        cluster.coordinator = CoordinatorState()
        if areRestarted { restartRouters(&cluster) }
        cluster.run(8000)
        let after = try only(cluster)
        try expectAgreement(cluster, after: before, writes: writes)
        #expect(cluster.coordinator.leadership.term > term)
        // It was there all the while and has everything.
        #expect(after.owner == before.owner)
        #expect(after.epoch > before.epoch && after.revision > before.revision)
        let known = try #require(cluster.acknowledged[name])
        cluster.run(1000)
        #expect(try #require(cluster.acknowledged[name]) > known)
    }

    @Test func theOwnerSinceTheBackupIsBelievedAndNotTheBackup() throws {
        var cluster = settled()
        let (backup, old) = (cluster.coordinator, try only(cluster))
        let former = try #require(old.owner)
        cluster.kill(former.name)
        cluster.run(1000)
        cluster.start(former.name)
        cluster.run(5000)
        let before = try only(cluster)
        #expect(before.owner != former && before.epoch > old.epoch)
        let writes = try #require(cluster.acknowledged[name])

        cluster.coordinator = backup
        restartRouters(&cluster)
        cluster.run(8000)
        try expectAgreement(cluster, after: before, writes: writes)
        #expect(try only(cluster).owner == before.owner)
    }

    /// A standby that was in sync by the backup, and has missed something since.
    @Test func standbysInSyncByTheBackupAreNotPromoted() throws {
        var cluster = settled()
        let (backup, old) = (cluster.coordinator, try only(cluster))
        let standby = try #require(old.inSync.first)
        cluster.cut = [standby.name]
        cluster.run(5000)
        let before = try only(cluster)
        #expect(before.epoch == old.epoch && !before.inSync.contains(standby) && !before.inSync.isEmpty)
        let writes = try #require(cluster.acknowledged[name])

        cluster.coordinator = backup
        for router in cluster.layout.routers { cluster.kill(router) }
        cluster.kill(try #require(old.owner).name)
        cluster.cut = []
        for router in cluster.layout.routers { cluster.start(router) }
        cluster.run(9000)
        for node in cluster.layout.nodes { cluster.start(node.name) }
        cluster.run(9000)
        try expectAgreement(cluster, after: before, writes: writes)
        #expect(try only(cluster).owner?.name == before.inSync.first?.name)
    }

    @Test func aStoppedClusterWithAnEmptyCoordinatorWaitsForThoseThatHoldTheDomain() throws {
        var cluster = settled()
        cluster.run(3000)
        let before = try only(cluster)
        let writes = try #require(cluster.acknowledged[name])
        let holders = ([before.owner].compactMap(\.self) + before.standbys.map(\.node)).map(\.name)
        let other = try #require(["sr1", "sr2", "sr3"].map(NodeName.init).first { !holders.contains($0) })
        for node in cluster.layout.nodes { cluster.kill(node.name) }
        cluster.coordinator = CoordinatorState()
        cluster.run(100)

        for router in cluster.layout.routers { cluster.start(router) }
        cluster.start(other)
        cluster.run(4000)
        #expect(cluster.coordinator.load().assignments == [])
        for holder in holders { cluster.start(holder) }
        cluster.run(4000)
        try expectAgreement(cluster, after: before, writes: writes)
        #expect(try only(cluster).epoch == before.epoch + 1)
    }

    @Test func whoHoldsADomainAndDoesNotComeIsNotWaitedForLongerThanTheGrace() throws {
        var cluster = settled()
        let before = try only(cluster)
        let holders = ([before.owner].compactMap(\.self) + before.standbys.map(\.node)).map(\.name)
        for node in cluster.layout.nodes { cluster.kill(node.name) }
        cluster.coordinator = CoordinatorState()
        for node in cluster.layout.nodes where !holders.contains(node.name) { cluster.start(node.name) }
        cluster.run(6000)
        let started = try only(cluster)
        #expect(started.owner != nil)
        // Those that come late hold a later epoch than was begun: followers have seen it.
        for holder in holders { cluster.start(holder) }
        cluster.run(6000)
        let after = try only(cluster)
        #expect(after.owner == started.owner)
        #expect(after.epoch > before.epoch)
        #expect(cluster.unrest == [])
    }

    /// It goes by what everybody else has forgotten.
    @Test func aNodeThatWasCutOffMeanwhileIsBroughtBack() throws {
        var cluster = settled()
        restartRouters(&cluster)
        cluster.run(5000)
        let owner = try #require(try only(cluster).owner).name
        cluster.cut = [owner]
        for node in cluster.layout.nodes where node.name != owner { cluster.kill(node.name) }
        cluster.coordinator = CoordinatorState()
        for node in cluster.layout.nodes { cluster.start(node.name) }
        cluster.run(15_000)
        let meanwhile = try only(cluster)
        let writes = try #require(cluster.acknowledged[name])
        cluster.cut = []
        cluster.run(6000)
        try expectAgreement(cluster, after: meanwhile, writes: writes)
        #expect(try only(cluster).owner == meanwhile.owner)
    }

    // MARK: The machine

    @Test func aHigherTermIsCampaignedAbove() {
        var router = Driven(leading: [])
        var beat = heartbeat(revision: 0)
        beat.knownTerm = 5
        #expect(router.feed(.received(.heartbeat(beat), from: life("sr1"))).campaigns == [5])
        #expect(router.run(until: 300, alive: [life("sr1"), life("sr2"), life("sr3")], revision: 0).stored == [])
        let granted = router.feed(.campaigned(.success(.leading(term: 6))))
        #expect(granted.contains(.load(term: 6)))
    }

    @Test func nothingIsToldAndNobodyGetsALeaseBeforeEverythingIsStoredAnew() {
        let (sr1, sr2, sr3) = (life("sr1"), life("sr2"), life("sr3"))
        let stored = assignment(revision: 3, owner: sr1, standbys: [standby(sr2)])
        var router = Driven(leading: [stored])
        router.time = 100
        // They hear who leads, so that they tell what they hold.
        let answers = router.beat(sr1, revision: 300) + router.beat(sr2, revision: 2)
        #expect(answers.leads == ["sr1", "sr2"] && answers.echoes == [0, 0] && answers.count == 2)
        var report = copy(1, 10)
        (report.revision, report.isOwner) = (3, true)
        #expect(router.feed(.received(.copies(CopyReports(reports: [report])), from: sr1)).stored == [])
        _ = router.feed(.received(.copies(CopyReports(reports: [])), from: sr2))
        _ = router.beat(sr3, revision: 0)
        let directives = router.feed(.received(.copies(CopyReports(reports: [])), from: sr3))
        // Nobody contradicts it, so that it stays as it is, under a revision that nodes take.
        #expect(directives.storeFloors == [300])
        #expect(directives.stored.map(\.assignment.owner) == [sr1])
        #expect(directives.stored.map(\.assignment.epoch) == [1])
        #expect(router.beat(sr1, revision: 300).echoes == [0])
        var next = stored
        next.revision = 301
        let told = router.feed(.stored(.success(.stored([next])), term: 1))
        #expect(Set(told.updates) == ["sr1", "sr2", "sr3"])
        #expect(router.beat(sr1, revision: 300).leads == [])
        #expect(router.beat(sr1, revision: 301).leads == ["sr1"])
    }

    @Test func aDomainThatNobodyHoldsBeginsAboveEveryEpochThatMayHaveBeen() {
        let (sr1, sr2, sr3) = (life("sr1"), life("sr2"), life("sr3"))
        var router = Driven(leading: [])
        for node in [sr1, sr2, sr3] { _ = router.beat(node, revision: 300) }
        var directives: [RouterMachine.Directive] = []
        for node in [sr1, sr2, sr3] {
            directives += router.feed(.received(.copies(CopyReports(reports: [])), from: node))
        }
        #expect(directives.stored.map(\.assignment.epoch) == [UInt64(at(0).wall / 1000) + 1])
    }
}
