import ClusterRuntime
import Testing

@testable import NanomsgTransport

/// Nodes that join and leave while a transport runs.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct PeersTests {
    private func transport(_ node: TestNode) throws -> NanomsgTransport {
        try #require(node.transport as? NanomsgTransport)
    }

    @Test func aPeerThatJoinsIsReachedAndOneThatLeavesIsNotHeardAnyMore() async throws {
        let fabric = Fabric(.sealed, "a", "b", "c")
        let addresses = Dictionary(
            uniqueKeysWithValues: (["a", "b", "c"] as [NodeName]).map { ($0, fabric.address(of: $0)) })
        var configuration = fabric.configuration(NodeID(name: "a", incarnation: 1), watch: ["b"])
        configuration.peers["c"] = nil
        configuration.patience = .seconds(30)
        let a = TestNode(configuration.node, NanomsgTransport(configuration, logger: quiet))
        let (b, c) = (fabric.node("b"), fabric.node("c"))
        try await TransportContractTests.running(a, b) {
            c.start()
            a.transport.send(numbered(1), to: "c")
            #expect(await eventually { a.statistics.dropped(.unknownPeer) > 0 })

            try transport(a).setPeers(addresses, watch: ["b", "c"])
            #expect(
                await eventually {
                    a.transport.send(greeting, to: "c")
                    c.transport.send(greeting, to: "a")
                    return a.events.heard.contains(c.id) && c.events.heard.contains(a.id)
                })
            a.transport.send(numbered(2), to: "c")
            a.transport.send(numbered(3), to: "b")
            #expect(await eventually { c.events.numbers == [2] && b.events.numbers == [3] })

            try transport(a).setPeers(addresses.filter { $0.key != "b" }, watch: ["c"])
            a.transport.send(numbered(4), to: "b")
            a.transport.send(numbered(5), to: "c")
            #expect(await eventually { c.events.numbers == [2, 5] })
            #expect(b.events.numbers == [3])
            b.transport.send(numbered(6), to: "a")
            #expect(await eventually { a.statistics.dropped(.unknownSender) > 0 })
            #expect(a.events.numbers == [])

            // The end of one that joined is noticed, as that of any other.
            try await c.stop()
            #expect(await eventually { a.events.refused == ["c"] })

            try transport(a).setPeers(addresses, watch: ["b", "c"])
            a.transport.send(numbered(7), to: "b")
            #expect(await eventually { b.events.numbers == [3, 7] }, "the first message after it came back is lost")
            b.transport.send(numbered(8), to: "a")
            #expect(await eventually { a.events.numbers == [8] })
        }
        try await c.stop()
    }
}
