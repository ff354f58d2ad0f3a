import ClusterRuntime
import Testing

@testable import WebSocketGateway

/// What RFC 6455 demands of a server, on a real socket.
@Suite(.timeLimit(.minutes(1))) struct FrameTests {
    private static let ping = Array(#"["ping",{"qid":1}]"#.utf8)

    @Test func requestsWithoutALoginAreBounded() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            for _ in 0..<64 { #expect(try await client.ask(#"["ping",{"qid":1}]"#).result == "ok") }
            try await client.say(#"["ping",{"qid":1}]"#)
            #expect(try await client.closeCode() == 1008)
            // Whoever is logged in may ask on.
            let member = try await gateway.loggedIn()
            for _ in 0..<100 { #expect(try await member.ask(#"["ping",{"qid":1}]"#).result == "ok") }
        }
    }

    /// What is UTF-16 to the parser, and valid UTF-8 all the same.
    @Test func aRequestInUTF16IsNoJSON() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            let text = #"["ping",{"qid":1}]"#.utf8.flatMap { [$0, 0] as [UInt8] }
            try await client.send(bytes: RawClient.frame(1, text))
            #expect(try await client.closeCode() == 1007)
        }
    }

    @Test func brokenFramesCloseWithTheRightCode() async throws {
        try await Gateway.run { gateway in
            let cases: [(String, [UInt8], Int)] = [
                ("unmasked", RawClient.frame(1, Self.ping, masked: false), 1002),
                ("reserved bit", RawClient.frame(1, Self.ping, reserved: 4), 1002),
                ("reserved opcode", RawClient.frame(3, []), 1002),
                ("reserved control opcode", RawClient.frame(11, []), 1002),
                ("fragmented ping", RawClient.frame(9, [], fin: false), 1002),
                ("long ping", RawClient.frame(9, Array(repeating: 0, count: 126)), 1002),
                ("continuation of nothing", RawClient.frame(0, Self.ping), 1002),
                ("text inside text", RawClient.frame(1, [91], fin: false) + RawClient.frame(1, [93]), 1002),
                ("binary", RawClient.frame(2, Self.ping), 1003),
                ("not UTF-8", RawClient.frame(1, [0x5b, 0xff, 0x5d]), 1007),
                ("too big", RawClient.frame(1, Array(repeating: 32, count: 65_537)), 1009),
                (
                    "too big in fragments",
                    RawClient.frame(1, Array(repeating: 32, count: 40_000), fin: false)
                        + RawClient.frame(0, Array(repeating: 32, count: 40_000)), 1009
                ),
                ("close with half a code", RawClient.frame(8, [3]), 1002),
                ("close with a reserved code", RawClient.frame(8, [3, 237]), 1002),
                ("close with a reason that is not UTF-8", RawClient.frame(8, [3, 232, 0xff]), 1007),
                ("close", RawClient.frame(8, [3, 232]), 1000),
            ]
            for (name, bytes, code) in cases {
                let client = try await RawClient.open(port: gateway.port)
                try await client.send(bytes: bytes)
                #expect(try await client.closeCode() == code, "\(name)")
                client.close()
            }
            try await Gateway.eventually { gateway.server.statistics.open == 0 }
        }
    }

    @Test func messagesInFragmentsArePutTogetherAroundControlFrames() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            for (index, byte) in Self.ping.enumerated() {
                let isLast = index == Self.ping.count - 1
                try await client.send(bytes: RawClient.frame(index == 0 ? 1 : 0, [byte], fin: isLast))
                if index == 3 { try await client.send(bytes: RawClient.frame(9, [1, 2, 3])) }
            }
            let pong = try await client.next()
            #expect(pong?.opcode == 10)
            #expect(pong?.payload == [1, 2, 3])
            #expect(try await client.message().method == "ping_result")
        }
    }

    @Test func framesThatArriveByteByByteAreUnderstood() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            for byte in RawClient.frame(1, Self.ping) { try await client.send(bytes: [byte]) }
            #expect(try await client.message().method == "ping_result")
        }
    }

    @Test func largestMessageIsTaken() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            let padding = Array(repeating: UInt8(32), count: 65_536 - Self.ping.count)
            try await client.send(bytes: RawClient.frame(1, Self.ping + padding))
            #expect(try await client.message().result == "ok")
        }
    }

    @Test func malformedMessagesAreAnsweredAndEndTheConnection() async throws {
        try await Gateway.run { gateway in
            for (text, code) in [
                ("nonsense", 1007), ("[", 1007), (#"["ping",{"qid":1}"#, 1007), ("{}", 1008), ("[1,{}]", 1008),
                (#"["ping"]"#, 1008), (#"["ping",[]]"#, 1008),
                (String(repeating: "[", count: 30_000), 1008),
                (#"["ping",{"qid":"# + String(repeating: #"{"a":"#, count: 5_000), 1008),
            ] {
                let client = try await RawClient.open(port: gateway.port)
                let reply = try await client.ask(text)
                #expect(reply.method == "error" && reply.errorCode == 400)
                #expect(try await client.closeCode() == code, "\(text.prefix(20))")
                client.close()
            }
            let client = try await RawClient.open(port: gateway.port)
            #expect(try await client.ask(#"["ping",{}]"#).result == "ok")
        }
    }

    @Test func silentClientsArePingedAndThenGivenUp() async throws {
        try await Gateway.run({ $0.pingInterval = .seconds(1) }) { gateway in
            let client = try await RawClient.open(port: gateway.port)
            #expect(try await client.next()?.opcode == 9)
            while let frame = try await client.next() { #expect(frame.opcode == 9) }
            #expect(gateway.server.statistics.timeouts == 1)
        }
    }

    @Test func whoSendsPingsAndReadsNothingIsClosed() async throws {
        try await Gateway.run({ $0.limits.websocketBudgetBytes = 64 << 10 }) { gateway in
            let client = try await RawClient.open(port: gateway.port, receiveBuffer: 4_096)
            try await client.pauseReading(true)
            try await Gateway.eventually { gateway.server.statistics.open == 1 }
            let pings = Array(repeating: RawClient.frame(9, Array(repeating: 7, count: 125)), count: 1_000)
                .flatMap(\.self)
            for _ in 0..<1_000 where gateway.server.statistics.open == 1 {
                try? await client.send(bytes: pings)  // it may be closed already
            }
            try await Gateway.eventually { gateway.server.statistics.open == 0 }
            #expect(gateway.server.statistics.protocolErrors == 1)
            client.close()
        }
    }

    @Test func theSubprotocolIsChosenWhereItIsOffered() async throws {
        try await Gateway.run { gateway in
            for (offer, chosen) in [
                ("Sec-WebSocket-Protocol: other, rollcall.v1\r\n", true), ("Sec-WebSocket-Protocol: other\r\n", false),
                ("", false),
            ] {
                let client = try await RawClient.connect(port: gateway.port)
                try await client.send(text: RawClient.handshake("/ws", offer))
                let head = try await client.head()
                #expect(
                    head.hasPrefix("HTTP/1.1 101") && head.contains("Sec-WebSocket-Protocol: rollcall.v1") == chosen)
                client.close()
            }
        }
    }

    @Test func livenessAsksOncePerIntervalAndGivesUpAfterThree() {
        func at(_ second: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: second * 1_000_000_000) }
        var liveness = Liveness(interval: .seconds(30), now: at(100))
        var actions = (101...189).map { liveness.tick(at: at($0)) }
        #expect(actions.indices.filter { actions[$0] == .ping }.map { $0 + 101 } == [130, 160])
        liveness.heard(at: at(189))
        actions = (190...279).map { liveness.tick(at: at($0)) }
        #expect(actions.filter { $0 == .ping }.count == 2)
        #expect(actions.last == .giveUp)
    }
}
