import ClusterRuntime
import RegistrarEvents
import Testing

/// Groups, pins and what standbys have to be apart by, as a topology has them.
struct TopologyPlacementTests {
    /// Domains on line 6, `sr` nodes from line 13 on.
    private static func text(_ domains: [String], _ nodes: [String], south: String = "") -> String {
        let lines = nodes.enumerated().map { index, node in
            "          - { role: sr, cluster: \(7101 + index), admin: \(8111 + index), \(node) }"
        }
        return """
            cluster: test
            secret: none
            coordinator: { kind: embedded, path: var/router.db }
            directory: { kind: file, path: accounts.yaml }
            domains:
              [ \(domains.map { "{ \($0) }" }.joined(separator: ", ")) ]
            sites:
              - name: north
                servers:
                  - name: host-a
                    address: 127.0.0.1
                    nodes:
            \(lines.joined(separator: "\n"))
                      - { name: r1, role: router, cluster: 7001, admin: 8080 }
            """ + (south.isEmpty ? "" : Self.southern(south))
    }

    private static func southern(_ node: String) -> String {
        "\n  - name: south\n    servers:\n      - name: host-a\n        address: 127.0.0.1\n        nodes:\n"
            + "          - { role: sr, cluster: 7901, admin: 8911, \(node) }"
    }

    private static let big = ["name: big.example, replicas: 1", "name: a.eu.big.example, replicas: 1"]

    @Test func theNearestBranchDecidesWhichGroupServesADomain() throws {
        let text = Self.text(
            Self.big + ["name: eu.big.example, replicas: 1", "name: notbig.example, replicas: 1"],
            [
                "name: sr1, group: one, include_domains: [big.example]", "name: sr2, group: one, order: 2",
                "name: sr3, group: two, include_domains: [eu.big.example]", "name: sr4",
            ])
        let layout = ClusterLayout(try Topology.parse(text, path: "t.yaml"))
        let groups = Dictionary(uniqueKeysWithValues: layout.domains.map { ($0.name.rawValue, $0.group) })
        #expect(
            groups == ["big.example": "one", "a.eu.big.example": "two", "eu.big.example": "two", "notbig.example": nil])
        #expect(layout.nodes(of: .sr).map(\.group) == ["one", "one", "two", nil])
        #expect(layout.nodes(of: .sr).map(\.order) == [1, 2, 1, 1])
    }

    @Test func aGroupWithoutBranchesServesWhatNoOtherNames() throws {
        let text = Self.text(
            Self.big, ["name: sr1, group: rest", "name: sr2, group: eu, include_domains: [eu.big.example]"])
        let layout = ClusterLayout(try Topology.parse(text, path: "t.yaml"))
        #expect(layout.domains.map(\.group) == ["eu", "rest"])
    }

    @Test func pinsAndSpreadAreRead() throws {
        let text = Self.text(
            [
                "name: a.example, pin: sr2", "name: b.example, pin: [sr3, sr1], spread: site",
                "name: c.example, spread: server",
            ], ["name: sr1", "name: sr2"], south: "name: sr3")
        let domains = ClusterLayout(try Topology.parse(text, path: "t.yaml")).domains
        #expect(domains.map { $0.pin.map(\.rawValue) } == [["sr2"], ["sr3", "sr1"], []])
        #expect(domains.map(\.needsOtherSite) == [false, true, false])
    }

    @Test func whatCannotBeServedAsWantedIsTold() {
        let cases: [(domains: [String], nodes: [String], told: [String])] = [
            (
                Self.big, ["name: sr1, include_domains: [big.example]"],
                [
                    "t.yaml:13: sites[1].servers[1].nodes[1].include_domains: branches without a group; expected "
                        + "group: NAME as well, which serves them"
                ]
            ),
            (
                Self.big, ["name: sr1, group: one, include_domains: [eu.big.example]"],
                [
                    "t.yaml:6: nobody serves big.example: every sr node is of a group, and none names it; expected it "
                        + "in include_domains of a group, a group without include_domains, or a node without group"
                ]
            ),
            (
                Self.big,
                [
                    "name: sr1, group: one, include_domains: [big.example]",
                    "name: sr2, group: two, include_domains: [big.example]",
                ],
                [
                    "t.yaml:14: branch big.example of group two is already that of group one, line 13; expected each "
                        + "branch in one group"
                ]
            ),
            (
                Self.big,
                [
                    "name: sr1, group: one, include_domains: [big.example]",
                    "name: sr2, group: one, include_domains: [eu.big.example]",
                ],
                [
                    "t.yaml:14: include_domains of group one at sr2 and at sr1, line 13, differ; expected the same at "
                        + "all nodes of the group, or at one of them alone"
                ]
            ),
            (
                Self.big, ["name: sr1, group: one", "name: sr2", "name: sr3, group: two"],
                [
                    "t.yaml:14: node sr2 without group and group one, line 13, would both serve what no group names; "
                        + "expected include_domains for every group but one, and none but those where nodes have no "
                        + "group",
                    "t.yaml:15: group two and group one, line 13, would both serve what no group names; expected "
                        + "include_domains for every group but one, and none but those where nodes have no group",
                ]
            ),
            (
                Self.big, ["name: sr1, group: one, include_domains: [big.example, bug.example]"],
                [
                    "t.yaml:13: no domain belongs to branch bug.example of sr1; expected a branch with a domain that "
                        + "no nearer branch has (did you mean big.example?)"
                ]
            ),
            (
                ["name: big.example, replicas: 2"],
                ["name: sr1, group: one, include_domains: [big.example]", "name: sr2"],
                ["t.yaml:6: big.example has replicas 2; expected at most 1, the number of sr nodes of group one"]
            ),
            (
                ["name: a.example, replicas: 1, pin: [sr3, r1, sr22]"],
                ["name: sr1", "name: sr2", "name: sr3, group: one, include_domains: [b.example]"],
                [
                    "t.yaml:6: a.example is pinned to sr3, but served by the nodes without group; expected one of the "
                        + "sr nodes that serve it: sr1, sr2 (did you mean sr1?)",
                    "t.yaml:6: a.example is pinned to r1, which is a router node; expected one of the sr nodes that "
                        + "serve it: sr1, sr2 (did you mean sr1?)",
                    "t.yaml:6: there is no node sr22, which a.example is pinned to; expected one of the sr nodes that "
                        + "serve it: sr1, sr2 (did you mean sr2?)",
                    "t.yaml:15: no domain belongs to branch b.example of sr3; expected a branch with a domain that no "
                        + "nearer branch has (did you mean a.example?)",
                ]
            ),
            (
                ["name: a.example, replicas: 1, spread: site"], ["name: sr1"],
                [
                    "t.yaml:6: a.example has spread site and replicas 1; expected at least 2 replicas, so that there "
                        + "is a standby to be elsewhere",
                    "t.yaml:6: a.example has spread site, and all that may serve it is at site north; expected sr "
                        + "nodes at two sites at least",
                ]
            ),
            (
                ["name: a.example, replicas: 1, pin: [sr1, sr1], spread: rack"], ["name: sr1"],
                [
                    "t.yaml:6: domains[1].pin: one node twice; expected each node once",
                    "t.yaml:6: domains[1].spread: found `rack`; expected one of server, site",
                ]
            ),
        ]
        for (domains, nodes, told) in cases {
            let found = TopologyFixture.problems(in: Self.text(domains, nodes))
            #expect(Set(found) == Set(told))
        }
    }

    @Test func onlySrNodesAreOfAGroup() {
        let problems = TopologyFixture.problems(
            in: TopologyFixture.replacing("role: router", "role: router, group: one, include_domains: [a.example]"))
        #expect(
            problems == [
                "t.yaml:13: sites[1].servers[1].nodes[1].group: not for role router; expected it at sr nodes alone",
                "t.yaml:13: sites[1].servers[1].nodes[1].include_domains: not for role router; expected it at sr nodes "
                    + "alone",
            ])
    }

    @Test func groupsAndPinsAreChangedWithoutARestart() throws {
        func topology(_ domain: String, _ node: String) throws -> Topology {
            try Topology.parse(Self.text([domain], [node, "name: sr2"]), path: "t.yaml")
        }
        let plain = try topology("name: a.example, replicas: 1", "name: sr1")
        let pinned = try topology("name: a.example, replicas: 1, pin: [sr2, sr1]", "name: sr1")
        let grouped = try topology(
            "name: a.example, replicas: 1", "name: sr1, group: one, include_domains: [a.example]")
        let first = TopologyDifference(from: plain, to: pinned)
        #expect(first.lines == ["~ domain a.example: pin none -> [sr2, sr1]"])
        let second = TopologyDifference(from: pinned, to: grouped)
        #expect(
            second.lines == [
                "~ domain a.example: pin [sr2, sr1] -> none",
                "~ node sr1: group none -> one, include_domains none -> [a.example]",
            ])
        #expect(second.restarts.isEmpty && second.refusals.isEmpty)
        #expect(first.movesDomains && second.movesDomains)
    }

    // MARK: Quorums

    @Test func aSiteMayAskForAQuorumAndArbitersCount() throws {
        let plain = TopologyFixture.text
        let text =
            TopologyFixture.replacing("- name: main", "- name: main\n    quorum: true")
            + "\n      - name: host-b\n        address: 127.0.0.1\n        nodes: [ { name: a1, role: arbiter, "
            + "cluster: 7901, admin: 7902 } ]"
        let topology = try Topology.parse(text, path: "t.yaml")
        #expect(
            ClusterLayout(topology).sites == [ClusterLayout.Site(name: "main", servers: ["host-a", "host-b"])])
        #expect(ClusterLayout(try Topology.parse(plain, path: "t.yaml")).sites == [])
        let difference = TopologyDifference(from: try Topology.parse(plain, path: "t.yaml"), to: topology)
        #expect(
            difference.lines == [
                "+ arbiter node a1 on host-b, 127.0.0.1", "~ quorum of site main false -> true",
            ])
        #expect(difference.restarts.isEmpty && !difference.movesDomains)
    }

    @Test func anArbiterThatCountsForNothingAndAServerThatNeverCountsAreTold() {
        let arbiter = TopologyFixture.problems(
            in: TopologyFixture.text + "\n          - { name: a1, role: arbiter, cluster: 7901, admin: 7902 }")
        #expect(
            arbiter == [
                "t.yaml:17: a1 is an arbiter at site main, which asks for no quorum; expected quorum: true at the "
                    + "site, or no arbiter"
            ])
        let empty = TopologyFixture.problems(
            in: TopologyFixture.replacing("- name: main", "- name: main\n    quorum: true")
                + "\n      - { name: host-b, address: 127.0.0.1, nodes: [] }")
        #expect(
            empty == [
                "t.yaml:8: server host-b of site main has no node, so it never counts for the quorum; expected an "
                    + "arbiter there, or no such server"
            ])
    }
}
