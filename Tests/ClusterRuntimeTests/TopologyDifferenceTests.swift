import ClusterRuntime
import RegistrarEvents
import Testing

/// What a changed topology changes, and what of that a running cluster can take up.
struct TopologyDifferenceTests {
    private static func text(
        cluster: String = "c", periods: String = "", domains: String = "{ name: a.example }", sr2: String = "7102",
        more: String = "", admin: Int = 8112, websocket: Int = 8090, coordinator: String = "db"
    ) -> String {
        """
        cluster: \(cluster)
        secret: none
        coordinator: { kind: embedded, path: \(coordinator) }
        directory: { kind: file, path: accounts.yaml }
        \(periods)
        domains: [ \(domains) ]
        sites:
          - name: main
            servers:
              - name: host
                address: 127.0.0.1
                nodes:
                  - { name: router1, role: router, cluster: 7001, admin: 8080 }
                  - { name: sr1, role: sr, cluster: 7101, admin: 8111 }
                  - { name: sr2, role: sr, cluster: \(sr2), admin: \(admin) }
                  - { name: ws1, role: wssubscr, cluster: 7201, admin: 8121, websocket: { listen: \(websocket) } }
        \(more)
        """
    }

    private func difference(_ old: String, _ new: String) throws -> TopologyDifference {
        TopologyDifference(
            from: try Topology.parse(old, path: "old.yaml"), to: try Topology.parse(new, path: "new.yaml"))
    }

    @Test func theSameIsNoDifferenceWhateverItIsWrittenLike() throws {
        let found = try difference(Self.text(), "# A remark.\n" + Self.text())
        #expect(found.isEmpty)
        #expect(found.lines.isEmpty)
    }

    @Test func domainsAreAddedRemovedAndChangedWithoutARestart() throws {
        let found = try difference(
            Self.text(domains: "{ name: a.example }, { name: b.example }"),
            Self.text(
                domains: "{ name: a.example, replicas: 1, limits: { devices: 3 }, expires: { max: 600 } }, "
                    + "{ name: c.example }"))
        #expect(found.domainsAdded.map(\.name.rawValue) == ["c.example"])
        #expect(found.domainsRemoved.map(\.rawValue) == ["b.example"])
        #expect(
            found.lines == [
                "+ domain c.example, replicas 2", "- domain b.example: its registrations end",
                "~ domain a.example: replicas 2 -> 1, limits.devices 10 -> 3, expires.max 1h -> 10m",
            ])
        #expect(found.restarts.isEmpty && found.refusals.isEmpty)
    }

    @Test func nodesComeAndGoAndListenersTakeARestartOfTheirNode() throws {
        let third = "          - { name: sr3, role: sr, cluster: 7103, admin: 8113 }"
        let found = try difference(Self.text(), Self.text(more: third, websocket: 9090))
        #expect(found.nodesAdded.map(\.name.rawValue) == ["sr3"])
        #expect(found.nodesChanged.map(\.name.rawValue) == ["ws1"])
        #expect(found.restarts == [NodeName("ws1")])
        #expect(try difference(Self.text(more: third), Self.text()).nodesRemoved.map(\.name.rawValue) == ["sr3"])
        #expect(found.lines.last == "needs a restart of ws1")
    }

    @Test func periodsWaitForARestartOfEveryNode() throws {
        let found = try difference(Self.text(), Self.text(periods: "periods: { websocket_ttl: 60s }"))
        #expect(found.settings.map(\.description) == ["periods.websocket_ttl 2m -> 1m"])
        #expect(found.restarts.count == 4 && found.refusals.isEmpty)
    }

    @Test func defaultsOfDomainsAreLive() throws {
        let found = try difference(Self.text(), Self.text(periods: "limits: { devices: 5 }"))
        #expect(found.restarts.isEmpty)
        #expect(found.domainsChanged.count == 1)
    }

    @Test(arguments: [
        (Self.text(cluster: "other"), "cluster is other"), (Self.text(coordinator: "elsewhere"), "coordinator changed"),
        (Self.text(sr2: "7999"), "node sr2: cluster 7102 -> 7999"),
        // Until its restart nobody would find it, not even whoever is to restart it.
        (Self.text(admin: 9112), "node sr2: admin 8112 -> 9112"),
        (Self.text(periods: "journal: { path: elsewhere }"), "journal.path changed"),
    ])
    func whatNodesKnowOneAnotherByIsRefused(new: String, reason: String) throws {
        let found = try difference(Self.text(), new)
        #expect(found.refusals.count == 1)
        #expect(found.refusals.first?.hasPrefix(reason) == true, "\(found.refusals)")
    }

    @Test func leasesAndSilencesThatDoNotFitInAMixtureAreRefused() throws {
        let quick =
            "periods: { heartbeat: 50ms, suspect: 150ms, down: 300ms, owner_lease: 200ms, replication_timeout: 100ms }"
        #expect(
            try difference(Self.text(), Self.text(periods: quick)).refusals.first?.contains("owner_lease 800ms") == true
        )
        #expect(try difference(Self.text(periods: quick), Self.text()).refusals.isEmpty == false)
        #expect(try difference(Self.text(), Self.text(periods: "periods: { down: 2s }")).refusals.isEmpty)
        // Leases that fit, and hearts that would be silent to those that have been started again.
        let slow = "periods: { heartbeat: 400ms, suspect: 900ms, down: 2s, leadership: 2s }"
        let told = try difference(Self.text(), Self.text(periods: slow)).refusals
        let why = "heartbeat 400ms and suspect 600ms would be in force together"
        #expect(told.first?.hasPrefix(why) == true, "\(told)")
        #expect(try difference(Self.text(periods: slow), Self.text()).refusals == told)
    }
}
