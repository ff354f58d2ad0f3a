import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// The end of a domain that the topology has no more.
struct DomainMachineRetiringTests {
    @Test func everyRegistrationEndsThenTheListIsClearedThenTheDomainIsLetGo() throws {
        var cluster = try MachineCluster.pair()
        cluster.follow("w")
        for name in ["alice", "bob"] { try cluster.register(name) }
        cluster.settle()
        cluster.forget()
        cluster.orderRetirement("a")
        cluster.settle()
        #expect(try cluster.accounts("a") == [] && cluster.accounts("b") == [])
        #expect(cluster.asked.map(\.kind) == [.clear], "only once both had ended")
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        cluster.settle()
        cluster.orderRetirement("a")
        cluster.advance(600)
        #expect(cluster.asked.map(\.kind) == [.clear], "followers have a moment to find the epoch")
        cluster.orderRetirement("a")
        cluster.advance(700)
        #expect(cluster.asked.map(\.kind).last == .retire)
        let told = cluster.entries[NodeName("w")] ?? []
        #expect(
            told.map(\.change).map { change in
                switch change {
                case .unregistered(_, let reason): reason.name
                case .clear(let reason): reason.name
                case .registered: "registered"
                }
            } == ["delete_aor", "delete_aor", "storage_cleared"])
        #expect(told.map(\.seq) == [4, 5, 1])
    }

    @Test func destinationsAreWaitedForHoweverLongTheyTake() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(destinations: ["audit"]))
        try cluster.register("alice")
        cluster.settle()
        cluster.orderRetirement("a")
        cluster.settle()
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        cluster.settle()
        cluster.turn("a", .destination(.delivered(Position(epoch: 1, seq: 3), to: "audit")))
        for _ in 0..<20 {
            cluster.orderRetirement("a")
            cluster.advance(1_000)
        }
        #expect(!cluster.asked.contains { $0.kind == .retire }, "the destination has not had the clear")
        cluster.turn("a", .destination(.delivered(Position(epoch: 2, seq: 1), to: "audit")))
        cluster.orderRetirement("a")
        cluster.advance(1_000)
        #expect(cluster.asked.map(\.kind).last == .retire)
    }

    @Test func nothingIsGrantedMeanwhile() throws {
        var cluster = try MachineCluster.pair()
        cluster.orderRetirement("a")
        let refused = try cluster.register("alice")
        #expect(cluster.replies[refused] == .refused(.notOwner))
    }

    @Test func anOrderThatIsNotRepeatedLapses() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("bob")
        cluster.settle()
        // Nothing is committed, so it comes to no step that could be granted late.
        cluster.cut.insert(.init(from: NodeName("b"), to: NodeName("a")))
        cluster.orderRetirement("a")
        cluster.advance(2_500)
        cluster.cut.removeAll()
        let granted = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.replies[granted] != .refused(.notOwner))
    }

    @Test func anOrderUnderAnotherAssignmentIsNone() throws {
        var cluster = try MachineCluster.pair()
        cluster.orderRetirement("a", revision: 99)
        let granted = try cluster.register("alice")
        #expect(cluster.replies[granted] != .refused(.notOwner))
    }

    /// A router that was paused does not know that the domain has been put back.
    @Test func anOrderOfAFormerTopologyEndsNothing() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(topology: 2))
        try cluster.register("alice")
        cluster.settle()
        cluster.orderRetirement("a", topology: 1)
        cluster.orderRetirement("a", topology: 2)
        cluster.settle()
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.orderRetirement("a", topology: 3)
        cluster.settle()
        #expect(try cluster.accounts("a") == [])
    }

    @Test func aDomainThatIsPutBackIsServedAtOnce() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("bob")
        cluster.settle()
        cluster.orderRetirement("a")
        cluster.turn("a", .policy(DomainPolicy(topology: 2)))
        let granted = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.replies[granted] != .refused(.notOwner))
        #expect(try cluster.accounts("a") == ["alice"])
    }

    /// What was granted before that epoch would be gone by its `clear`.
    @Test func aDomainThatIsPutBackWaitsForTheClearThatWasAskedFor() throws {
        var cluster = try MachineCluster.askedToClear()
        cluster.turn("a", .policy(DomainPolicy(topology: 2)))
        try cluster.expectRefused()
        cluster.advance(300)
        #expect(cluster.asked.map(\.kind) == [.clear, .remove], "it asks for a revision under which none can come")
        #expect(cluster.asked.last?.node.name == NodeName("a"), "which is none of its standbys")
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        cluster.settle()
        try cluster.expectGranted()
    }

    @Test func anotherRevisionMakesTheClearVoid() throws {
        var cluster = try MachineCluster.askedToClear()
        cluster.turn("a", .policy(DomainPolicy(topology: 2)))
        // However long no router says anything.
        cluster.advance(10_000)
        try cluster.expectRefused()
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+"])
        cluster.settle()
        try cluster.expectGranted()
    }

    /// Whoever gave it may still have the clear granted.
    @Test func anOrderThatLapsesLeavesTheClearToBeWaitedFor() throws {
        var cluster = try MachineCluster.askedToClear()
        cluster.advance(2_500)
        try cluster.expectRefused()
        #expect(cluster.asked.map(\.kind).last == .remove)
        cluster.orderRetirement("a")
        cluster.advance(300)
        #expect(cluster.asked.map(\.kind).last == .clear, "it is ordered again")
    }

    @Test func aDomainThatIsPutBackWaitsUntilItCannotBeLetGoOf() throws {
        var cluster = try MachineCluster.askedToClear()
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        for _ in 0..<3 {
            cluster.orderRetirement("a")
            cluster.advance(600)
        }
        #expect(cluster.asked.map(\.kind).last == .retire)
        cluster.turn("a", .policy(DomainPolicy(topology: 2)))
        try cluster.expectRefused()
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        cluster.settle()
        try cluster.expectGranted()
    }

    @Test func registrationsEndOnlyAsStandbysTakeThemIn() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(ringEntries: 16))
        for number in 0..<12 {
            try cluster.register("user\(number)")
            cluster.settle()
        }
        cluster.cut.insert(.init(from: NodeName("b"), to: NodeName("a")))
        cluster.orderRetirement("a")
        cluster.advance(100)
        #expect(cluster["a"].uncommitted <= 8)
        #expect(cluster.asked.filter { $0.kind == .clear }.isEmpty)
        cluster.cut.removeAll()
        cluster.orderRetirement("a")
        cluster.advance(1_000)
        #expect(try cluster.accounts("b") == [])
        #expect(cluster.asked.contains { $0.kind == .clear })
    }

    @Test func whoTakesOverGoesOn() throws {
        var cluster = try MachineCluster.pair()
        for name in ["alice", "bob"] { try cluster.register(name) }
        cluster.settle()
        cluster.stop("a")
        cluster.assign(epoch: 2, owner: "b")
        cluster.lease("b", milliseconds: 60_000)
        cluster.forget()
        cluster.orderRetirement("b")
        cluster.advance(200)
        #expect(try cluster.accounts("b") == [])
        #expect(cluster.asked.contains { $0.kind == .clear && $0.epoch == 2 })
    }

    @Test func whatWasRetiredIsForgotten() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice")
        cluster.settle()
        cluster.assign(epoch: 1, owner: nil, cause: .storageCleared)
        for name in ["a", "b"] {
            #expect(cluster[name].isRetired)
            #expect(try cluster.accounts(name) == [])
            #expect(cluster.records[NodeName(name)]?.last == .reset(.start))
        }
    }

    @Test func aDomainThatComesBackTakesUpNoOldCopy() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice")
        cluster.settle()
        // The news of the retirement never came.
        cluster.assign(epoch: 3, owner: "b", cause: .storageCleared)
        cluster.lease("b", milliseconds: 60_000)
        cluster.settle()
        #expect(try cluster.accounts("b") == [])
    }

    @Test func whatTheDomainAllowsChangesAtOnce() throws {
        var cluster = try MachineCluster.pair()
        var policy = DomainPolicy()
        policy.minimumTTL = 700_000
        policy.ringEntries = 16
        cluster.turn("a", .policy(policy))
        let refused = try cluster.register("alice")
        #expect(cluster.replies[refused] == .refused(.intervalTooBrief(minimum: 700_000)))
        #expect(cluster["a"].policy.ringEntries == DomainPolicy().ringEntries)
    }
}

extension MachineCluster {
    /// One whose owner has ended everything, and has asked for the epoch that begins with `clear`.
    fileprivate static func askedToClear() throws -> MachineCluster {
        var cluster = try MachineCluster.pair()
        try cluster.register("bob")
        cluster.settle()
        cluster.forget()
        cluster.orderRetirement("a")
        cluster.settle()
        #expect(cluster.asked.map(\.kind) == [.clear])
        return cluster
    }

    fileprivate mutating func expectRefused() throws {
        let refused = try register("alice")
        #expect(replies[refused] == .refused(.notOwner))
    }

    fileprivate mutating func expectGranted() throws {
        let granted = try register("alice")
        settle()
        #expect(replies[granted] != .refused(.notOwner))
        #expect(try accounts("a") == ["alice"])
    }
}
