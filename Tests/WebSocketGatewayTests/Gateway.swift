import AccessTokens
import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Synchronization
import Testing
import WSSubscrActor

@testable import WebSocketGateway

let demo = DomainName("demo.example") ?? { preconditionFailure("a valid name was refused") }()

/// An owner of `demo.example` in memory: does what it is asked at once, and tells the followers.
final class Registrar: RegistrarClient {
    struct State {
        var seq: UInt64 = 0
        var epoch: UInt64 = 1
        var replayEnd: UInt64 = 0
        var contacts: [[UInt8]: PackedContact] = [:]
        var operations: [Request.Operation] = []
        var refusal: Refusal?
        /// What happens while an operation is under way.
        var meanwhile: (@Sendable () async -> Void)?
    }
    let state = Mutex(State())
    private let node: WSSubscrNode
    private let owner = NodeID(name: NodeName("sr1"), incarnation: 1)

    init(_ node: WSSubscrNode) {
        self.node = node
        assign()
        append([.clear(.restart)])
    }

    private func assign() {
        let epoch = state.withLock(\.epoch)
        node.assigned([
            Assignment(
                domain: demo, epoch: epoch, revision: epoch, owner: owner, standbys: [],
                cause: epoch == 1 ? .restart : .failover, since: 0)
        ])
    }

    /// A new epoch begins, in which everything live is restated.
    func failOver() {
        let restated = state.withLock { state in
            state.epoch += 1
            state.seq = 0
            return state.contacts.keys.sorted { $0.lexicographicallyPrecedes($1) }.compactMap { state.contacts[$0] }
        }
        assign()
        append([.clear(.failover)] + restated.map { .registered($0, ttl: 60_000, replay: true) })
    }

    @discardableResult
    func append(_ changes: [LogEntry.Change]) -> UInt64 {
        state.withLock { state in
            let base = state.seq
            let entries = changes.map { change -> LogEntry in
                state.seq += 1
                switch change {
                case .registered(let contact, _, _): state.contacts[Array(contact.keyBytes)] = contact
                case .unregistered(let contact, _): state.contacts[Array(contact.keyBytes)] = nil
                case .clear(let reason): if reason == .storageCleared { state.contacts = [:] }
                }
                return LogEntry(seq: state.seq, timestamp: 1, change: change)
            }
            // What begins an epoch is all of its replay.
            if base == 0 { state.replayEnd = state.seq }
            let append = Append(
                domain: demo, epoch: state.epoch, base: base, entries: entries, committed: state.seq,
                replayEnd: state.replayEnd)
            node.receive([.append(append)], from: owner)
            return state.seq
        }
    }

    func perform(
        _ operation: Request.Operation, on domain: DomainName, deadline: Duration
    ) async -> Reply.Result {
        let (refusal, meanwhile) = state.withLock { state in
            state.operations.append(operation)
            return (state.refusal, state.meanwhile)
        }
        await meanwhile?()
        if let refusal { return .refused(refusal) }
        switch operation {
        case .register(let contact, let ttl):
            let seq = append([.registered(contact, ttl: ttl, replay: false)])
            return .registered(Position(epoch: 1, seq: seq), ttl: ttl)
        case .unregister(let key, let reason):
            guard let contact = state.withLock({ $0.contacts[key] }) else {
                return .unregistered(Position(epoch: 1, seq: 0), count: 0)
            }
            let seq = append([.unregistered(contact, reason)])
            return .unregistered(Position(epoch: 1, seq: seq), count: 1)
        case .bind, .deleteAccount, .clear, .list: return .refused(.unavailable)
        }
    }
}

/// Goes nowhere.
struct NoTransport: Transport {
    func send(_ messages: [Message], to peer: NodeName) {}
    func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {}
}

/// A running gateway with users `u1` and `u2` of `demo.example`, password `secret`.
struct Gateway {
    let server: WebSocketServer
    let registrar: Registrar
    let node: WSSubscrNode
    let registrations: RegistrationActor
    let tokens: AccessTokens
    let directory: InMemoryDirectory
    let port: Int

    /// Makes tokens that the gateway accepts as another issuer's.
    static let otherIssuer = ClusterSecret(Array(repeating: 9, count: 32))

    static func run(
        _ change: (inout GatewaySettings) -> Void = { _ in }, _ body: @Sendable (Gateway) async throws -> Void
    ) async throws {
        var settings = GatewaySettings(host: "127.0.0.1", port: 0, threads: 2)
        settings.unregisterTime = .seconds(2)
        settings.periods.drain = .milliseconds(100)
        settings.closeTime = .milliseconds(500)
        change(&settings)
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let node = WSSubscrNode(domains: [demo], transport: NoTransport(), log: log)
        let registrar = Registrar(node)
        let registrations = RegistrationActor(
            client: registrar, ttl: .seconds(120), deadline: .seconds(2), seed: 1)
        let directory = InMemoryDirectory()
        try directory.add(demo, AccountID(.user, "u1"), password: "secret")
        try directory.add(demo, AccountID(.user, "u2"), password: "secret")
        let key = FileManager.default.temporaryDirectory.appendingPathComponent("issuer-\(UUID().uuidString)").path
        try Data(otherIssuer.key(for: "access token")).write(to: URL(fileURLWithPath: key))
        defer { try? FileManager.default.removeItem(atPath: key) }  // Nothing to do about litter.
        let tokens = try await AccessTokens(
            ClusterSecret(Array(repeating: 7, count: 32)),
            settings: TokenSettings(keys: [TokenKeySpec(keyID: nil, algorithm: .hs256, path: key)]))
        let server = WebSocketServer(
            settings: settings, node: node, registrations: registrations, directory: directory, tokens: tokens,
            log: log)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            group.addTask { await node.run() }
            group.addTask { await registrations.run() }
            let port = try #require(await server.listening())
            try await body(
                Gateway(
                    server: server, registrar: registrar, node: node, registrations: registrations, tokens: tokens,
                    directory: directory, port: port))
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    static let login = #"["login",{"qid":1,"login":"u1","pwd":"secret","td":"demo.example"}]"#

    func loggedIn(receiveBuffer: Int? = nil) async throws -> RawClient {
        let client = try await RawClient.open(port: port, receiveBuffer: receiveBuffer)
        let reply = try await client.ask(Self.login)
        #expect(reply.result == "ok", "\(reply)")
        return client
    }

    func service(receiveBuffer: Int? = nil) async throws -> RawClient {
        let token = try await tokens.mint(domain: demo)
        return try await RawClient.open(port: port, path: "/ws/token/v1/\(token)", receiveBuffer: receiveBuffer)
    }

    /// Waits for something to become true.
    static func eventually(_ condition: () async -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while await !condition() {
            guard ContinuousClock.now < deadline else { throw Timeout() }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    struct Timeout: Error {}
}
