import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import WebSocketGateway

/// The ways that pushed events take to sockets: past the socket, through it, and caught up.
@Suite(.timeLimit(.minutes(1))) struct FanOutTests {
    private static func registered(_ account: String) -> LogEntry.Change {
        let details = UserDetails(sessionID: "s", app: "test", caps: [])
        let contact = PackedContact(Registration(account: account, contact: "c", user: details))
        return .registered(contact ?? { preconditionFailure("too long") }(), ttl: 60_000, replay: false)
    }

    @Test func eventsAndRepliesKeepTheirOrder() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
            for seq in 2...200 {
                gateway.registrar.append([Self.registered("a\(seq)")])
                #expect(try await client.message().seq == seq)
                // A reply, and for every third event a second subscription that comes and goes.
                #expect(try await client.ask(#"["ping",{}]"#).method == "ping_result")
                guard seq % 3 == 0 else { continue }
                _ = try await client.ask(#"["subscribe",{"id":2,"events":["*"]}]"#)
                _ = try await client.ask(#"["subscribe",{"id":2,"expires":0}]"#)
            }
            #expect(gateway.server.statistics.eventsSent == 199)
        }
    }

    @Test func overTheLanesLimitEverybodyIsCaughtUp() async throws {
        try await Gateway.run({ $0.laneQueueBytes = 1_000 }) { gateway in
            var clients: [RawClient] = []
            for _ in 0..<20 {
                let client = try await gateway.service()
                _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
                clients.append(client)
            }
            for _ in 0..<20 { gateway.registrar.append((0..<20).map { Self.registered("a\($0)") }) }
            for client in clients {
                for seq in 2...401 { #expect(try await client.message().seq == seq) }
            }
            #expect(gateway.server.statistics.fellBehind >= 20)
        }
    }

    /// Connections come and go amid events, so that rows of the table, numbers and descriptors are used again.
    @Test func nobodyGetsWhatIsForAnother() async throws {
        try await Gateway.run { gateway in
            try await withThrowingTaskGroup { group in
                group.addTask {
                    while !Task.isCancelled {
                        gateway.registrar.append([Self.registered("a")])
                        try? await Task.sleep(for: .milliseconds(1))  // ends early only when cancelled
                    }
                }
                for person in 0..<4 {
                    group.addTask {
                        for visit in 0..<25 {
                            let client = try await gateway.service()
                            _ = try await client.ask(
                                #"["subscribe",{"id":"\#(person) \#(visit)","events":["*"]}]"#)
                            var last: Int?
                            for _ in 0..<8 {
                                let event = try await client.message()
                                #expect(event.fields["id"] as? String == "\(person) \(visit)")
                                if let last { #expect(event.seq == last + 1) }
                                last = event.seq
                            }
                            client.close()
                        }
                    }
                }
                for _ in 0..<4 { try await group.next() }
                group.cancelAll()
            }
        }
    }

    /// Those of the other event loop are told of by the same deliveries.
    @Test func whoComesAndGoesDoesNotChangeTheOrderForOthers() async throws {
        try await Gateway.run { gateway in
            var clients: [RawClient] = []
            for _ in 0..<30 {
                clients.append(try await gateway.service())
                _ = try await clients[clients.count - 1].ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
            }
            let visitors = [try await gateway.service(), try await gateway.service()]
            for round in 0..<100 {
                for visitor in visitors {
                    try await visitor.say(#"["subscribe",{"id":1,"events":["*"]}]"#)
                    gateway.registrar.append([Self.registered("a\(round)")])
                    try await visitor.say(#"["subscribe",{"id":1,"expires":0}]"#)
                    gateway.registrar.append([Self.registered("b\(round)")])
                }
            }
            for client in clients {
                for seq in 2...401 { #expect(try await client.message().seq == seq) }
            }
        }
    }

    /// Both ends are sockets of this process.
    @Test func theKernelHoldsNoMoreForASocketThanItsBudget() async throws {
        try await Gateway.run({ $0.limits.websocketBudgetBytes = 64 << 10 }) { gateway in
            let client = try await gateway.service()
            let sizes = Self.sendBuffers(ofSocketsAt: gateway.port)
            #expect(sizes.count == 1 && sizes.allSatisfy { $0 <= 64 << 10 }, "\(sizes)")
            client.close()
        }
    }

    /// What the kernel may hold for each connected socket whose own port this is.
    private static func sendBuffers(ofSocketsAt port: Int) -> [Int32] {
        (Int32(3)..<4_096).compactMap { descriptor in
            guard self.port(of: descriptor, getsockname) == port, self.port(of: descriptor, getpeername) != nil else {
                return nil
            }
            var size: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            return getsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0 ? size : nil
        }
    }

    private static func port(
        of descriptor: Int32, _ name: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> Int? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name(descriptor, $0, &length) }
        }
        return code == 0 && address.sin_family == AF_INET ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
