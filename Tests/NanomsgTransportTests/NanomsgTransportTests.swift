import CNanomsg
import ClusterRuntime
import NanomsgTransport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What only the real transport does.
@Suite(.serialized)
struct NanomsgTransportTests {
    @Test func aBusyAddressIsSaid() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        let first = fabric.node("a")
        let second = fabric.node("a", incarnation: 2)
        first.start()
        #expect(await eventually { first.statistics.framesIn == 0 && isListening(fabric.port(of: "a")) })
        second.start()
        let failure = await second.failure()
        #expect("\(failure!)".hasPrefix("address \(fabric.address(of: "a")) is in use"))
        try await first.stop()
        let third = fabric.node("a", incarnation: 3)
        third.start()
        #expect(await eventually { isListening(fabric.port(of: "a")) })
        try await third.stop()
    }

    @Test(arguments: ["localhost", "[::1]"])
    func hostsMayBeNamesAndAddressesOfIPv6(host: String) async throws {
        let fabric = Fabric(.sealed, "a", "b", host: host)
        let (a, b) = (fabric.node("a", watch: ["b"]), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            a.transport.send(numbered(1), to: "b")
            #expect(await eventually { b.events.numbers == [1] })
            #expect(a.events.refused == [])
            try await b.stop()
            #expect(await eventually { a.events.refused == ["b"] })
        }
    }

    @Test func anUnknownNameIsSaid() async throws {
        let node = Fabric(.sealed, "a", "b", host: "nobody.invalid").node("a")
        node.start()
        let failure = await node.failure()
        #expect("\(failure!)".contains("nobody.invalid") && "\(failure!)".contains("stands for no IPv4 address"))
    }

    @Test func sessionsComeUpWithinAMomentOfBothBeingUp() async throws {
        var slowest = Duration.zero
        for delay in [0, 30, 300] {
            let fabric = Fabric(.sealed, "a", "b")
            let (a, b) = (fabric.node("a"), fabric.node("b"))
            a.start()
            try await Task.sleep(for: .milliseconds(delay))
            a.transport.send(numbered(1), to: "b")
            b.transport.send(numbered(2), to: "a")
            b.start()
            let start = ContinuousClock.now
            #expect(await eventually { a.events.numbers == [2] && b.events.numbers == [1] })
            slowest = max(slowest, ContinuousClock.now - start)
            try await a.stop()
            try await b.stop()
        }
        #expect(slowest < .milliseconds(500), "50 ms on an idle machine")
    }

    @Test func messagesUpToTheLimitTravelAndLargerOnesAreCounted() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            let messages = [large(100_000), large(9 << 20), numbered(1), large((8 << 20) - 1_000), numbered(2)]
            a.transport.send(messages, to: "b")
            #expect(await eventually { b.events.count == 4 })
            #expect(b.events.received.map(\.message) == [messages[0], messages[2], messages[3], messages[4]])
            #expect(a.statistics.dropped(.messageTooLarge) == 1)
        }
    }

    @Test func anUnreachablePeerCostsNothingForLong() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        var configuration = fabric.configuration(NodeID(name: "a", incarnation: 1))
        configuration.patience = .milliseconds(50)
        let a = TestNode(configuration.node, NanomsgTransport(configuration, logger: quiet))
        a.start()
        a.transport.send([numbered(1), numbered(2)], to: "b")
        #expect(await eventually { a.statistics.dropped(.unreachable) == 2 })
        let b = fabric.node("b")
        try await TransportContractTests.running(b) {
            #expect(
                await eventually {
                    a.transport.send(numbered(3), to: "b")
                    return b.events.numbers.first == 3
                })
        }
        try await a.stop()
        a.transport.send(numbered(4), to: "b")
        #expect(a.statistics.dropped(.stopped) == 1)
    }

    @Test func theOutboxIsBounded() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        var configuration = fabric.configuration(NodeID(name: "a", incarnation: 1))
        configuration.maximumFrame = 1 << 20
        configuration.outboxBytes = 2 << 20
        configuration.outboxMessages = 100
        configuration.patience = .seconds(60)
        let a = TestNode(configuration.node, NanomsgTransport(configuration, logger: quiet))
        // Before the run nothing is encoded: the count holds.
        a.transport.send((0..<150).map { numbered($0) }, to: "b")
        a.start()
        #expect(await eventually { a.statistics.dropped(.outboxFull) == 50 })
        for _ in 0..<10 {
            a.transport.send(large(500_000), to: "b")
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(await eventually { a.statistics.dropped(.outboxFull) >= 55 })
        let b = fabric.node("b")
        try await TransportContractTests.running(b) {
            #expect(await eventually { b.events.count >= 104 })
            #expect(b.events.numbers == (0..<100).map { $0 })
        }
        try await a.stop()
    }

    @Test func anotherClusterIsNotHeard() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        var foreign = fabric.configuration(NodeID(name: "a", incarnation: 1))
        foreign.secret = [UInt8](repeating: 9, count: 32)
        let a = TestNode(foreign.node, NanomsgTransport(foreign, logger: quiet))
        let b = fabric.node("b")
        a.start()
        b.start()
        a.transport.send(numbered(1), to: "b")
        #expect(await eventually { b.statistics.dropped(.forged) >= 2 && a.statistics.dropped(.forged) >= 1 })
        #expect(b.events.count == 0 && a.events.count == 0)
        try await a.stop()
        try await b.stop()
    }

    @Test func garbageInFramesIsCountedAndSurvived() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            let socket = nn_socket(AF_SP, ROLLCALL_NN_PUSH)
            defer { nn_close(socket) }
            #expect(nn_connect(socket, fabric.address(of: "b")) >= 0)
            var generator = SystemRandomNumberGenerator()
            for round in 0..<500 {
                var frame = (0..<round).map { _ in UInt8.random(in: 0...255, using: &generator) }
                if round % 2 == 0 { frame = Array("RC".utf8) + [1, UInt8(round % 3), 1, 1, UInt8(ascii: "a")] + frame }
                #expect(frame.withUnsafeBytes { nn_send(socket, $0.baseAddress, $0.count, 0) } >= 0)
            }
            let big = [UInt8](repeating: 0, count: (8 << 20) + 1)
            #expect(big.withUnsafeBytes { nn_send(socket, $0.baseAddress, $0.count, 0) } >= 0)
            #expect(await eventually { b.statistics.dropped(.oversized) == 1 })
            #expect(b.statistics.dropped(.malformed) >= 250)
            #expect(b.statistics.dropped(.unknownKey) + b.statistics.dropped(.forged) > 100)
            a.transport.send(numbered(7), to: "b")
            #expect(await eventually { b.events.numbers == [7] })
        }
    }

    @Test func garbageOnThePortIsSurvived() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            // Bytes that are no nanomsg at all, and a good greeting before a length beyond all bounds.
            let handshake: [UInt8] = [0, 0x53, 0x50, 0, 0, 0x50, 0, 0]
            for bytes in [
                Array("GET / HTTP/1.0\r\n\r\n".utf8), [UInt8](repeating: 0xff, count: 4_096), [0],
                handshake + [UInt8](repeating: 0xff, count: 64), handshake + [0, 0, 0, 0, 0, 0, 0, 4, 1],
            ] { sendRaw(bytes, port: fabric.port(of: "b")) }
            a.transport.send(numbered(8), to: "b")
            #expect(await eventually { b.events.numbers == [8] })
        }
    }

    @Test func figuresAddUp() async throws {
        let fabric = Fabric(.sealed, "a", "b")
        let (a, b) = (fabric.node("a"), fabric.node("b"))
        try await TransportContractTests.running(a, b) {
            let before = (a.statistics.messagesOut, b.statistics.messagesIn)
            a.transport.send((0..<1_000).map { numbered($0) }, to: "b")
            #expect(await eventually { b.events.count == 1_000 })
            #expect(await eventually { a.statistics.messagesOut - before.0 >= 1_000 })
            #expect(b.statistics.messagesIn - before.1 >= 1_000)
            #expect(a.statistics.bytesOut >= b.statistics.bytesIn && b.statistics.bytesIn > 1_000)
            a.transport.send([numbered(1), numbered(2)], to: "nobody")
            #expect(a.statistics.dropped(.unknownPeer) == 2)
        }
    }

    private func isListening(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return connectTo(port, descriptor)
    }

    private func sendRaw(_ bytes: [UInt8], port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        #expect(connectTo(port, descriptor))
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        usleep(5_000)
    }

    private func connectTo(_ port: UInt16, _ descriptor: Int32) -> Bool {
        var address = loopback(port: port)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
