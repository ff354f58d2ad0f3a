import AccessTokens
import ClusterRuntime
import RegistrarEvents
import Synchronization
import Testing

@testable import WebSocketGateway

@Suite(.timeLimit(.minutes(1))) struct HandshakeTests {
    private func status(_ gateway: Gateway, _ request: String) async throws -> String {
        let client = try await RawClient.connect(port: gateway.port)
        try await client.send(text: request)
        let head = try await client.head()
        client.close()
        return String(head.prefix { $0 != "\r\n" })
    }

    @Test func requestsThatAreNoHandshakeAreAnsweredProperly() async throws {
        try await Gateway.run { gateway in
            let good = RawClient.handshake("/ws")
            func without(_ header: String) -> String {
                good.split(separator: "\r\n", omittingEmptySubsequences: false)
                    .filter { !$0.hasPrefix(header) }.joined(separator: "\r\n")
            }
            for (request, code) in [
                (RawClient.handshake("/nothing"), "404"), (RawClient.handshake("/ws/"), "404"),
                (RawClient.handshake("/wsx"), "404"), (RawClient.handshake("/ws/echo"), "404"),
                (RawClient.handshake("/ws/token/v2/x"), "404"),
                (RawClient.handshake("/ws/token/v1"), "401"), (RawClient.handshake("/ws/token/v1/"), "401"),
                (RawClient.handshake("/ws/token/v1/abc"), "401"),
                (RawClient.handshake("/ws/token/v1", "Authorization: Bearer a.b.c\r\n"), "401"),
                ("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "426"), ("POST /ws HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
                (good.replacing("Version: 13", with: "Version: 8"), "426"),
                (good.replacing("dGhlIHNhbXBsZSBub25jZQ==", with: "short"), "400"),
                (without("Sec-WebSocket-Key"), "400"), (without("Connection"), "426"),
                (without("Upgrade"), "426"), ("nonsense\r\n\r\n", "400"),
            ] {
                let line = try await status(gateway, request)
                #expect(line.hasPrefix("HTTP/1.1 \(code)"), "\(line) for \(request)")
            }
            #expect(gateway.server.statistics.open == 0)
        }
    }

    @Test func handshakesAreShort() async throws {
        try await Gateway.run({ $0.threads = 1 }) { gateway in
            func offer(_ range: Range<Int>) -> String {
                "Sec-WebSocket-Protocol: \(range.map { "p\($0)" }.joined(separator: ","))\r\n"
            }
            func padding(_ count: Int) -> String { "X: \(String(repeating: "x", count: count))\r\n" }
            for (headers, code) in [
                (offer(0..<32), "101"), (offer(0..<33), "400"), (offer(0..<16) + offer(16..<33), "400"),
                (padding(15 << 10), "101"), (padding(17 << 10), "400"),
                (String(repeating: padding(15 << 10), count: 3), "400"),
                (String(repeating: padding(1), count: 80), "400"),
            ] {
                let line = try await status(gateway, RawClient.handshake("/ws", headers))
                #expect(line.hasPrefix("HTTP/1.1 \(code)"), "\(line) for \(headers.prefix(80))")
            }
            // Comparing so many names took the event loop minutes. What comes after the answer breaks the connection.
            let client = try await RawClient.connect(port: gateway.port)
            let headers = (0..<25).map { offer(($0 * 13_000)..<(($0 + 1) * 13_000)) }.joined()
            try? await client.send(text: RawClient.handshake("/ws", headers))
            #expect(!(try await client.head().contains("101")))
            try await RawClient.open(port: gateway.port).close()
        }
    }

    @Test func serviceTokensOpenAConnectionWithoutRegistration() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            let info = try await client.ask(#"["connection_info",{"qid":"i"}]"#)
            #expect(info.fields["ownertype"] as? String == "service")
            #expect(info.fields["domain"] as? String == "demo.example")
            #expect(try await client.ask(Gateway.login).errorCode == 403)
            let token = try await gateway.tokens.mint(domain: demo)
            let other = try await RawClient.connect(port: gateway.port)
            try await other.send(text: RawClient.handshake("/ws/token/v1", "Authorization: Bearer \(token)\r\n"))
            let head = try await other.head()
            #expect(head.hasPrefix("HTTP/1.1 101"))
            #expect(gateway.registrar.state.withLock { $0.operations.isEmpty })
        }
    }

    @Test func tokensOfUsersAndForeignDomainsOpenNoServiceConnection() async throws {
        try await Gateway.run { gateway in
            let user = try await gateway.tokens.mint(domain: demo, user: "u1")
            let other = try await gateway.tokens.mint(domain: DomainName("other.example"))
            for token in [user, other] {
                #expect(try await status(gateway, RawClient.handshake("/ws/token/v1/\(token)")).contains("401"))
            }
        }
    }

    /// Of many programs behind one address one may have a token that has expired.
    @Test func othersWithGoodTokensAreNotSlowedDownByBadOnes() async throws {
        try await Gateway.run({ $0.limits.loginFailures = 20 }) { gateway in
            let bad = RawClient.handshake("/ws/token/v1/a.b.c")
            for _ in 0..<12 { #expect(try await status(gateway, bad).contains("401")) }
            for _ in 0..<5 { try await gateway.service().close() }
            for _ in 12..<20 { #expect(try await status(gateway, bad).contains("401")) }
            let client = try await RawClient.connect(port: gateway.port)
            try await client.send(text: bad)
            let head = try await client.head()
            #expect(head.hasPrefix("HTTP/1.1 429") && head.contains("Retry-After: "), "\(head)")
            #expect(gateway.server.statistics.loginsBanned == 1)
            #expect(gateway.server.liftBan("127.0.0.1"))
            try await gateway.service().close()
        }
    }

    @Test func slowHandshakesAreCutOff() async throws {
        try await Gateway.run({ $0.handshakeTime = .milliseconds(200) }) { gateway in
            let client = try await RawClient.connect(port: gateway.port)
            try await client.send(text: "GET /ws HTTP/1.1\r\nHost:")
            #expect(try await client.head() == "")
        }
    }

    @Test func connectionsBeyondTheLimitAreTurnedAway() async throws {
        try await Gateway.run({ $0.limits.connectionsPerNode = 2 }) { gateway in
            let first = try await RawClient.open(port: gateway.port)
            let second = try await RawClient.open(port: gateway.port)
            let third = try await RawClient.connect(port: gateway.port)
            #expect(try await third.head().hasPrefix("HTTP/1.1 503"))
            #expect(gateway.server.statistics.turnedAway == 1)
            first.close()
            try await Gateway.eventually { gateway.server.statistics.open == 1 }
            second.close()
        }
    }
}
