import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// Domains in which nothing happens: what they cost, and that nothing is missed for being quiet. Machines are woken
/// when they ask for it only, as in production.
struct DomainMachineQuietTests {
    private static let (a, b, f) = (NodeName("a"), NodeName("b"), NodeName("f"))

    /// An owner, a standby in sync and a follower, quiet for a while.
    private func quiet(_ seconds: Int64 = 120) throws -> MachineCluster {
        var cluster = try MachineCluster.pair()
        cluster.follow("f")
        cluster.settle()
        cluster.live(seconds * 1_000)
        cluster.forget()
        return cluster
    }

    @Test func aQuietDomainCostsNextToNothing() throws {
        var cluster = try quiet()
        let (wakes, messages) = cluster.live(600_000)
        // Each of two copies speaks every four seconds and is answered; their owner seldom wakes by itself.
        #expect(wakes <= 600 / 4 * 3)
        #expect(messages <= 600 / 4 * 4 + 4)
        #expect(messages >= 600 / 4 * 4 - 4)
        #expect(cluster.asked.isEmpty && cluster.notes.isEmpty)
    }

    @Test func aWriteAfterAQuietTimeIsCommittedAtOnce() throws {
        var cluster = try quiet()
        let id = try cluster.register("alice")
        cluster.settle()
        #expect(cluster.replies[id] == .registered(Position(epoch: 1, seq: 2), ttl: 600_000))
        #expect(cluster.entries[Self.f]?.count == 1)
    }

    @Test func whatAFollowerLosesAfterAQuietTimeIsSentAgainSoon() throws {
        var cluster = try quiet()
        cluster.cut = [.init(from: Self.a, to: Self.f)]
        try cluster.register("alice")
        cluster.settle()
        #expect(cluster.entries[Self.f] == nil)
        cluster.live(500)
        cluster.cut = []
        cluster.live(1_000)
        #expect(cluster.entries[Self.f]?.count == 1)
    }

    @Test func whatAFollowerLosesForLongReachesItWithinTheLongestPause() throws {
        var cluster = try quiet()
        cluster.cut = [.init(from: Self.a, to: Self.f), .init(from: Self.f, to: Self.a)]
        try cluster.register("alice")
        cluster.live(60_000)
        cluster.cut = []
        cluster.live(4_500)
        #expect(cluster.entries[Self.f]?.count == 1)
    }

    /// However long it takes until the two reach each other.
    @Test func whoHasNotHeardTheOwnerOfItsEpochGoesOnAsking() throws {
        var cluster = try quiet()
        cluster.cut = [.init(from: Self.b, to: Self.f), .init(from: Self.f, to: Self.b)]
        cluster.stop("a")
        cluster.assign(epoch: 2, owner: "b", standbys: [])
        cluster.lease("b", milliseconds: 600_000)
        cluster.live(60_000)
        cluster.cut = []
        cluster.live(600)
        #expect(cluster.followers[Self.f]?.replica.position.epoch == 2)
    }

    @Test func aStandbyThatFallsSilentAfterAQuietTimeIsTakenOutInTime() throws {
        var cluster = try quiet()
        cluster.cut = [.init(from: Self.b, to: Self.a)]
        try cluster.register("alice")
        cluster.live(700)
        #expect(cluster.asked.map(\.kind).contains(.remove))
    }

    @Test func aNewStandbyOfAQuietDomainIsCountedInSoon() throws {
        var cluster = try MachineCluster.alone()
        try cluster.register("alice")
        cluster.lease("a", milliseconds: 3_600_000)
        cluster.live(120_000)
        cluster.forget()
        cluster.assign(epoch: 1, owner: "a", standbys: ["b"])
        cluster.settle()
        cluster.live(600)
        #expect(cluster.asked.map(\.kind).contains(.add))
    }

    @Test func aContactOfAQuietDomainExpiresInTime() throws {
        var cluster = try MachineCluster.pair()
        cluster.follow("f")
        try cluster.register("alice", ttl: 300_000)
        cluster.settle()
        cluster.live(299_000)
        #expect(try cluster.accounts("a") == ["alice"])
        cluster.live(2_000)
        #expect(try cluster.accounts("a") == [])
        #expect(try cluster.accounts("b") == [])
        #expect(cluster.entries[Self.f]?.last?.change.contact != nil)
    }

    @Test func aQuietDomainFailsOverLikeAnyOther() throws {
        var cluster = try quiet()
        try cluster.register("alice")
        cluster.settle()
        cluster.live(120_000)
        cluster.stop("a")
        cluster.assign(epoch: 2, owner: "b", standbys: [])
        cluster.settle()
        cluster.lease("b", milliseconds: 60_000)
        cluster.live(1_000)
        let id = try cluster.register("bob", to: "b")
        cluster.settle()
        #expect(cluster.replies[id].map { if case .registered = $0 { true } else { false } } == true)
        #expect(cluster.entries[Self.f]?.last?.change.contact != nil)
    }
}
