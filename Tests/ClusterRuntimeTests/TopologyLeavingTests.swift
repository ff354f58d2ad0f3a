import ClusterRuntime
import RegistrarEvents
import Testing

/// Topologies between an old one and a new one that lacks a whole group.
struct TopologyLeavingTests {
    private static let head = """
        cluster: test
        secret: { file: var/secret }
        coordinator: { kind: embedded, path: var/router.db }
        directory: { kind: file, path: accounts.yaml }

        """

    /// - Parameters:
    ///   - nodes: lines of `sr` nodes, at host-b.
    ///   - more: further sites.
    private func topology(domains: String, nodes: String, more: String = "") throws -> Topology {
        try Topology.parse(
            Self.head + "domains: [\(domains)]\n" + """
                # Who is where.
                sites:
                  - name: main
                    servers:
                      - name: host-a
                        address: "127.0.0.1"
                        nodes:
                          - { name: router1, role: router, cluster: 7001, admin: 8001 }
                          - { name: sr1, role: sr, cluster: 7002, admin: 8002 }
                          - { name: sr2, role: sr, cluster: 7003, admin: 8003 }
                      - name: host-b
                        address: 127.0.0.1
                        nodes: [\(nodes)]

                """ + more, path: "/etc/test.yaml")
    }

    private let demo = "{ name: demo.example, replicas: 2, limits: { contacts: 1_000 } }"
    private let big = "{ name: big.example, replicas: 1 }"
    private let group = """
        { name: big1, role: sr, group: big, weight: 7, include_domains: [big.example], cluster: 7011, admin: 8011 }, \
        { name: big2, role: sr, group: big, cluster: 7012, admin: 8012 }
        """

    @Test func aGroupThatGoesWholeIsToldApart() throws {
        let old = try topology(domains: "\(demo), \(big)", nodes: group)
        let whole = TopologyDifference(from: old, to: try topology(domains: "\(demo), \(big)", nodes: ""))
        #expect(whole.leavingTogether.map(\.name.rawValue) == ["big1", "big2"])
        #expect(whole.lines.contains("- sr node big1: others serve first what it does, as do all like it"))
        let half = TopologyDifference(
            from: old,
            to: try topology(
                domains: "\(demo), \(big)",
                nodes: "{ name: big1, role: sr, group: big, include_domains: [big.example], "
                    + "cluster: 7011, admin: 8011 }"))
        #expect(half.leavingTogether.isEmpty)
        #expect(half.lines.contains("- sr node big2: it is drained first"))
    }

    @Test func itsNodesStayInTheLastPlaceAmongThoseWhoStay() throws {
        let old = try topology(domains: "\(demo), \(big)", nodes: group)
        let new = try topology(domains: "\(demo), \(big)", nodes: "")
        let between = try new.keeping(old.nodes.filter { $0.group == "big" })
        #expect(between.nodes.map(\.name.rawValue) == ["router1", "sr1", "sr2", "big1", "big2"])
        let kept = try #require(between.node(named: NodeName("big1")))
        #expect(kept.group == nil && kept.includeDomains == [])
        #expect((kept.order, kept.weight, kept.clusterPort, kept.adminPort) == (1_000, 7, 7011, 8011))
        #expect((kept.site, kept.server, kept.address) == ("main", "host-b", "127.0.0.1"))
        #expect(between.domains == new.domains)
        #expect(TopologyDifference(from: old, to: between).refusals == [])
        #expect(TopologyDifference(from: old, to: between).restarts == [])
        let after = TopologyDifference(from: between, to: new)
        #expect(after.leavingTogether.isEmpty && after.nodesRemoved.map(\.name.rawValue) == ["big1", "big2"])
    }

    @Test func theirServersAndSitesComeBackWithThem() throws {
        let away = """
              - name: south
                servers:
                  - name: host-z
                    address: 127.0.0.1
                    nodes:
                      - { name: big3, role: sr, group: big, include_domains: [big.example], cluster: 7013, admin: 8013 }

            """
        let old = try topology(domains: "\(demo), \(big)", nodes: "", more: away)
        let new = try topology(domains: demo, nodes: "")
        #expect(TopologyDifference(from: old, to: new).leavingTogether.map(\.name.rawValue) == ["big3"])
        let between = try new.keeping(old.nodes.filter { $0.group == "big" })
        #expect(between.sites.map(\.name) == ["main", "south"])
        #expect(between.node(named: NodeName("big3"))?.server == "host-z")
        #expect(between.domains.map(\.name.rawValue) == ["demo.example"])
    }

    @Test func aPortThatIsTakenByNowIsAProblem() throws {
        let old = try topology(domains: "\(demo), \(big)", nodes: group)
        let new = try topology(
            domains: "\(demo), \(big)", nodes: "{ name: sr3, role: sr, cluster: 7011, admin: 8020 }")
        #expect(throws: TopologyError.self) { try new.keeping(old.nodes.filter { $0.group == "big" }) }
    }
}
