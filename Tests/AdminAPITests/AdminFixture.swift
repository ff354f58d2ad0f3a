import AccessTokens
import AdminAPI
import AsyncHTTPClient
import ClusterRuntime
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import RegistrarEvents
import Testing

/// An admin address on a port of the system's choice, and a client for it.
struct AdminFixture: Sendable {
    static let demo = DomainName("demo.example")!
    static let acme = DomainName("acme.example")!
    static let node = NodeID(name: NodeName("router1"), incarnation: 1_700_000_000_000)

    let port: Int
    let registrar: FakeRegistrar
    let tokens: AccessTokens
    let directory: InMemoryDirectory

    struct Answer {
        let status: Int
        let headers: HTTPHeaders
        let text: String

        /// The body as JSON.
        func json() throws -> Any { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
        func object() throws -> [String: Any] { try #require(try json() as? [String: Any], "\(text)") }
        func array() throws -> [[String: Any]] { try #require(try json() as? [[String: Any]], "\(text)") }
        func message() throws -> String {
            let error = try #require(try object()["error"] as? [String: Any])
            #expect(error["status"] as? Int == status)
            return try #require(error["message"] as? String)
        }
    }

    /// Serves until `body` is through.
    static func with(
        open: Bool = true, change: (inout AdminBackend) -> Void = { _ in }, limits: AdminLimits = AdminLimits(),
        _ body: (AdminFixture) async throws -> Void
    ) async throws {
        let registrar = FakeRegistrar()
        let directory = InMemoryDirectory()
        let tokens = await AccessTokens(clusterSecret: [UInt8](repeating: 9, count: 32))
        var backend = AdminBackend(
            node: node, role: .router, isOpen: open, tokens: tokens, registrar: registrar,
            domains: { [demo, acme] }, assignment: { $0 == demo ? assignment : nil }, problems: { [] },
            metrics: { "# HELP up Up.\n" }, status: { .here(status) }, accounts: { directory })
        change(&backend)
        let (ports, told) = AsyncStream<Int>.makeStream()
        let service = AdminService(
            backend: backend, host: "127.0.0.1", port: 0, limits: limits,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { port in
            told.yield(port)
            told.finish()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            var ports = ports.makeAsyncIterator()
            let port = try #require(await ports.next())
            try await body(AdminFixture(port: port, registrar: registrar, tokens: tokens, directory: directory))
            group.cancelAll()
        }
    }

    static let assignment = Assignment(
        domain: demo, epoch: 3, revision: 9, owner: NodeID(name: NodeName("sr1"), incarnation: 5),
        standbys: [.init(node: NodeID(name: NodeName("sr2"), incarnation: 6), inSync: true)], cause: .failover,
        since: 1_700_000_000_000)

    static let status = ClusterStatus(
        routers: [.init(name: "router1", state: .active, term: 4)],
        nodes: [
            .init(
                name: "sr1", roles: ["sr"], site: "main", server: "host-a", incarnation: 1_700_000_000_000, status: .up,
                pid: 77, uptimeSeconds: 12)
        ],
        domains: [
            .init(
                name: "demo.example", epoch: 3, seq: 8, owner: "sr1", standbys: [.init(name: "sr2", inSync: true)],
                contacts: .init(user: 1, sipuser: 2))
        ])

    func ask(
        _ method: HTTPMethod = .GET, _ path: String, _ body: String? = nil, token: String? = nil,
        headers: HTTPHeaders = [:]
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        request.method = method
        request.headers = headers
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await Self.client.execute(request, timeout: .seconds(20))
        let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
        return Answer(status: Int(response.status.code), headers: response.headers, text: text)
    }

    /// Sends bytes as they are, and reads until that is enough or the connection ends.
    func raw(_ bytes: String, until isEnough: (String) -> Bool) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(
            host: "127.0.0.1", port: port
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: bytes))
            var text = ""
            for try await part in inbound {
                text += String(buffer: part)
                if isEnough(text) { break }
            }
            return text
        }
    }

    /// Runs a body while a connection has sent bytes, and takes none.
    func whileNotReading(_ bytes: String, _ body: () async throws -> Void) async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: false)
            .channelOption(.socketOption(.so_rcvbuf), value: 4_096)
            .connect(host: "127.0.0.1", port: port).get()
        try await channel.writeAndFlush(ByteBuffer(string: bytes))
        try await body()
        // It may be closed already.
        try? await channel.close()
    }

    /// Follows no redirect.
    private static let client = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .init(redirectConfiguration: .disallow))

    static let contacts = "/rest/v1/registrar/domains/demo.example/contacts"

    func register(_ kind: String, _ account: String, _ contact: String) async throws {
        let body = #"{"kind":"\#(kind)","account":"\#(account)","contact_id":"\#(contact)","ttl":60}"#
        let answer = try await ask(.POST, Self.contacts, body)
        #expect(answer.status == 200, "\(answer.text)")
    }
}
