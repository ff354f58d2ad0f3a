import ClusterRuntime
import Testing

/// What every transport promises, held against the real one, sealed and unsealed, and the one in memory.
@Suite(.serialized)
struct TransportContractTests {
    @Test(arguments: Fabric.Kind.allCases)
    func messagesOfOneSenderArriveInOrder(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b")
        let (a, b) = (fabric.node("a", incarnation: 5), fabric.node("b"))
        try await Self.running(a, b) {
            var sent = 0
            for size in [1, 1, 2, 10, 100, 1_000, 1, 3_000, 0, 1] {
                a.transport.send((sent..<sent + size).map { numbered($0) }, to: "b")
                sent += size
            }
            #expect(await eventually { b.events.numbers.count == sent }, "\(b.events.count) of \(sent) arrived")
            #expect(b.events.numbers == (0..<UInt64(sent)).map { $0 })
            #expect(b.events.received.allSatisfy { $0.from == NodeID(name: "a", incarnation: 5) })
            #expect(a.events.count == 0)
        }
    }

    @Test(arguments: Fabric.Kind.allCases)
    func threeNodesTalkAllWaysAtOnce(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b", "c")
        let nodes = [fabric.node("a"), fabric.node("b"), fabric.node("c")]
        try await Self.running(nodes[0], nodes[1], nodes[2]) {
            for number in 0..<2_000 {
                for node in nodes {
                    for peer in nodes where peer.id != node.id {
                        node.transport.send(numbered(number), to: peer.id.name)
                    }
                }
            }
            for node in nodes {
                #expect(await eventually { node.events.count == 4_000 }, "\(node.id) has \(node.events.count)")
                for peer in nodes where peer.id != node.id {
                    let numbers = node.events.received.filter { $0.from == peer.id }.map(\.message)
                    #expect(numbers == (0..<2_000).map { numbered($0) })
                }
                #expect(node.events.overlaps == 0, "delivered by two threads at once")
            }
        }
    }

    @Test(arguments: Fabric.Kind.allCases)
    func aNodeReachesItself(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b")
        let (a, b) = (fabric.node("a", incarnation: 5), fabric.node("b"))
        try await Self.running(a, b) {
            for number in 0..<1_000 {
                a.transport.send(numbered(number), to: "a")
                b.transport.send(numbered(number), to: "a")
            }
            #expect(await eventually { a.events.count == 2_000 }, "\(a.events.count) of 2000 arrived")
            for sender in [a, b] {
                let numbers = a.events.received.filter { $0.from == sender.id }.map(\.message)
                #expect(numbers == (0..<1_000).map { numbered($0) })
            }
            #expect(a.events.overlaps == 0, "delivered by two threads at once")
        }
    }

    @Test(arguments: Fabric.Kind.allCases)
    func messagesToStrangersAreDropped(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await Self.running(a, b) {
            a.transport.send(numbered(1), to: "nobody")
            a.transport.send(numbered(2), to: "b")
            #expect(await eventually { b.events.numbers == [2] })
        }
    }

    @Test(arguments: Fabric.Kind.allCases)
    func theEndOfAWatchedPeerIsReportedOnce(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b", "c")
        let (a, b, c) = (fabric.node("a", watch: ["b"]), fabric.node("b"), fabric.node("c"))
        try await Self.running(a, b, c) {
            try await c.stop()
            try await b.stop()
            #expect(await eventually(within: .seconds(2)) { !a.events.refused.isEmpty })
            try await Task.sleep(for: .milliseconds(100))
            #expect(a.events.refused == ["b"])
        }
    }

    @Test(arguments: Fabric.Kind.allCases)
    func aRestartedPeerIsReachedAndKnownAnew(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b", incarnation: 1))
        try await Self.running(a, b) {
            for life in 2...4 as ClosedRange<UInt64> {
                try await b.stop()
                let next = fabric.node("b", incarnation: life)
                try await Self.running(next) {
                    #expect(
                        await eventually {
                            a.transport.send(numbered(life), to: "b")
                            next.transport.send(numbered(life), to: "a")
                            return next.events.numbers.last == life && a.events.received.last?.from == next.id
                        })
                }
            }
        }
    }

    @Test(arguments: Fabric.Kind.allCases)
    func nothingIsDeliveredAfterTheRun(kind: Fabric.Kind) async throws {
        let fabric = Fabric(kind, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await Self.running(a, b) {
            a.transport.send((0..<10_000).map { numbered($0) }, to: "b")
            try await b.stop()
            let count = b.events.count
            a.transport.send((0..<10_000).map { numbered($0) }, to: "b")
            b.transport.send(numbered(1), to: "a")
            try await Task.sleep(for: .milliseconds(50))
            #expect(b.events.count == count)
        }
    }

    /// Runs nodes until every one has heard every other, then the body.
    static func running(_ nodes: TestNode..., body: () async throws -> Void) async throws {
        for node in nodes { node.start() }
        let ready = await eventually {
            for node in nodes {
                for peer in nodes where peer.id != node.id && !node.events.heard.contains(peer.id) {
                    peer.transport.send(greeting, to: node.id.name)
                }
            }
            return nodes.allSatisfy { $0.events.heard.count >= nodes.count - 1 }
        }
        #expect(ready, "the nodes do not hear each other")
        do {
            try await body()
        } catch {
            for node in nodes { try await node.stop() }
            throw error
        }
        for node in nodes { try await node.stop() }
    }
}
