import AccessTokens
import ClusterRuntime
import Synchronization
import Testing
import WebSocketFrames

@testable import WebSocketGateway

/// Many clients at once: how they are let in, and how they are parted from.
@Suite(.timeLimit(.minutes(1))) struct CrowdTests {
    private func at(_ seconds: Double) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: 1_000_000_000_000 + Int64(seconds * 1_000_000_000))
    }

    @Test func twiceTheRateIsTakenAtOnceAndTheRateAfterwards() {
        var gate = ArrivalGate(rate: 100, now: at(0))
        #expect((0..<200).allSatisfy { _ in gate.arrived(at: at(0)) == .admit })
        #expect(gate.arrived(at: at(0)) != .admit)
        var taken = 0
        for step in 1...10_000 where gate.arrived(at: at(Double(step) / 1_000)) == .admit { taken += 1 }
        #expect((990...1_010).contains(taken), "\(taken) in ten seconds")
    }

    @Test func whoIsRefusedIsToldOfAPlaceInTheQueue() {
        var gate = ArrivalGate(rate: 100, now: at(0))
        for _ in 0..<200 { _ = gate.arrived(at: at(0)) }
        let waits = (0..<1_000).map { _ in gate.arrived(at: at(0)) }
        // A hundred for each second from the first on.
        for second in 1...10 {
            #expect(waits.count { $0 == .refuse(retryAfter: second) } >= 99, "after \(second) s")
        }
        // Those who come back as they were told are all taken.
        var refused = 0
        for second in 1...10 {
            for client in 0..<99 where gate.arrived(at: at(Double(second) + Double(client) / 100)) != .admit {
                refused += 1
            }
        }
        #expect(refused == 0)
    }

    @Test func aCrowdWithoutEndIsNotPutOffForever() {
        var gate = ArrivalGate(rate: 1, now: at(0))
        for _ in 0..<10_000 { _ = gate.arrived(at: at(0)) }
        #expect(gate.arrived(at: at(0)) == .refuse(retryAfter: 60))
        #expect(gate.arrived(at: at(20_000)) == .admit)
        #expect(gate.arrived(at: at(20_000)) == .admit)
        #expect(gate.arrived(at: at(20_000)) == .refuse(retryAfter: 2))
    }

    @Test func connectionsAreClosedEvenlyOverTheTime() {
        func due(_ milliseconds: Int64, of total: Int = 100) -> Int {
            Drain.due(of: total, after: .milliseconds(milliseconds), over: .seconds(2))
        }
        #expect([0, 500, 1_000, 1_999].map { due($0) } == [1, 26, 51, 100])
        #expect(due(2_000) == 100)
        #expect(due(0, of: 0) == 0)
        #expect(due(0, of: 1) == 1)
        #expect(Drain.due(of: 100, after: .zero, over: .zero) == 100)
    }

    @Test func aCrowdBeyondTheRateIsToldWhenToComeBack() async throws {
        try await Gateway.run({ $0.limits.handshakesPerSecond = 1 }) { gateway in
            let first = try await RawClient.open(port: gateway.port)
            let second = try await RawClient.open(port: gateway.port)
            // The answer does not wait for a request.
            let third = try await RawClient.connect(port: gateway.port)
            let head = try await third.head()
            #expect(head.hasPrefix("HTTP/1.1 503") && head.contains("Retry-After: 2\r\n"), "\(head)")
            #expect(gateway.server.statistics.turnedAway == 1)
            for client in [first, second, third] { client.close() }
        }
    }

    @Test func oneClientsRequestsLeaveTimeForOthers() async throws {
        try await Gateway.run({ $0.threads = 1 }) { gateway in
            let values = Array(repeating: "1", count: 2_000).joined(separator: ",")
            let ping = Array(#"["ping",{"qid":1,"x":[\#(values)]}]"#.utf8)
            let payload = ping.withUnsafeBytes { FrameDeflater(windowBits: 12).compress([$0]).map(Array.init) }
            let compressed = RawClient.frame(1, try #require(payload), reserved: 4)
            let total = 100
            let other = try await gateway.service()
            let busy = try await RawClient.connect(port: gateway.port)
            let token = try await gateway.tokens.mint(domain: demo)
            try await busy.send(
                text: RawClient.handshake(
                    "/ws/token/v1/\(token)", "Sec-WebSocket-Extensions: permessage-deflate\r\n"))
            #expect(try await busy.head().contains("permessage-deflate"))
            // The server's reads grow with what comes, so that nearly all requests are in one.
            let pongs = (0..<2_000).flatMap { _ in RawClient.frame(10, Array(repeating: 0, count: 125)) }
            try await busy.send(bytes: pongs + (0..<total).flatMap { _ in compressed })
            try await Gateway.eventually { gateway.server.statistics.messagesReceived > 0 }
            #expect(try await other.ask(#"["ping",{"qid":1}]"#).result == "ok")
            let answered = gateway.server.statistics.repliesSent
            #expect(answered < total / 2, "\(answered) of \(total) requests of one client came first")
            for _ in 0..<total { #expect(try await busy.message().result == "ok") }
            #expect(try await busy.ask(#"["ping",{"qid":1}]"#).result == "ok")
        }
    }

    @Test func aNodeThatGoesDownClosesOneAfterTheOther() async throws {
        let watching = Mutex<Task<[(code: Int?, after: Duration)], any Error>?>(nil)
        try await Gateway.run({ $0.periods.drain = .seconds(2) }) { gateway in
            var clients: [RawClient] = []
            for _ in 0..<20 { clients.append(try await RawClient.open(port: gateway.port)) }
            let begin = ContinuousClock.now
            let all = clients
            let task = Task {
                try await withThrowingTaskGroup(of: (code: Int?, after: Duration).self) { group in
                    for client in all {
                        group.addTask { (try await client.closeCode(), ContinuousClock.now - begin) }
                    }
                    return try await group.reduce(into: [(code: Int?, after: Duration)]()) { $0.append($1) }
                }
            }
            watching.withLock { $0 = task }
        }
        let ends = try await #require(watching.withLock { $0 }).value
        #expect(ends.allSatisfy { $0.code == 1012 })
        let last = try #require(ends.map(\.after).max())
        #expect(last >= .milliseconds(1_500), "\(last)")
    }

    @Test func aNodeThatGoesDownTakesNobody() async throws {
        let watching = Mutex<Task<Void, any Error>?>(nil)
        // It goes on for as long as somebody is connected: nobody has to be quick here.
        try await Gateway.run({ $0.periods.drain = .seconds(3_600) }) { gateway in
            var staying: [RawClient] = []
            for _ in 0..<4 { staying.append(try await RawClient.open(port: gateway.port)) }
            let half = try await RawClient.connect(port: gateway.port)
            // The kernel connects whom the node has yet to accept.
            try await Gateway.eventually { gateway.server.statistics.accepted == 5 }
            let connected = staying
            let task = Task {
                defer { for client in connected { client.close() } }
                try await Gateway.eventually { !gateway.server.isAccepting }
                try await half.send(text: RawClient.handshake("/ws"))
                let head = try await half.head()
                #expect(head.hasPrefix("HTTP/1.1 503") && head.contains("Retry-After: "), "\(head)")
                let late = try await RawClient.connect(port: gateway.port)
                #expect(try await late.head().hasPrefix("HTTP/1.1 503"))
            }
            watching.withLock { $0 = task }
        }
        try await #require(watching.withLock { $0 }).value
    }
}
