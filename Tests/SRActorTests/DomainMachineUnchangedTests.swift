import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// Requests that change nothing have no entry by which a standby could show that the owner is deposed.
struct DomainMachineUnchangedTests {
    private func ask(_ cluster: inout MachineCluster) -> [UInt64] {
        [
            cluster.request(
                .unregister(key: ContactKey(.sipuser, "alice", "phone").packed, reason: .unregisterContact), epoch: 1),
            cluster.request(.deleteAccount(AccountID(.sipuser, "alice")), epoch: 1),
            cluster.request(.list(cursor: 0, account: nil), epoch: 1),
        ]
    }

    @Test func aDeposedOwnerThatDoesNotKnowItAnswersNone() throws {
        var cluster = try MachineCluster.pair()
        cluster.isolate("a")
        cluster.assign(epoch: 2, owner: "b", to: ["b"])
        cluster.lease("b", milliseconds: 60_000)
        let elsewhere = try cluster.register("alice", to: "b")
        #expect(cluster.replies[elsewhere] == .registered(Position(epoch: 2, seq: 2), ttl: 600_000))
        let ids = ask(&cluster)
        cluster.advance(400)
        #expect(ids.allSatisfy { cluster.replies[$0] == nil })
        cluster.cut = []
        cluster.advance(1_000)
        #expect(ids.allSatisfy { cluster.replies[$0] == .refused(.notOwner) })
    }

    @Test func underALeaseTheyAreAnsweredAtOnce() throws {
        var cluster = try MachineCluster.pair()
        cluster.lease("a", milliseconds: 800)
        expectAnswers(to: ask(&cluster), in: cluster)
    }

    /// While routers are away nobody is made owner either, but that is more than the owner can know.
    @Test func withoutALeaseTheyAreAnsweredOnceTheStandbyHasSpoken() throws {
        var cluster = try MachineCluster.pair()
        let ids = ask(&cluster)
        #expect(ids.allSatisfy { cluster.replies[$0] == nil })
        cluster.advance(300)
        expectAnswers(to: ids, in: cluster)
    }

    @Test func withoutALeaseTheyAreAnsweredWithTheNextCommit() throws {
        var cluster = try MachineCluster.pair()
        let ids = ask(&cluster)
        try cluster.register("bob")
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
        for id in ids { #expect(cluster.replies[id] != nil) }
    }

    @Test func withoutALeaseALoneOwnerRefusesThem() throws {
        var cluster = try MachineCluster("a")
        cluster.assign(epoch: 1, owner: "a")
        #expect(ask(&cluster).allSatisfy { cluster.replies[$0] == .refused(.unavailable) })
    }

    /// Its lease outlasts the assignment that it has asked for itself.
    @Test func whoAskedToBeReplacedTrustsNoLease() throws {
        var cluster = try MachineCluster.pair()
        cluster.lease("a", milliseconds: 60_000)
        cluster.orderHandOver("a", to: "b")
        #expect(cluster.asked.map(\.kind) == [.handOver])
        cluster.isolate("a")
        cluster.advance(400)
        let ids = ask(&cluster)
        cluster.advance(100)
        #expect(ids.allSatisfy { cluster.replies[$0] == nil })
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+"], cause: .restart)
        expectAnswers(to: ids, in: cluster)
    }

    private func expectAnswers(to ids: [UInt64], in cluster: MachineCluster) {
        let position = Position(epoch: 1, seq: 1)
        #expect(cluster.replies[ids[0]] == .unregistered(position, count: 0))
        #expect(cluster.replies[ids[1]] == .unregistered(position, count: 0))
        #expect(cluster.replies[ids[2]] == .page([], next: 0, position: position))
    }
}
