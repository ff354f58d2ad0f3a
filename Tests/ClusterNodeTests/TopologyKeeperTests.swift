import ClusterRuntime
import Logging
import Testing

@testable import ClusterNode

@Suite(.timeLimit(.minutes(1))) struct TopologyKeeperTests {
    private static func text(_ nodes: String...) -> String {
        """
        cluster: c
        secret: none
        coordinator: { kind: embedded, path: db }
        directory: { kind: file, path: accounts.yaml }
        domains: [ { name: a.example, replicas: 1 } ]
        sites:
          - name: main
            servers:
              - name: host
                address: 127.0.0.1
                nodes:
                  - { name: router1, role: router, cluster: 7001, admin: 8080 }
                  - { name: sr1, role: sr, cluster: 7101, admin: 8111 }
        \(nodes.joined(separator: "\n"))
        """
    }

    private static let frontier =
        "          - { name: ws1, role: wssubscr, cluster: 7201, admin: 8121, websocket: { listen: 8090 } }"

    /// Nobody hears it any more, so that it must not look healthy to a load balancer.
    @Test func aNodeThatTheTopologyHasNoMoreIsNotHealthyUntilItIsBack() async throws {
        let started = try Topology.parse(Self.text(Self.frontier), path: "t.yaml")
        var log = Logger(label: "test")
        log.logLevel = .critical
        let keeper = TopologyKeeper(started, node: NodeName("ws1"), log: log)
        let (news, teller) = AsyncStream<UInt64>.makeStream()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keeper.run { teller.yield($0.active.version) } }
            var taken = news.makeAsyncIterator()
            for (version, text) in [(1, Self.text()), (2, Self.text(Self.frontier))] {
                keeper.receive(ActiveTopology(version: UInt64(version), text: text, since: 0))
                #expect(await taken.next() == UInt64(version))
                let expected = version == 1 ? "version 1 of the topology has no node ws1; it is to be stopped" : nil
                #expect(keeper.complaint == expected)
            }
            group.cancelAll()
        }
    }
}
