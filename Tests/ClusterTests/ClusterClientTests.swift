import AnswerFixture
import ClusterClients
import ClusterRuntime
import NIOHTTP1
import Synchronization
import Testing

/// What the commands' client makes of nodes that answer badly.
@Suite(.timeLimit(.minutes(1))) struct ClusterClientTests {
    /// A topology whose routers are at these ports.
    private func topology(_ routers: [Int]) throws -> Topology {
        let nodes = routers.enumerated().map { index, port in
            "{ name: router\(index + 1), role: router, cluster: \(index + 1), admin: \(port) }"
        }
        return try Topology.parse(
            """
            cluster: test
            secret: none
            coordinator: { kind: embedded, path: router.db }
            directory: { kind: file, path: accounts.yaml }
            domains: [ { name: demo.example, replicas: 1 } ]
            sites:
              - name: main
                servers:
                  - name: host
                    address: 127.0.0.1
                    nodes: [ \(nodes.joined(separator: ", ")), { name: sr1, role: sr, cluster: 11, admin: 12 } ]
            """, path: "test.yaml")
    }

    private func withClient(
        _ routers: Int..., body: (ClusterClient, NodeSpec) async throws -> Void
    ) async throws {
        let topology = try topology(routers)
        let client = ClusterClient(topology: topology, token: "token")
        do {
            try await body(client, try #require(topology.nodes(of: .router).first))
            await client.shutDown()
        } catch {
            await client.shutDown()
            throw error
        }
    }

    @Test func anAnswerThatDoesNotEndIsGivenUp() async throws {
        try await CannedServer.with({ _, _ in .endless }) { server in
            try await withClient(server.port) { client, router in
                await #expect(
                    throws: ClusterClient.Failure.unanswered("the answer began, and did not end in 1 s")
                ) { try await client.send(.GET, "/", to: router, bodyTimeout: .seconds(1)) }
            }
        }
    }

    /// A topology that replaces the router that leads does not have it.
    @Test func aLeaderThatTheTopologyDoesNotHaveIsFound() async throws {
        let lines = Mutex<[String]>([])
        try await CannedServer.with({ line, body in
            lines.withLock { $0.append("\(line) \(body)") }
            return .whole(status: 202, "{}")
        }) { leader in
            try await CannedServer.with({ line, _ in
                .redirection(to: leader.url + line.split(separator: " ")[1])
            }) { standby in
                try await withClient(standby.port) { client, _ in
                    #expect(await client.order(.drain(NodeName("sr1")), within: .seconds(5)) == .accepted)
                }
                #expect(lines.withLock(\.self) == ["POST /rest/v1/cluster/nodes/sr1/drain HTTP/1.1 "])
                // One that it has is asked anyway.
                try await withClient(standby.port, leader.port) { client, router in
                    let answer = try await client.get("/x", from: router)
                    #expect(answer.status == 307)
                }
                #expect(lines.withLock(\.count) == 1)
            }
        }
    }

    @Test func whoeverIsTurnedAwayIsToldAndDoesNotAskForLong() async throws {
        let asked = Mutex(0)
        try await CannedServer.with({ _, _ in
            asked.withLock { $0 += 1 }
            return .whole(status: 401, #"{"error":{"status":401,"message":"no token"}}"#)
        }) { server in
            try await withClient(server.port) { client, _ in
                #expect(await client.activeTopology(within: .seconds(30)) == nil)
                #expect(asked.withLock(\.self) == 1)
                #expect(await client.whatRoutersSay() == ["router1: HTTP 401 no token"])
            }
        }
    }
}
