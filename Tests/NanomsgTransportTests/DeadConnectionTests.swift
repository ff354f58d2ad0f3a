import ClusterRuntime
import NanomsgTransport
import Testing

/// Connections that lead nowhere although nobody has ended them.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct DeadConnectionTests {
    private let fabric = Fabric(.sealed, "a", "b")

    /// A node whose way to its peer leads over a proxy.
    private func node(_ name: NodeName, to peer: NodeName, over proxy: DeadEndProxy) -> TestNode {
        var configuration = fabric.configuration(NodeID(name: name, incarnation: 1))
        configuration.peers[peer] = "tcp://127.0.0.1:\(proxy.port)"
        return TestNode(configuration.node, NanomsgTransport(configuration, logger: quiet))
    }

    /// Its machine lost its power: no end of the connection was ever seen.
    @Test func aPeerThatRestartedIsReachedAlthoughItsLastLifeEndedTheConnectionWithNobodyTold() async throws {
        let proxy = DeadEndProxy(to: fabric.port(of: "b"))
        defer { proxy.close() }
        let (a, b) = (node("a", to: "b", over: proxy), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            proxy.cut()
            try await b.stop()
            let next = fabric.node("b", incarnation: 2)
            next.start()
            #expect(
                await eventually(within: .seconds(30)) {
                    a.transport.send(numbered(2), to: "b")
                    return next.events.numbers.last == 2
                })
            try await next.stop()
        }
    }

    @Test func bothSidesOfAMendedCutConnectAnew() async throws {
        let proxies = [DeadEndProxy(to: fabric.port(of: "b")), DeadEndProxy(to: fabric.port(of: "a"))]
        defer { for proxy in proxies { proxy.close() } }
        let (a, b) = (node("a", to: "b", over: proxies[0]), node("b", to: "a", over: proxies[1]))
        try await TransportContractTests.running(a, b) {
            for proxy in proxies { proxy.cut() }
            #expect(
                await eventually(within: .seconds(60)) {
                    a.transport.send(numbered(1), to: "b")
                    b.transport.send(numbered(2), to: "a")
                    return b.events.numbers.last == 1 && a.events.numbers.last == 2
                })
        }
    }

    /// Who sends into it hears the peer all the time; the peer has to say that it hears nothing.
    @Test func aDeadEndOfOneDirectionIsNoticedByWhoHearsNothing() async throws {
        let proxy = DeadEndProxy(to: fabric.port(of: "b"))
        defer { proxy.close() }
        let (a, b) = (node("a", to: "b", over: proxy), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            proxy.cut()
            #expect(
                await eventually(within: .seconds(60)) {
                    a.transport.send(numbered(1), to: "b")
                    b.transport.send(greeting, to: "a")
                    return b.events.numbers.last == 1
                })
        }
    }

    /// A node that is only listened to, as a standby router is by all others, is left in peace.
    @Test func aPeerThatHasNothingToSayKeepsItsConnection() async throws {
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            let before = a.statistics.hellosIn
            var sent = 0
            #expect(
                await eventually(within: .seconds(60)) {
                    a.transport.send(numbered(sent), to: "b")
                    sent += 1
                    return a.statistics.hellosIn >= before + 2
                }, "it was asked twice, and has answered")
            #expect(await eventually { b.events.count == sent }, "nothing is lost with a connection made anew")
        }
    }

    /// A socket that is busy with a frame must be looked at again although other peers keep the sender busy.
    @Test func aPeerThatWasBusyIsSentToWhileAnotherTakesAllTheTime() async throws {
        let fabric = Fabric(.sealed, "a", "b", "c")
        let (a, b, c) = (fabric.node("a"), fabric.node("b"), fabric.node("c"))
        try await TransportContractTests.running(a, b, c) {
            let flood = Task.detached {
                while !Task.isCancelled { a.transport.send([numbered(1)], to: "c") }
            }
            let frames = 200
            for number in 0..<frames { a.transport.send([large(200_000), numbered(number)], to: "b") }
            #expect(
                await eventually(within: .seconds(60)) {
                    b.events.numbers.last == UInt64(frames - 1) || a.statistics.dropped(.unreachable) > 0
                })
            flood.cancel()
            await flood.value
            #expect(a.statistics.dropped(.unreachable) == 0)
            #expect(b.events.numbers == (0..<UInt64(frames)).map { $0 })
        }
    }
}
