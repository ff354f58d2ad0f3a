import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// Planned movement from the owner's side, and requests that come before the assignment.
struct DomainMachineHandOverTests {
    @Test func whatIsUnderWayEndsBeforeTheOwnerAsksToBeReplaced() throws {
        var cluster = try MachineCluster.pair()
        let before = try cluster.register("alice")
        cluster.orderHandOver("a", to: "b")
        let refused = try cluster.register("bob")
        #expect(cluster.replies[refused] == .refused(.notOwner))
        #expect(cluster.replies[before] == nil)
        #expect(cluster.asked.isEmpty)
        cluster.settle()
        #expect(cluster.replies[before] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
        #expect(cluster.asked.map(\.kind) == [.handOver])
        #expect(cluster.asked.map(\.node) == [MachineCluster.node("b")])
    }

    @Test func theNewOwnerGoesOnWithTheFormerOneAsItsStandby() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice")
        cluster.orderHandOver("a", to: "b")
        cluster.settle()
        cluster.assign(epoch: 2, owner: "b", standbys: ["a+"], cause: .moved)
        let after = try cluster.register("bob", to: "b")
        cluster.settle()
        #expect(cluster.replies[after] != nil && cluster.replies[after] != .refused(.notOwner))
        cluster.advance(300)
        #expect(try cluster.accounts("a") == ["alice", "bob"])
        #expect(try cluster.accounts("b") == ["alice", "bob"])
    }

    @Test func listsAreServedMeanwhile() throws {
        var cluster = try MachineCluster.pair()
        cluster.orderHandOver("a", to: "b")
        let id = cluster.request(.list(cursor: 0, account: nil))
        cluster.advance(200)
        guard case .page = cluster.replies[id] else {
            Issue.record("no page: \(String(describing: cluster.replies[id]))")
            return
        }
    }

    @Test func anOwnerThatIsNotReplacedServesAgainAndIsLeftAloneForAWhile() throws {
        var cluster = try MachineCluster.pair()
        cluster.orderHandOver("a", to: "b")
        cluster.advance(200)
        let refused = try cluster.register("alice")
        #expect(cluster.replies[refused] == .refused(.notOwner))
        cluster.advance(150)
        cluster.orderHandOver("a", to: "b")
        let accepted = try cluster.register("bob")
        cluster.settle()
        #expect(cluster.replies[accepted] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
        cluster.advance(1_100)
        cluster.orderHandOver("a", to: "b")
        let late = try cluster.register("carol")
        #expect(cluster.replies[late] == .refused(.notOwner))
    }

    @Test func theWaitingOwnerAsksAgainButNotAllTheTime() throws {
        var cluster = try MachineCluster.pair()
        cluster.orderHandOver("a", to: "b")
        cluster.advance(200)
        #expect((2...6).contains(cluster.asked.count), "\(cluster.asked.count)")
    }

    @Test func ordersThatDoNotFitAreIgnored() throws {
        var cluster = try MachineCluster.pair()
        cluster.orderHandOver("a", to: "c")
        cluster.orderHandOver("a", to: "b", revision: 7)
        cluster.orderHandOver("b", to: "a")
        let id = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.asked.isEmpty)
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
    }

    @Test func nothingExpiresWhileTheDomainIsHandedOver() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice", ttl: 30_000)
        cluster.settle()
        cluster.advance(29_900)
        cluster.orderHandOver("a", to: "b")
        cluster.advance(200)
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.advance(300)
        #expect(try cluster.accounts("a").isEmpty)
    }

    // MARK: Too soon

    @Test func aRequestOfAnEpochToComeWaitsForTheAssignment() throws {
        var cluster = try MachineCluster.pair()
        cluster.assign(epoch: 2, owner: "b", standbys: ["a+"], cause: .moved, to: ["a"])
        let first = try cluster.register("alice", to: "b", epoch: 2)
        let second = try cluster.register("bob", to: "b", epoch: 2)
        #expect(cluster.replies[first] == nil)
        cluster.tellAssignment(to: NodeName("b"))
        cluster.settle()
        cluster.advance(300)
        #expect(cluster.replies[first] == .registered(Position(epoch: 2, seq: 2), ttl: 600_000))
        #expect(cluster.replies[second] == .registered(Position(epoch: 2, seq: 3), ttl: 600_000))
    }

    @Test func aRequestThatWaitsInVainIsRefused() throws {
        var cluster = try MachineCluster.pair()
        let id = try cluster.register("alice", to: "b", epoch: 2)
        cluster.advance(50)
        #expect(cluster.replies[id] == nil)
        cluster.advance(150)
        #expect(cluster.replies[id] == .refused(.notOwner))
    }

    @Test func onlySoManyRequestsWait() throws {
        var cluster = try MachineCluster.pair()
        for _ in 0..<1_024 { cluster.request(.clear, to: "b", epoch: 2) }
        #expect(cluster.replies.isEmpty)
        let id = cluster.request(.clear, to: "b", epoch: 2)
        #expect(cluster.replies[id] == .refused(.notOwner))
    }

    @Test func anAssignmentThatMakesAnotherOneOwnerRefusesWhatWaited() throws {
        var cluster = try MachineCluster.pair()
        let id = try cluster.register("alice", to: "b", epoch: 2)
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        #expect(cluster.replies[id] == .refused(.notOwner))
    }
}
