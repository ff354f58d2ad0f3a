import ClusterClients
import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

/// What rolling restarts and changes of the topology decide from a status alone.
struct RestartPlanTests {
    private let topology: Topology

    init() throws {
        topology = try Self.topology(
            "{ name: demo.example, replicas: 2 }, { name: acme.example, replicas: 3 }")
    }

    private static func topology(_ domains: String) throws -> Topology {
        try Topology.parse(
            """
            cluster: test
            secret: none
            coordinator: { kind: embedded, path: router.db }
            directory: { kind: file, path: accounts.yaml }
            domains: [ \(domains) ]
            sites:
              - name: main
                servers:
                  - name: host-a
                    address: 127.0.0.1
                    nodes:
                      - { name: sr1, role: sr, cluster: 1001, admin: 2001 }
                      - { name: router1, role: router, order: 1, cluster: 1002, admin: 2002 }
                      - { name: sg1, role: sg, cluster: 1003, admin: 2003, sip: { udp: 3003 } }
                      - { name: ws1, role: wssubscr, cluster: 1004, admin: 2004, websocket: { listen: 3004 } }
                      - { name: sr2, role: sr, cluster: 1005, admin: 2005 }
                      - { name: router2, role: router, order: 2, cluster: 1006, admin: 2006 }
                      - { name: sr3, role: sr, cluster: 1007, admin: 2007 }
            """, path: "test.yaml")
    }

    private func status(_ change: (inout ClusterStatus) -> Void = { _ in }) -> ClusterStatus {
        var status = ClusterStatus(
            routers: [
                .init(name: "router1", state: .active, term: 3), .init(name: "router2", state: .standby, term: 0),
            ],
            nodes: topology.nodes.map { node in
                .init(
                    name: node.name.rawValue, roles: [node.role.name], site: "main", server: "host-a", incarnation: 5,
                    status: .up, pid: 7, uptimeSeconds: 60)
            },
            domains: [
                .init(
                    name: "demo.example", epoch: 1, seq: 1, owner: "sr1", standbys: [.init(name: "sr2", inSync: true)],
                    contacts: .init(user: 0, sipuser: 0)),
                .init(
                    name: "acme.example", epoch: 1, seq: 1, owner: "sr2",
                    standbys: [.init(name: "sr1", inSync: true), .init(name: "sr3", inSync: true)],
                    contacts: .init(user: 0, sipuser: 0)),
            ], coordinator: .init(state: .reachable))
        change(&status)
        return status
    }

    @Test func whatDoesLeastHarmComesFirstAndTheActiveRouterLast() {
        let plan = RestartPlan(topology, status())
        #expect(plan.nodes.map(\.name.rawValue) == ["router2", "ws1", "sg1", "sr1", "sr2", "sr3", "router1"])
        let taken = status {
            $0.routers[0].state = .standby
            $0.routers[1].state = .active
        }
        let other = RestartPlan(topology, taken)
        #expect(other.nodes.map(\.name.rawValue) == ["router1", "ws1", "sg1", "sr1", "sr2", "sr3", "router2"])
        let some = RestartPlan(topology, status(), only: [NodeName("router1"), NodeName("sr3"), NodeName("ws1")])
        #expect(some.nodes.map(\.name.rawValue) == ["ws1", "sr3", "router1"])
    }

    @Test func theOnlyNodeOfAGroupThatServesIsNotRestarted() throws {
        let text = topology.source.replacing("replicas: 2", with: "replicas: 1").replacing(
            "replicas: 3", with: "replicas: 2"
        )
        .replacing("name: sr2,", with: "name: sr2, group: one, include_domains: [demo.example],")
        let grouped = try Topology.parse(text, path: "test.yaml")
        let all = RestartPlan(grouped, status())
        #expect(all.objection(grouped, drained: [])?.hasPrefix("sr2 is the only sr node of group one") == true)
        let some = RestartPlan(grouped, status(), only: [NodeName("sr1")])
        #expect(some.objection(grouped, drained: []) == nil)
        #expect(some.objection(grouped, drained: [NodeName("sr3")])?.hasPrefix("sr1 is the only sr node that") == true)
    }

    @Test func theLastNodeThatServesIsNotRestarted() {
        let all = RestartPlan(topology, status())
        #expect(all.objection(topology, drained: []) == nil)
        #expect(all.objection(topology, drained: [NodeName("sr1")]) == nil)
        let idle: Set = [NodeName("sr1"), NodeName("sr2")]
        #expect(all.objection(topology, drained: idle)?.contains("sr3") == true)
        let others = RestartPlan(topology, status(), only: [NodeName("ws1"), NodeName("sr1")])
        #expect(others.objection(topology, drained: idle) == nil)
    }

    @Test func whoeverIsAloneIsNamed() {
        let warnings = RestartPlan(topology, status()).warnings(topology)
        #expect(warnings.count == 2 && warnings[0].contains("ws1") && warnings[1].contains("sg1"), "\(warnings)")
    }

    @Test func aWholeClusterHasNothingToComplainOf() {
        #expect(ClusterReadiness.complaints(of: status(), topology) == [])
    }

    @Test(arguments: [ClusterStatus.Node.Status.suspect, .down, .draining, .drained])
    func everyNodeMustBeThere(standing: ClusterStatus.Node.Status) {
        let ailing = status { $0.nodes[3].status = standing }
        #expect(ClusterReadiness.complaints(of: ailing, topology).count == 1)
        #expect(ClusterReadiness.complaints(of: ailing, topology)[0].contains("ws1"))
        #expect(ClusterReadiness.complaints(of: ailing, topology, absent: NodeName("ws1")) == [])
        let kept = ClusterReadiness.complaints(of: ailing, topology, drained: [NodeName("ws1")])
        #expect(kept.isEmpty == (standing == .drained))
    }

    @Test func aNodeThatTheRoutersDoNotKnowIsMissed() {
        let lacking = status { $0.nodes.removeAll { $0.name == "sr3" } }
        #expect(ClusterReadiness.complaints(of: lacking, topology).first?.contains("sr3") == true)
    }

    @Test func everyCopyMustBeThereAndInSync() {
        func complaints(absent: String? = nil, _ change: (inout ClusterStatus) -> Void) -> [String] {
            ClusterReadiness.complaints(of: status(change), topology, absent: absent.map { NodeName($0) })
        }
        #expect(complaints { $0.domains[0].owner = nil } == ["nobody owns demo.example"])
        #expect(complaints { $0.domains[0].movingTo = "sr3" } == ["demo.example is being moved to sr3"])
        #expect(complaints { $0.domains.remove(at: 0) } == ["nobody owns demo.example"])
        #expect(
            complaints { $0.domains[0].standbys[0].inSync = false } == ["demo.example's standby sr2 is not in sync"])
        #expect(complaints { $0.domains[1].standbys.removeLast() } == ["acme.example has 1 of 2 standbys in sync"])
        // One that stands in beside the right ones, and is still being filled.
        #expect(complaints { $0.domains[0].standbys.append(.init(name: "sr3", inSync: false)) }.count == 1)
        // While one of three is away, a domain with three copies makes do with two.
        #expect(complaints(absent: "sr3") { $0.domains[1].standbys.removeLast() } == [])
        #expect(complaints(absent: "sr3") { $0.domains[1].standbys.removeAll() }.count == 1)
    }

    /// Nodes of other groups stand in for nobody here.
    @Test func whileANodeOfAGroupIsAwayItsDomainsMakeDoWithTheRestOfIt() throws {
        let text = topology.source.replacing("replicas: 3", with: "replicas: 1")
            .replacing("name: sr1,", with: "name: sr1, group: one, include_domains: [demo.example],")
            .replacing("name: sr2,", with: "name: sr2, group: one,")
        let grouped = try Topology.parse(text, path: "test.yaml")
        let alone = status {
            ($0.domains[0].owner, $0.domains[0].standbys) = ("sr2", [])
            ($0.domains[1].owner, $0.domains[1].standbys) = ("sr3", [])
        }
        #expect(ClusterReadiness.complaints(of: alone, grouped, absent: NodeName("sr1")) == [])
        #expect(ClusterReadiness.complaints(of: alone, grouped) == ["demo.example has 0 of 1 standbys in sync"])
    }

    @Test func aChangeDoesNotWaitForCopiesThatANodeWouldHoldThatWasDownBefore() {
        let nothing = TopologyDifference(from: topology, to: topology)
        let progress = TopologyProgress(topology, version: 1, nothing)
        func look(_ change: (inout ClusterStatus) -> Void) -> ProgressLook {
            var status = status {
                $0.topology = 1
                for index in $0.nodes.indices { $0.nodes[index].topology = 1 }
            }
            change(&status)
            return progress.look(at: status)
        }
        #expect(look { _ in } == .done)
        let missing = ProgressLook.underWay("waiting for 1 domains to have their standbys in sync")
        #expect(look { $0.domains[1].standbys.removeLast() } == missing)
        #expect(look { $0.domains[1].standbys[1].inSync = false } == missing)
        for state in [ClusterStatus.Node.Status.down, .drained] {
            func isAway(_ status: inout ClusterStatus) {
                status.nodes[6].status = state
                status.domains[1].standbys.removeLast()
            }
            #expect(look(isAway) == .done)
            #expect(
                look {
                    isAway(&$0)
                    $0.domains[1].standbys.removeAll()
                } == missing)
        }
        let short = status { $0.domains[1].standbys.removeLast() }
        #expect(StandbyNeeds(topology).shortOfReplicas(short) == ["acme.example"])
    }

    @Test func aMoveIsNotGivenUpWhileNobodyLeads() {
        func instant(_ seconds: Int) -> MonotonicInstant { MonotonicInstant(nanoseconds: 0) + .seconds(seconds) }
        let leaderless = status { $0.routers[0].state = .standby }
        var move = MoveProgress("demo.example", to: "sr3", at: instant(0))
        #expect(
            move.look(at: status { $0.domains[0].movingTo = "sr3" }, instant(1))
                == .underWay("demo.example: sr3 is to be filled"))
        #expect(move.look(at: leaderless, instant(5)) == .underWay("demo.example: no router leads at the moment"))
        #expect(move.look(at: status(), instant(7)) == .underWay("demo.example: sr3 is to be filled"))
        guard case .givenUp = move.look(at: status(), instant(8)) else {
            Issue.record("a router that leads shows no sign of it for 3 s")
            return
        }
        #expect(move.look(at: status { $0.domains[0].owner = "sr3" }, instant(9)) == .done)
    }

    @Test func somebodyMustLeadAndTheCoordinatorMustAnswer() {
        let leaderless = status { $0.routers[0].state = .standby }
        #expect(ClusterReadiness.complaints(of: leaderless, topology) == ["no router leads"])
        let cut = status {
            $0.coordinator = .init(state: .unreachable, unreachableSince: 1_700_000_000_000, error: "refused")
        }
        #expect(ClusterReadiness.complaints(of: cut, topology).first?.contains("unreachable") == true)
    }

    @Test func ofManyDomainsOnlyAFewAreNamed() throws {
        let large = try Self.topology((0..<9).map { "{ name: d\($0).example }" }.joined(separator: ", "))
        let complaints = ClusterReadiness.complaints(of: status(), large)
        #expect(complaints.count == 4 && complaints.last == "6 more domains are not as they should be", "\(complaints)")
    }
}
