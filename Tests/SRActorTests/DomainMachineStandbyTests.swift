import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// How standbys enter and leave the set that the owner waits for.
struct DomainMachineStandbyTests {
    private static let (a, b) = (NodeName("a"), NodeName("b"))

    /// An owner under a lease, and a standby that is to join.
    private func joining() throws -> MachineCluster {
        var cluster = try MachineCluster.alone()
        for name in ["alice", "bob"] { try cluster.register(name) }
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"])
        return cluster
    }

    @Test func aStandbyThatHoldsEverythingIsAskedFor() throws {
        var cluster = try joining()
        #expect(cluster.asked.isEmpty)
        cluster.advance(300)
        #expect(cluster.asked.map(\.kind) == [.add])
        #expect(cluster.asked.map(\.node) == [MachineCluster.node("b")])
        #expect(cluster.asked.map(\.revision) == [2])
        #expect(try cluster.accounts("b") == ["alice", "bob"])
    }

    @Test func itIsWaitedForFromThenOnAndAskedForAgain() throws {
        var cluster = try joining()
        cluster.advance(100)
        #expect(cluster.asked.count == 1)
        cluster.cut = [.init(from: Self.b, to: Self.a)]
        let id = try cluster.register("carol")
        cluster.advance(100)
        #expect(cluster.replies[id] == nil, "the router may have promoted it already")
        cluster.cut = []
        cluster.advance(1_000)
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 4), ttl: 600_000))
        #expect((3...5).contains(cluster.asked.count))
        #expect(cluster.asked.allSatisfy { $0.kind == .add && $0.revision == 2 })
    }

    /// The router may promote whom it was asked for at once, so it must have what was acknowledged without it.
    @Test func nobodyIsAskedForWhoLacksWhatWasAcknowledgedBefore() throws {
        var cluster = try joining()
        cluster.settle()
        cluster.assign(epoch: 1, owner: "a", standbys: [])
        let granted = try cluster.register("carol")
        cluster.settle()
        #expect(cluster.replies[granted] == .registered(Position(epoch: 1, seq: 4), ttl: 600_000))
        // It comes back close to the end, but the last entries do not reach it.
        let before = cluster.asked.count
        cluster.cut = [.init(from: Self.a, to: Self.b)]
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"])
        cluster.advance(300)
        #expect(cluster.asked.count == before)
        cluster.cut = []
        cluster.advance(1_000)
        #expect(cluster.asked.count > before && cluster.asked.last?.kind == .add)
        #expect(try cluster.accounts("b") == ["alice", "bob", "carol"])
    }

    @Test func aGrantedStandbyIsWaitedForAndNoLongerAskedFor() throws {
        var cluster = try joining()
        cluster.advance(300)
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+"])
        cluster.forget()
        cluster.advance(2_000)
        #expect(cluster.asked.isEmpty)
        let id = try cluster.register("carol")
        #expect(cluster.replies[id] == nil)
        cluster.settle()
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 4), ttl: 600_000))
    }

    @Test func whatWasAskedUnderAnOldRevisionIsVoid() throws {
        var cluster = try joining()
        cluster.advance(100)
        cluster.forget()
        // Something else changed: another standby. The one asked for has to be asked for anew.
        cluster.assign(epoch: 1, owner: "a", standbys: ["b", "c"])
        cluster.advance(100)
        #expect(cluster.asked.map(\.revision) == [3])
    }

    @Test func nothingIsAcknowledgedUntilASilentStandbyIsTakenOut() throws {
        var cluster = try MachineCluster.pair()
        cluster.lease("a", milliseconds: 60_000)
        cluster.isolate("b")
        let id = try cluster.register("alice")
        cluster.advance(500)
        #expect(cluster.asked.isEmpty)
        cluster.advance(1_500)
        #expect(!cluster.asked.isEmpty && cluster.asked.allSatisfy { $0.kind == .remove })
        #expect(cluster.replies[id] == nil)
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"], to: ["a"])
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
    }

    /// Half of a broken link: it is heard, but hears nothing.
    @Test func aStandbyThatIsHeardButAcknowledgesNothingIsTakenOut() throws {
        var cluster = try MachineCluster.pair()
        cluster.advance(1_000)
        cluster.cut = [.init(from: Self.a, to: Self.b)]
        let id = try cluster.register("alice")
        cluster.advance(1_500)
        #expect(cluster.replies[id] == nil)
        #expect(cluster.asked.contains { $0.kind == .remove })
    }

    /// It acknowledges something again and again, each time later: every change would be held up for longer and longer.
    @Test func aStandbyThatGoesOnButFallsBehindIsTakenOut() throws {
        var cluster = try MachineCluster.pair()
        cluster.settle()
        cluster.forget()
        cluster.isolate("b")
        for applied in UInt64(1)...50 {
            try cluster.register("u\(applied)")
            try cluster.register("v\(applied)")
            cluster.advance(100)
            let word = Follow(
                domain: cluster.domain, role: .standby, epoch: 1, applied: Position(epoch: 1, seq: applied),
                complete: true, snapshot: 0, nextChunk: 0, rewind: false)
            cluster.turn("a", .follow(word, from: MachineCluster.node("b")))
            if applied < 35 { #expect(cluster.asked.isEmpty, "what it lacks first is not two seconds old") }
        }
        #expect(cluster.asked.first?.kind == .remove && cluster.asked.first?.node == MachineCluster.node("b"))
    }

    @Test func whoWasTakenOutForSilenceIsNotAskedForBeforeItAcknowledges() throws {
        var cluster = try MachineCluster.pair()
        cluster.lease("a", milliseconds: 60_000)
        cluster.advance(1_000)
        cluster.cut = [.init(from: Self.a, to: Self.b)]
        try cluster.register("alice")
        cluster.advance(1_000)
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"], to: ["a"])
        cluster.forget()
        cluster.advance(3_000)
        #expect(cluster.asked.isEmpty)
        cluster.cut = []
        cluster.advance(3_000)
        #expect(cluster.asked.first?.kind == .add)
    }

    @Test func aStandbyThatNeverCameIsTakenOut() throws {
        var cluster = try MachineCluster("a")
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"])
        cluster.advance(900)
        #expect(cluster.asked.isEmpty)
        cluster.advance(400)
        #expect(cluster.asked.first?.kind == .remove)
    }

    /// What it has yet to acknowledge stays in the log however short that is, so it never needs to be emptied.
    @Test func theLogDoesNotOutrunAStandbyInSync() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(ringEntries: 16))
        for number in 0..<5 { try cluster.register("u\(number)") }
        cluster.settle()
        cluster.cut = [.init(from: Self.a, to: Self.b)]
        let ids = try (5..<40).map { try cluster.register("u\($0)") }
        let refused = ids.filter { cluster.replies[$0] == .refused(.overloaded) }
        #expect(refused.count == 27)
        cluster.advance(400)
        cluster.cut = []
        cluster.advance(1_000)
        #expect(ids.allSatisfy { cluster.replies[$0] != nil })
        #expect(try cluster.accounts("b").count == 13)
        #expect(cluster["b"].replica.table.digest == cluster["a"].replica.table.digest)
    }

    @Test func anEarlierLifeOfAStandbyCountsForNothing() throws {
        var cluster = try MachineCluster.pair()
        cluster.start("b", life: 2)
        cluster.tellAssignment(to: Self.b)
        let id = try cluster.register("alice")
        cluster.settle()
        cluster.advance(300)
        #expect(cluster.replies[id] == nil)
        cluster.advance(1_000)
        #expect(cluster.asked.allSatisfy { $0.kind == .remove && $0.node == MachineCluster.node("b", life: 1) })
        cluster.lease("a", milliseconds: 60_000)
        cluster.forget()
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"], lives: ["b": 2])
        cluster.advance(1_000)
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
        #expect(cluster.asked.first?.node == MachineCluster.node("b", life: 2))
    }

    /// A copy that stopped amid a snapshot is not mistaken for a whole one when the node is a standby again.
    @Test func aStandbyThatLeftAmidASnapshotBeginsAnew() throws {
        var cluster = try MachineCluster.alone(policy: DomainPolicy(ringEntries: 64))
        for number in 0..<2_000 { try cluster.register("u\(number)") }
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"])
        cluster.deliver("b", "a")
        // The first chunks arrive, the others do not.
        let link = MachineCluster.Link(from: Self.a, to: Self.b)
        #expect(cluster.links[link]?.count ?? 0 > 3)
        cluster.links[link] = Array(cluster.links[link, default: []].prefix(2))
        cluster.deliver("a", "b")
        #expect(try (1..<2_000).contains(cluster.accounts("b").count))
        cluster.drop("b", "a")
        cluster.assign(epoch: 1, owner: "a")
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"])
        cluster.advance(3_000)
        #expect(try cluster.accounts("b").count == 2_000)
        #expect(cluster["b"].report.complete)
        #expect(cluster["b"].report.digest == cluster["a"].report.digest)
    }
}

/// What becomes of the copy of a node that is no longer a member.
struct FormerMemberTests {
    private let domain = DomainName("d.example")!
    private func life(_ name: String, _ incarnation: UInt64) -> NodeID {
        NodeID(name: NodeName(name), incarnation: incarnation)
    }

    /// A machine at `a`, in its second life, with a whole copy at 3:7.
    private func machine() -> DomainMachine {
        var replica = DomainReplica()
        replica.reset(to: Position(epoch: 3, seq: 7))
        replica.seal()
        return DomainMachine(domain: domain, node: life("a", 2), replica: replica)
    }

    private func kept(owner: NodeID?, standbys: [Assignment.Standby]) -> Bool {
        var machine = machine()
        let assignment = Assignment(
            domain: domain, epoch: 3, revision: 9, owner: owner, standbys: standbys, cause: .failover, since: 0)
        let now = Moment(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wall: 1)
        let directives = machine.handle(.assigned(assignment), at: now)
        #expect(directives.contains(.store(.reset(.start))) == (machine.replica.position == .start))
        return machine.replica.isComplete
    }

    @Test func aCopyThatOthersHaveTwiceIsLetGo() {
        #expect(!kept(owner: life("b", 1), standbys: [.init(node: life("c", 1), inSync: true)]))
    }

    @Test func aCopyIsKeptWhileNoStandbyIsInSync() {
        #expect(kept(owner: life("b", 1), standbys: [.init(node: life("c", 1), inSync: false)]))
        #expect(kept(owner: nil, standbys: [.init(node: life("c", 1), inSync: true)]))
    }

    /// After the end of all processes, assignments still name the lives before.
    @Test func aMembersLaterLifeKeepsItsCopy() {
        #expect(kept(owner: life("a", 1), standbys: [.init(node: life("c", 1), inSync: true)]))
        #expect(kept(owner: life("b", 1), standbys: [.init(node: life("a", 1), inSync: true)]))
    }
}
