import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import Router

@Suite struct RouterStatusTests {
    private let sr1 = life("sr1", 11)
    private let sr2 = life("sr2")

    private func router() -> Driven {
        let owned = assignment(epoch: 3, revision: 5, owner: sr1, standbys: [standby(sr2)])
        var router = Driven(leading: [owned], alive: [sr1, sr2])
        _ = router.feed(.received(.copies(CopyReports(reports: [copy(3, 77, users: 4)])), from: sr1))
        _ = router.feed(
            .received(
                .heartbeat(
                    Heartbeat(
                        role: .router, sentAt: 0, revision: 5, pid: 9, uptimeMilliseconds: 4500, term: 0)),
                from: life("router2")))
        return router
    }

    @Test func theStatusTellsWhatTheRouterSees() {
        let status = router().machine.status(following: AssignmentTable(), at: at(600))
        #expect(
            status.routers == [
                ClusterStatus.Router(name: "router1", state: .active, term: 1),
                ClusterStatus.Router(name: "router2", state: .standby, term: 0),
            ])
        #expect(
            status.domains == [
                ClusterStatus.Domain(
                    name: "d.example", epoch: 3, seq: 77, owner: "sr1",
                    standbys: [ClusterStatus.Standby(name: "sr2", inSync: true)],
                    contacts: ClusterStatus.Contacts(user: 4, sipuser: 0))
            ])
        #expect(status.nodes.map(\.name) == ["router1", "router2", "sr1", "sr2", "sr3"])
        #expect(status.nodes.map(\.status) == [.down, .up, .up, .up, .down])
        #expect(status.nodes.map(\.incarnation) == [0, 1, 11, 1, 0])
        #expect(status.nodes[1].uptimeSeconds == 5)
        #expect(status.nodes[1].pid == 9)
    }

    /// Its assignment stays as it is, so that members are known, but nobody serves it.
    @Test func aDomainThatWaitsForItsMembersIsShownWithoutOwner() throws {
        var router = router()
        var alone = assignment(epoch: 3, revision: 6, owner: sr1)
        alone.cause = .restart
        #expect(router.feed(.refused(NodeName("sr2"))).stored.map(\.assignment.standbys) == [[]])
        _ = router.feed(.stored(.success(.stored([alone])), term: 1))
        #expect(router.feed(.refused(sr1.name)).stored == [])
        let status = router.machine.status(following: AssignmentTable(), at: at(router.time))
        #expect(status.domains.map(\.owner) == [nil])
    }

    /// A router that has just started, or has not loaded yet, has an owner for nothing; that does not mean that none
    /// has.
    @Test func onlyALeaderThatKnowsWhatIsStoredCanBeConcludedFrom() {
        func isConclusive(_ router: Driven) -> Bool {
            router.machine.status(following: AssignmentTable(), at: at(router.time)).isConclusive
        }
        var router = Driven()
        #expect(!isConclusive(router))
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.success(.leading(term: 1))))
        #expect(router.isLeading && !isConclusive(router))
        _ = router.feed(.loaded(.success(StoredAssignments(revision: 0, assignments: [])), term: 1))
        #expect(isConclusive(router))
        _ = router.beat(life("sr1"), revision: 300)
        #expect(!isConclusive(router), "nodes know more than is stored")
        // Of routers that do not say, the one that leads is believed.
        var former = router.machine.status(following: AssignmentTable(), at: at(router.time))
        former.isDecided = nil
        #expect(former.isConclusive)
    }

    @Test func theKeysAreThoseOfTheInterface() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let status = ClusterStatus(
            routers: [ClusterStatus.Router(name: "r", state: .down, term: 0)],
            nodes: [
                ClusterStatus.Node(
                    name: "n", roles: ["sr"], site: "main", server: "a", incarnation: 7, status: .draining, pid: 1,
                    uptimeSeconds: 2)
            ],
            domains: [
                ClusterStatus.Domain(
                    name: "d", epoch: 0, seq: 0, owner: nil,
                    standbys: [ClusterStatus.Standby(name: "s", inSync: false)],
                    contacts: ClusterStatus.Contacts(user: 0, sipuser: 0))
            ],
            coordinator: ClusterStatus.Coordinator(state: .unreachable, unreachableSince: 7, error: "gone"))
        let data = try encoder.encode(status)
        #expect(
            String(decoding: data, as: UTF8.self) == """
                {"coordinator":{"error":"gone","state":"unreachable","unreachable_since":7},\
                "domains":[{"contacts":{"sipuser":0,"user":0},"epoch":0,"name":"d","owner":null,"seq":0,\
                "standbys":[{"in_sync":false,"name":"s"}]}],\
                "nodes":[{"incarnation":7,"name":"n","pid":1,"roles":["sr"],"server":"a","site":"main",\
                "status":"draining","uptime_s":2}],"routers":[{"name":"r","state":"down","term":0}]}
                """)
        #expect(try JSONDecoder().decode(ClusterStatus.self, from: data) == status)
    }

    @Test func theStatusTellsSinceWhenTheCoordinatorIsAway() {
        func state(_ router: Driven) -> ClusterStatus.Coordinator? {
            router.machine.status(following: AssignmentTable(), at: at(router.time)).coordinator
        }
        var router = Driven()
        #expect(state(router) == ClusterStatus.Coordinator(state: .unknown))
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.failure(.unavailable("first"))))
        router.time = 500
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.failure(.unavailable("second"))))
        let away = ClusterStatus.Coordinator(
            state: .unreachable, unreachableSince: at(0).wall, error: "second")
        #expect(state(router) == away)
        #expect(away.complaint == "coordinator: unreachable since 2023-11-14T22:13:20Z: second")
        router.time = 1000
        _ = router.feed(.tick)
        _ = router.feed(.campaigned(.success(.standby(leader: nil))))
        #expect(state(router) == ClusterStatus.Coordinator(state: .reachable))
        #expect(state(router)?.complaint == nil)
    }

    @Test func aStandbyRouterShowsWhatItWasTold() {
        var table = AssignmentTable()
        let told = assignment(epoch: 8, revision: 9, owner: sr2)
        _ = table.apply(AssignmentUpdate(term: 1, from: 0, to: 9, assignments: [told]))
        let status = Driven().machine.status(following: table, at: at(0))
        #expect(status.routers[0].state == .standby)
        #expect(status.domains.map(\.owner) == ["sr2"])
        #expect(status.domains.map(\.epoch) == [8])
    }

    @Test func ownerChangesAreRememberedWithTheirTimings() throws {
        var router = router()
        router.time = 100
        var next = try #require(router.feed(.refused(sr1.name)).stored.first).assignment
        next.revision = 6
        router.time = 107
        _ = router.feed(.stored(.success(.stored([next])), term: 1))
        #expect(
            router.machine.ownerChanges(of: domain("d.example")) == [
                OwnerChange(
                    epoch: 4, cause: "failover", previous: "sr1#11", next: "sr2#1", detectedAt: at(100).wall,
                    storedAt: at(107).wall, tookMilliseconds: 7)
            ])
    }
}
