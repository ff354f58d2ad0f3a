import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// Clearing the list: asked of the router, carried out as a new epoch that starts empty.
struct DomainMachineClearTests {
    private func filled() throws -> MachineCluster {
        var cluster = try MachineCluster.pair()
        cluster.follow("f")
        for name in ["alice", "bob", "carol"] { try cluster.register(name) }
        cluster.settle()
        cluster.advance(100)
        cluster.forget()
        return cluster
    }

    @Test func aListIsClearedByANewEpochThatStartsEmpty() throws {
        var cluster = try filled()
        let id = cluster.request(.clear)
        #expect(cluster.asked.map(\.kind) == [.clear])
        #expect(cluster.asked.map(\.revision) == [1])
        #expect(cluster.replies[id] == nil)
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        #expect(cluster.replies[id] == nil)
        cluster.settle()
        #expect(cluster.replies[id] == .unregistered(Position(epoch: 2, seq: 1), count: 0))
        #expect(try cluster.accounts("a").isEmpty && cluster.accounts("b").isEmpty)
        cluster.advance(600)
        let follower = NodeName("f")
        #expect(cluster.entries[follower]?.map(\.change) == [.clear(.storageCleared)])
        #expect(cluster.followers[follower]?.replica.table.count == 0)
    }

    @Test func writesGoOnUntilTheNewEpochAndInIt() throws {
        var cluster = try filled()
        cluster.request(.clear)
        let before = try cluster.register("dave")
        cluster.settle()
        #expect(cluster.replies[before] == .registered(Position(epoch: 1, seq: 5), ttl: 600_000))
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        let after = try cluster.register("erin")
        cluster.settle()
        #expect(cluster.replies[after] == .registered(Position(epoch: 2, seq: 2), ttl: 600_000))
        #expect(try cluster.accounts("b") == ["erin"])
    }

    @Test func aRepeatedRequestAsksAgainButClearsOnce() throws {
        var cluster = try filled()
        let id = cluster.request(.clear)
        cluster.request(.clear, id: id)
        #expect(cluster.asked.map(\.kind) == [.clear, .clear])
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        try cluster.register("dave")
        cluster.settle()
        #expect(cluster.replies[id] == .unregistered(Position(epoch: 2, seq: 1), count: 0))
        // The answer was lost; the sender asks again and must not lose what has come since.
        cluster.forget()
        cluster.lease("a", milliseconds: 60_000)
        cluster.request(.clear, id: id)
        cluster.settle()
        #expect(cluster.asked.isEmpty)
        #expect(cluster.replies[id] == .unregistered(Position(epoch: 2, seq: 2), count: 0))
        #expect(try cluster.accounts("a") == ["dave"])
    }

    @Test func anotherRequestClearsAgain() throws {
        var cluster = try filled()
        cluster.request(.clear)
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        try cluster.register("dave")
        cluster.settle()
        cluster.forget()
        let second = cluster.request(.clear)
        #expect(cluster.asked.map(\.kind) == [.clear])
        cluster.assign(epoch: 3, owner: "a", standbys: ["b+"], cause: .storageCleared)
        cluster.settle()
        #expect(cluster.replies[second] == .unregistered(Position(epoch: 3, seq: 1), count: 0))
        #expect(try cluster.accounts("a").isEmpty)
    }

    @Test func theAnswerWaitsForTheStandby() throws {
        var cluster = try filled()
        let id = cluster.request(.clear)
        cluster.cut = [.init(from: NodeName("b"), to: NodeName("a"))]
        cluster.assign(epoch: 2, owner: "a", standbys: ["b+"], cause: .storageCleared)
        cluster.advance(200)
        #expect(cluster.replies[id] == nil)
        cluster.cut = []
        cluster.advance(1_000)
        #expect(cluster.replies[id] == .unregistered(Position(epoch: 2, seq: 1), count: 0))
    }

    @Test func aFailoverInBetweenLeavesTheListAsItWas() throws {
        var cluster = try filled()
        let id = cluster.request(.clear)
        cluster.assign(epoch: 2, owner: "b", standbys: ["a"])
        cluster.settle()
        cluster.advance(200)
        #expect(cluster.replies[id] == nil)
        #expect(try cluster.accounts("b") == ["alice", "bob", "carol"])
    }
}
