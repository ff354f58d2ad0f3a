import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// Taking over: clear, restate, expire.
struct DomainMachineReplayTests {
    /// `a` owns, `b` is in sync, `f` follows; so many accounts are registered for an hour.
    private func filled(_ count: Int, policy: DomainPolicy = DomainPolicy()) throws -> MachineCluster {
        var cluster = try MachineCluster.pair(policy: policy)
        cluster.follow("f")
        for number in 0..<count {
            try cluster.register("u\(number)", ttl: 3_600_000)
            if number % 100 == 0 { cluster.settle() }
        }
        cluster.settle()
        cluster.advance(600)
        #expect(try cluster.accounts("b").count == count)
        cluster.forget()
        return cluster
    }

    /// What a consumer of these entries that began empty holds, and how often each contact was restated.
    private func consume(_ entries: [LogEntry]) throws -> (held: Set<ContactKey>, restated: [ContactKey: Int]) {
        var held: Set<ContactKey> = []
        var restated: [ContactKey: Int] = [:]
        for entry in entries {
            switch entry.change {
            case .clear: (held, restated) = ([], [:])
            case .registered(let contact, _, let replay):
                held.insert(try contact.key())
                if replay { restated[try contact.key(), default: 0] += 1 }
            case .unregistered(let contact, _): held.remove(try contact.key())
            }
        }
        return (held, restated)
    }

    private func failOver(_ cluster: inout MachineCluster, standbys: [String] = []) {
        cluster.isolate("a")
        cluster.assign(epoch: 2, owner: "b", standbys: standbys, to: ["b", "f"])
        cluster.lease("b", milliseconds: 600_000)
    }

    @Test func everythingLiveIsRestatedExactlyOnce() throws {
        var cluster = try filled(3_000)
        failOver(&cluster)
        cluster.advance(2_000)
        let entries = cluster.entries[NodeName("f")] ?? []
        #expect(entries.map(\.seq) == Array(1...3_001))
        #expect(entries.first?.change == .clear(.failover))
        let (held, restated) = try consume(entries)
        #expect(held.count == 3_000)
        #expect(restated.count == 3_000 && restated.values.allSatisfy { $0 == 1 })
        #expect(cluster.notes.contains("f replayed 2:3001"))
    }

    @Test func writesTakeTheirPlaceBetweenWhatIsRestated() throws {
        var cluster = try filled(6_000)
        failOver(&cluster)
        // The first turn restated a batch; the last slots are still to come.
        try cluster.register("u5990", ttl: 60_000, to: "b")
        cluster.unregister("u5991", to: "b")
        try cluster.register("new", ttl: 60_000, to: "b")
        cluster.unregister("u1", to: "b")
        cluster.advance(2_000)
        let (held, restated) = try consume(cluster.entries[NodeName("f")] ?? [])
        #expect(held.count == 5_999)
        #expect(restated.values.allSatisfy { $0 == 1 })
        #expect(restated[ContactKey(.sipuser, "u5990", "phone")] == nil, "the renewal said it already")
        #expect(restated[ContactKey(.sipuser, "u5991", "phone")] == nil, "it was gone before its turn")
        #expect(restated[ContactKey(.sipuser, "new", "phone")] == nil)
        #expect(restated[ContactKey(.sipuser, "u1", "phone")] == 1)
    }

    @Test func whatWasEndedBeforeItsTurnIsReportedAsEnded() throws {
        var cluster = try filled(6_000)
        failOver(&cluster)
        let id = cluster.unregister("u5991", to: "b")
        cluster.advance(1_000)
        guard case .unregistered(_, count: 1) = cluster.replies[id] else {
            Issue.record("expected one to end, got \(String(describing: cluster.replies[id]))")
            return
        }
        let ended = (cluster.entries[NodeName("f")] ?? []).filter {
            if case .unregistered = $0.change { true } else { false }
        }
        #expect(ended.count == 1)
    }

    /// A standby may still have what has ended here, and would restate it if it were promoted now.
    @Test func whatIsNotHereIsNotEndedBeforeStandbysHaveEverythingRestated() throws {
        var cluster = try MachineCluster.pair()
        cluster.start("c")
        try cluster.register("alice")
        cluster.settle()
        cluster.isolate("a")
        cluster.cut.insert(.init(from: NodeName("b"), to: NodeName("c")))
        cluster.assign(epoch: 2, owner: "b", standbys: ["c+"], to: ["b", "c"])
        let early = cluster.unregister("nobody", to: "b")
        let everything = cluster.request(.deleteAccount(AccountID(.sipuser, "alice")), to: "b")
        let all = cluster.request(.bind(Binding(account: "alice", callID: "x", cseq: 1, changes: [])), to: "b")
        let gone = Binding.Change.remove(key: ContactKey(.sipuser, "alice", "gone").packed)
        let one = cluster.request(.bind(Binding(account: "alice", callID: "x", cseq: 2, changes: [gone])), to: "b")
        let known = cluster.unregister("alice", to: "b")
        cluster.settle()
        for id in [all, one] { #expect(cluster.replies[id] == .refused(.overloaded), "by REGISTER neither") }
        #expect(cluster.replies[early] == .refused(.overloaded))
        #expect(cluster.replies[everything] == .refused(.overloaded), "c may have more of it")
        #expect(cluster.replies[known] == nil, "it has an entry, which waits for the standby")
        cluster.cut = []
        cluster.advance(2_000)
        guard case .unregistered(_, count: 1) = cluster.replies[known] else {
            Issue.record("expected one to end, got \(String(describing: cluster.replies[known]))")
            return
        }
        let late = cluster.unregister("nobody", to: "b")
        cluster.advance(500)
        guard case .unregistered(_, count: 0) = cluster.replies[late] else {
            Issue.record("expected none to end, got \(String(describing: cluster.replies[late]))")
            return
        }
    }

    @Test func theRemainingTimeToLiveIsRestated() throws {
        var cluster = try filled(1)
        cluster.advance(100_000)
        failOver(&cluster)
        cluster.advance(600)
        let ttls = (cluster.entries[NodeName("f")] ?? []).compactMap { entry -> UInt32? in
            guard case .registered(_, let ttl, true) = entry.change else { return nil }
            return ttl
        }
        try #require(ttls.count == 1)
        #expect((3_498_000...3_500_000).contains(ttls[0]))
    }

    /// Nobody can renew while there is no owner.
    @Test func deadlinesAreStretchedByTheOutage() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice", ttl: 60_000)
        cluster.settle()
        cluster.advance(55_000)
        cluster.isolate("a")
        cluster.advance(20_000)
        cluster.assign(epoch: 2, owner: "b", to: ["b"])
        cluster.lease("b", milliseconds: 600_000)
        cluster.advance(4_000)
        #expect(try cluster.accounts("b") == ["alice"])
        cluster.advance(2_000)
        #expect(try cluster.accounts("b").isEmpty)
    }

    /// Also when an owner in between was never heard of.
    @Test func deadlinesAreStretchedByTheWholeOutage() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice", ttl: 60_000)
        cluster.settle()
        cluster.advance(55_000)
        cluster.isolate("a")
        cluster.assign(epoch: 2, owner: "c", standbys: ["b+"], to: ["b"])
        cluster.advance(20_000)
        cluster.assign(epoch: 3, owner: "b", to: ["b"])
        cluster.lease("b", milliseconds: 600_000)
        cluster.advance(4_000)
        #expect(try cluster.accounts("b") == ["alice"])
    }

    /// Also by the node that had handed the domain over, and has not heard its next owner.
    @Test func aFormerOwnerStretchesDeadlinesFromWhenItLetGo() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice", ttl: 60_000)
        cluster.settle()
        cluster.advance(55_000)
        cluster.isolate("b")
        cluster.assign(epoch: 2, owner: "b", standbys: ["a+"], cause: .moved, to: ["a"])
        cluster.advance(20_000)
        cluster.assign(epoch: 3, owner: "a", to: ["a"])
        cluster.lease("a", milliseconds: 600_000)
        cluster.advance(4_000)
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.advance(2_000)
        #expect(try cluster.accounts("a").isEmpty)
    }

    /// The node that is there vouches for its quiet domains, but not for one that it never spoke for.
    @Test func aNodeDoesNotVouchForAnOwnerThatNeverSpoke() throws {
        var cluster = try MachineCluster.pair()
        cluster.start("c")
        try cluster.register("alice", ttl: 60_000)
        cluster.settle()
        cluster.advance(55_000)
        cluster.isolate("a")
        cluster.assign(epoch: 2, owner: "c", standbys: ["b+"], to: ["b"])
        cluster.advance(20_000)
        cluster.assign(epoch: 3, owner: "b", to: ["b"])
        cluster.lease("b", milliseconds: 600_000)
        cluster.advance(4_000)
        #expect(try cluster.accounts("b") == ["alice"])
    }

    /// Nor for a domain that it was told to be another's by now: from then on nobody could renew here.
    @Test func aNodeDoesNotVouchForAnOwnerThatItKnowsToBeDeposed() throws {
        var cluster = try MachineCluster.pair()
        cluster.start("c")
        try cluster.register("alice", ttl: 60_000)
        cluster.settle()
        cluster.advance(55_000)
        cluster.assign(epoch: 2, owner: "c", standbys: ["b+"], to: ["a", "c"])
        cluster.isolate("c")
        cluster.advance(20_000)
        cluster.assign(epoch: 3, owner: "b", to: ["b"])
        cluster.lease("b", milliseconds: 600_000)
        cluster.advance(4_000)
        #expect(try cluster.accounts("b") == ["alice"])
    }

    @Test func expiryIsReportedOnce() throws {
        var cluster = try MachineCluster.pair()
        cluster.follow("f")
        try cluster.register("alice", ttl: 30_000)
        cluster.advance(29_900)
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.advance(2_000)
        let changes = cluster.entries[NodeName("f")]?.map(\.change)
        #expect(changes?.count == 3)
        #expect(changes?.last == .unregistered(try MachineCluster.contact("alice"), .expiredContact))
        #expect(try cluster.accounts("a").isEmpty && cluster.accounts("b").isEmpty)
    }

    @Test func expiredContactIsReportedOnceAfterFailover() throws {
        var cluster = try MachineCluster.pair()
        cluster.follow("f")
        try cluster.register("alice", ttl: 30_000)
        try cluster.register("bob", ttl: 3_600_000)
        cluster.settle()
        cluster.advance(29_000)
        cluster.forget()
        failOver(&cluster, standbys: ["c"])
        cluster.advance(10_000)
        let entries = cluster.entries[NodeName("f")] ?? []
        let alice = try MachineCluster.contact("alice")
        let expired = entries.filter { $0.change == .unregistered(alice, .expiredContact) }
        #expect(expired.count == 1)
        #expect(try consume(entries).held == [ContactKey(.sipuser, "bob", "phone")])
    }

    /// What ran out while the copy had no owner is restated and ended, in this order, by everybody alike.
    @Test func whatIsDueAtTakeoverIsTheSameForOwnerAndStandby() throws {
        var cluster = try MachineCluster("a", "b", "c")
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+", "c+"])
        cluster.follow("f")
        for name in ["alice", "bob"] { try cluster.register(name, ttl: 30_000) }
        cluster.settle()
        // Members hear that they are none any more: the clock of their copies runs on.
        cluster.assign(epoch: 2, owner: nil)
        cluster.advance(60_000)
        cluster.forget()
        cluster.assign(epoch: 3, owner: "b", standbys: ["c+"])
        for _ in 0..<60 {
            cluster.advance(50)
            guard cluster["b"].replica.position == cluster["c"].replica.position, cluster["c"].replica.isReplayed
            else { continue }
            #expect(cluster["b"].replica.table.digest == cluster["c"].replica.table.digest)
        }
        let (held, restated) = try consume(cluster.entries[NodeName("f")] ?? [])
        #expect(held.isEmpty)
        #expect(restated.count == 2)
        #expect(try cluster.accounts("b").isEmpty && cluster.accounts("c").isEmpty)
    }

    @Test func afterARestartOnlyWhatHasNotExpiredIsRestated() throws {
        var cluster = try MachineCluster.alone()
        try cluster.register("alice", ttl: 30_000)
        try cluster.register("bob", ttl: 3_600_000)
        let copy = cluster["a"].replica
        cluster.start("a", life: 2, replica: copy)
        cluster.follow("f")
        cluster.advance(60_000)
        cluster.forget()
        cluster.assign(epoch: 2, owner: "a", cause: .restart, lives: ["a": 2])
        cluster.lease("a", milliseconds: 60_000)
        cluster.advance(1_000)
        let changes = cluster.entries[NodeName("f")]?.map(\.change) ?? []
        #expect(changes.count == 2)
        #expect(changes.first == .clear(.restart))
        #expect(changes.last?.contact == (try MachineCluster.contact("bob")))
    }

    @Test func aLoneOwnerWithoutLeaseEndsNobody() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice", ttl: 30_000)
        cluster.settle()
        cluster.assign(epoch: 1, owner: "a")
        cluster.advance(60_000)
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.lease("a", milliseconds: 1_000)
        cluster.advance(500)
        #expect(try cluster.accounts("a").isEmpty)
    }

    /// Nobody could renew meanwhile, and devices that were refused come again when it suits them.
    @Test(arguments: [true, false]) func afterAnOutageALoneOwnerEndsNobodyForAsLongAgain(isTheDisks: Bool) throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice", ttl: 30_000)
        cluster.settle()
        cluster.assign(epoch: 1, owner: "a")
        cluster.turn("a", .lapsed(.zero))
        if isTheDisks {
            cluster.lease("a", milliseconds: 600_000)
            cluster.turn("a", .journal(isWritable: false))
        }
        cluster.advance(60_000)
        cluster.lease("a", milliseconds: 600_000)
        cluster.turn("a", .lapsed(isTheDisks ? .zero : .seconds(60)), .journal(isWritable: true))
        cluster.advance(59_000)
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.advance(2_000)
        #expect(try cluster.accounts("a").isEmpty)
    }

    /// A follower that is heard but takes nothing in gets a snapshot later; nobody waits for it.
    @Test func aFollowerThatMakesNoProgressHoldsUpNobody() throws {
        var cluster = try filled(3_000, policy: DomainPolicy(ringEntries: 512))
        failOver(&cluster)
        cluster.settle()
        cluster.cut.insert(.init(from: NodeName("b"), to: NodeName("f")))
        cluster.advance(20_000)
        #expect(cluster.notes.contains { $0.hasPrefix("b has everything restated") })
    }

    @Test func anOwnerThatWaitsDoesNotSpin() throws {
        var cluster = try filled(3_000, policy: DomainPolicy(ringEntries: 512))
        failOver(&cluster, standbys: ["c+"])
        cluster.advance(300)
        let wake = try #require(cluster["b"].nextWake(at: cluster.now))
        #expect(wake - cluster.now.monotonic >= .milliseconds(10), "restating waits for a standby that is not there")
        var lone = try MachineCluster.pair()
        try lone.register("alice", ttl: 30_000)
        lone.settle()
        lone.assign(epoch: 1, owner: "a")
        lone.advance(60_000)
        let next = try #require(lone["a"].nextWake(at: lone.now))
        #expect(next - lone.now.monotonic >= .milliseconds(10), "without a lease nothing expires")
    }

    @Test func theJournalOfAnOwnerEndsTheReplayAsWell() throws {
        var cluster = try filled(10)
        failOver(&cluster)
        cluster.advance(500)
        var restored = DomainReplica()
        for record in cluster.records[NodeName("b")] ?? [] { restored.apply(record, at: cluster.now) }
        #expect(restored.position == cluster["b"].replica.position)
        #expect(restored.isComplete && restored.isReplayed)
        #expect(restored.table.digest == cluster["b"].replica.table.digest)
    }
}
