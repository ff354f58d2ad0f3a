import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// When an owner may say that something is done.
struct DomainMachineCommitTests {
    @Test func aRequestIsGrantedOnlyWhenTheInSyncStandbyHasIt() throws {
        var cluster = try MachineCluster.pair()
        let id = try cluster.register("alice")
        #expect(cluster.replies.isEmpty)
        cluster.deliver("a", "b")
        #expect(try cluster.accounts("b") == ["alice"])
        #expect(cluster.replies.isEmpty)
        cluster.deliver("b", "a")
        #expect(cluster.replies == [id: .registered(Position(epoch: 1, seq: 2), ttl: 600_000)])
    }

    @Test func everyInSyncStandbyCounts() throws {
        var cluster = try MachineCluster("a", "b", "c", "d")
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+", "c+", "d"])
        cluster.settle()
        cluster.cut = [.init(from: NodeName("a"), to: NodeName("c"))]
        let id = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.replies.isEmpty)
        cluster.cut = []
        cluster.advance(1_000)
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
    }

    @Test func aLoneOwnerAcknowledgesOnlyUnderItsLease() throws {
        var cluster = try MachineCluster("a")
        cluster.assign(epoch: 1, owner: "a")
        let early = try cluster.register("alice")
        #expect(cluster.replies[early] == .refused(.unavailable))
        cluster.lease("a", milliseconds: 800)
        let granted = try cluster.register("alice")
        #expect(cluster.replies[granted] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
        cluster.advance(800)
        let late = try cluster.register("bob")
        #expect(cluster.replies[late] == .refused(.unavailable))
    }

    @Test func aLoneOwnerAcknowledgesOnlyWhileItsDiskTakesIt() throws {
        var cluster = try MachineCluster.alone()
        cluster.turn("a", .journal(isWritable: false))
        let refused = try cluster.register("alice")
        #expect(cluster.replies[refused] == .refused(.unavailable))
        cluster.turn("a", .journal(isWritable: true))
        let granted = try cluster.register("alice")
        #expect(cluster.replies[granted] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
    }

    /// That the disk is full comes out when it is written to: amid the turn that is to acknowledge.
    @Test func aLoneOwnerDoesNotAcknowledgeWhatItsDiskHasJustNotTaken() throws {
        var cluster = try MachineCluster.alone()
        cluster.follow("f")
        cluster.settle()
        cluster.fillingDisks = [NodeName("a")]
        let id = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.replies[id] == nil)
        #expect(cluster.entries[NodeName("f")]?.map(\.seq) == [1])
        // Everything was written anew.
        cluster.turn("a", .journal(isWritable: true))
        cluster.settle()
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
        #expect(cluster.entries[NodeName("f")]?.map(\.seq) == [1, 2])
    }

    @Test func aStandbyInSyncMakesLeaseAndDiskUnnecessary() throws {
        var cluster = try MachineCluster.pair()
        cluster.turn("a", .journal(isWritable: false))
        let id = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
    }

    @Test func whoPrefersServiceOverSafetyGetsIt() throws {
        var cluster = try MachineCluster("a", policy: DomainPolicy(acceptsWithoutLease: true))
        cluster.assign(epoch: 1, owner: "a")
        cluster.turn("a", .journal(isWritable: false))
        let id = try cluster.register("alice")
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
    }

    @Test(arguments: [0, 2] as [UInt64])
    func anotherEpochIsRefused(epoch: UInt64) throws {
        var cluster = try MachineCluster.pair()
        let wrong = try cluster.register("alice", epoch: epoch)
        // One of an epoch to come waits for its assignment, which does not come.
        cluster.advance(150)
        #expect(cluster.replies[wrong] == .refused(.notOwner))
        let standby = try cluster.register("alice", to: "b")
        #expect(cluster.replies[standby] == .refused(.notOwner))
        #expect(try cluster.accounts("a").isEmpty)
    }

    @Test func aDeposedOwnerAcknowledgesNothing() throws {
        var cluster = try MachineCluster("a", "b", "c")
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+"])
        cluster.follow("f")
        cluster.settle()
        let waiting = try cluster.register("alice")
        // Everybody but the owner knows of the next one; the owner learns it from the answer to its entry.
        cluster.assign(epoch: 2, owner: "c", standbys: ["b+"], to: ["b", "c"])
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
        #expect(cluster.replies[waiting] == .refused(.notOwner))
        let late = try cluster.register("bob", epoch: 1)
        #expect(cluster.replies[late] == .refused(.notOwner))
        cluster.lease("a", milliseconds: 10_000)
        cluster.advance(2_000)
        #expect(cluster.replies.count == 2)
        #expect(cluster.entries[NodeName("f")]?.map(\.seq) == [1])
        #expect(try cluster.accounts("c").isEmpty && cluster.accounts("b").isEmpty)
    }

    /// With two nodes there is nobody else to tell it.
    @Test func aDeposedOwnerLearnsItFromItsSuccessor() throws {
        var cluster = try MachineCluster.pair()
        cluster.assign(epoch: 2, owner: "b", to: ["b"])
        let id = try cluster.register("alice", epoch: 1)
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
        #expect(cluster.replies[id] == .refused(.notOwner))
        #expect(cluster["b"].isOwner)
        cluster.settle()
        #expect(cluster.notes.filter { $0.contains("deposed") } == ["a is deposed by epoch 2"])
    }

    @Test func theFirstWordOfAHigherEpochDeposes() throws {
        for word in 0..<3 {
            var cluster = try MachineCluster.pair()
            let waiting = try cluster.register("alice")
            switch word {
            case 0:
                let follow = Follow(
                    domain: cluster.domain, role: .follower, epoch: 2, applied: .start, complete: false, snapshot: 0,
                    nextChunk: 0, rewind: false)
                cluster.turn("a", .follow(follow, from: MachineCluster.node("f")))
            case 1:
                let append = Append(domain: cluster.domain, epoch: 2, base: 0, entries: [], committed: 0, replayEnd: 0)
                cluster.turn("a", .append(append, from: MachineCluster.node("b")))
            default:
                let chunk = SnapshotChunk(
                    domain: cluster.domain, epoch: 2, snapshot: 1, index: 0, after: 0, contacts: [], seal: nil)
                cluster.turn("a", .chunk(chunk, from: MachineCluster.node("b")))
            }
            #expect(cluster.replies[waiting] == .refused(.notOwner))
            cluster.settle()
            let late = try cluster.register("bob", epoch: 1)
            #expect(cluster.replies[late] == .refused(.notOwner))
        }
    }

    @Test func whatWaitsIsRefusedWhenTheOwnerRetires() throws {
        var cluster = try MachineCluster.pair()
        let ids = try [cluster.register("alice"), cluster.register("bob"), cluster.unregister("nobody")]
        cluster.assign(epoch: 2, owner: "b", standbys: ["a"])
        for id in ids { #expect(cluster.replies[id] == .refused(.notOwner)) }
        cluster.advance(1_000)
        for id in ids { #expect(cluster.replies[id] == .refused(.notOwner)) }
        #expect(!cluster["a"].isOwner && cluster["b"].isOwner)
    }

    @Test func followersSeeOnlyWhatIsCommitted() throws {
        var cluster = try MachineCluster.pair()
        cluster.follow("f")
        cluster.settle()
        cluster.cut = [.init(from: NodeName("b"), to: NodeName("a"))]
        try cluster.register("alice")
        cluster.advance(300)
        let follower = NodeName("f")
        #expect(cluster.entries[follower]?.map(\.seq) == [1])
        cluster.cut = []
        cluster.advance(600)
        #expect(cluster.entries[follower]?.map(\.seq) == [1, 2])
    }

    /// A follower that needs a snapshot is not shown by it what may yet be lost.
    @Test func aSnapshotIsWholeOnlyWhenWhatItAnticipatesIsCommitted() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(ringEntries: 16))
        for number in 0..<40 {
            try cluster.register("early\(number)")
            cluster.settle()
        }
        cluster.cut = [.init(from: NodeName("b"), to: NodeName("a"))]
        try cluster.register("alice")
        cluster.follow("f")
        cluster.advance(300)
        let follower = NodeName("f")
        #expect(cluster.followers[follower]?.replica.isComplete == false)
        cluster.cut = []
        cluster.advance(1_000)
        #expect(cluster.followers[follower]?.replica.isComplete == true)
        #expect(cluster.followers[follower]?.replica.table.count == 41)
    }

    @Test func nothingLeavesBeforeItIsStored() throws {
        final class Order { var names: [String] = [] }
        let order = Order()
        var cluster = try MachineCluster.pair()
        cluster.trace = { _, directive in
            switch directive {
            case .store: order.names.append("store")
            case .send(.append, _): order.names.append("append")
            default: order.names.append("\(directive)")
            }
        }
        try cluster.register("alice")
        #expect(order.names == ["store", "append"])
    }
}
