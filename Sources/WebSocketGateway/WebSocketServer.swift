public import AccessTokens
public import ClusterRuntime
public import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
public import RegistrarEvents
import ServerTLS
public import ServiceLifecycle
import Synchronization
public import WSSubscrActor
import WebSocketFrames

/// The websocket frontier of a node: `/ws` for users, `/ws/token/v1` for services. Protocol: `docs/websocket.md`.
public final class WebSocketServer: Service {
    private let settings: GatewaySettings
    private let environment: SocketEnvironment
    private let gate: Mutex<ArrivalGate>
    private let registrations: RegistrationActor
    private let log: Logger
    private let lanes = Mutex<[SocketLane]>([])
    private let boundPort = Atomic<Int>(0)
    private let isListening = Atomic<Bool>(false)
    private let started: AsyncStream<Int>
    private let announce: AsyncStream<Int>.Continuation

    /// - Parameters:
    ///   - node: the followers that answer subscriptions; the server adds its lanes to them while it runs.
    ///   - registrations: keeps the connections registered; whoever runs the server runs it too.
    public init(
        settings: GatewaySettings, node: WSSubscrNode, registrations: RegistrationActor,
        directory: any AccountDirectory, tokens: AccessTokens, log: Logger
    ) {
        self.settings = settings
        gate = Mutex(ArrivalGate(rate: settings.limits.handshakesPerSecond, now: SystemClock.monotonic()))
        self.registrations = registrations
        self.log = log
        let counters = GatewayCounters()
        environment = SocketEnvironment(
            settings: settings, node: node,
            logins: LoginService(
                directory: directory, tokens: tokens, registrations: registrations, node: node, counters: counters,
                settings: settings),
            counters: counters)
        (started, announce) = AsyncStream.makeStream()
    }

    public var statistics: GatewayStatistics { environment.counters.statistics }

    /// Whether connections are being taken.
    public var isAccepting: Bool { isListening.load(ordering: .acquiring) }

    /// The port that is listened on; 0 before that.
    public var port: Int { boundPort.load(ordering: .acquiring) }

    /// The addresses that are turned away for their failed logins.
    public var bans: [AddressBan] { environment.logins.bans }

    /// Lets an address try again.
    /// - Parameter network: as `NetworkOfAddress` writes it.
    /// - Returns: whether it was turned away.
    public func liftBan(_ network: String) -> Bool { environment.logins.liftBan(network) }

    /// Closes the websockets of accounts that are gone.
    public func disconnect(_ accounts: [DirectoryChange.Removed]) {
        let users = Set(accounts.filter { $0.account.kind == .user })
        guard !users.isEmpty else { return }
        for lane in lanes.withLock({ $0 }) { lane.close(users) }
    }

    /// Closes the websockets of a domain that the topology has no more.
    public func disconnect(_ domain: DomainName) {
        for lane in lanes.withLock({ $0 }) { lane.close(domain) }
    }

    /// Waits for the server to listen. To be called once.
    /// - Returns: the port; nil when it will not.
    public func listening() async -> Int? {
        for await port in started { return port }
        return nil
    }

    /// Serves until cancelled or told to shut down gracefully: then takes no new connection, closes every websocket
    /// with 1012, one after the other over the period `drain`, and waits (within bounds) until their registrations
    /// have ended.
    /// - Throws: when the certificate cannot be used or the address not be bound.
    public func run() async throws {
        defer { announce.finish() }
        let certificate = try settings.tls.map { try ServerCertificate($0, log: log) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threads)
        let lanes = group.makeIterator().enumerated().map { index, eventLoop in
            SocketLane(
                number: UInt8(index), eventLoop: eventLoop, counters: environment.counters,
                queueBytes: settings.laneQueueBytes)
        }
        do {
            let server = try await listen(on: group, lanes, certificate)
            await waitForShutdown()
            // In this order: once it is said that nobody is accepted, nobody is.
            environment.beginDrain()
            isListening.store(false, ordering: .releasing)
            await sayGoodbye(lanes)
            try? await server.close().get()  // closed already is closed
        } catch {
            try? await group.shutdownGracefully()  // the error that is thrown says more
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func listen(
        on group: MultiThreadedEventLoopGroup, _ lanes: [SocketLane], _ certificate: ServerCertificate?
    ) async throws -> any Channel {
        let highWaterMark = settings.highWaterMark
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_sndbuf), value: settings.kernelBufferBytes)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: highWaterMark / 4, high: highWaterMark)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let lane = lanes.first(where: { $0.eventLoop === channel.eventLoop }) else {
                        preconditionFailure("a connection on an event loop without a lane")
                    }
                    try self.accept(channel, lane, certificate)
                }
            }
            .bind(host: settings.host, port: settings.port).get()
        self.lanes.withLock { $0 = lanes }
        for lane in lanes {
            lane.start()
            environment.node.lanes.add(lane)
        }
        let port = server.localAddress?.port ?? settings.port
        boundPort.store(port, ordering: .releasing)
        isListening.store(true, ordering: .releasing)
        announce.yield(port)
        log.info("websockets are accepted on \(settings.host):\(port)")
        return server
    }

    /// Counts a new connection, and begins its handshake unless there are too many.
    private func accept(_ channel: any Channel, _ lane: SocketLane, _ certificate: ServerCertificate?) throws {
        let counters = environment.counters
        let count = counters.connections.add(1, ordering: .relaxed).newValue
        channel.closeFuture.whenComplete { _ in counters.connections.subtract(1, ordering: .relaxed) }
        let retryAfter = refusal(ofConnection: count)
        counters.accepted.count()
        if let retryAfter {
            counters.turnedAway.count()
            // A TLS handshake would cost more than anything else here, so there is no answer.
            guard certificate == nil else { return channel.close(promise: nil) }
            return try channel.pipeline.syncOperations.addHandler(TurnAwayHandler(retryAfter: retryAfter))
        }
        if let certificate { try channel.pipeline.syncOperations.addHandler(certificate.handler()) }
        try Handshake.begin(channel, environment: environment, lane: lane)
    }

    /// - Returns: after how many seconds the client shall come back; nil when it may stay.
    private func refusal(ofConnection count: Int) -> Int? {
        guard !environment.isDraining else { return 1 }
        guard count <= settings.limits.connectionsPerNode else { return Self.fullRetryAfter }
        switch gate.withLock({ $0.arrived(at: SystemClock.monotonic()) }) {
        case .admit: return nil
        case .refuse(let retryAfter): return retryAfter
        }
    }

    /// When a node is full, in seconds.
    private static let fullRetryAfter = 5

    private func waitForShutdown() async {
        // Ends early when cancelled, which is a shutdown as well.
        try? await gracefulShutdown()
    }

    private func sayGoodbye(_ lanes: [SocketLane]) async {
        let counters = environment.counters
        for lane in lanes { lane.closeAll(over: settings.periods.drain) }
        // Not cancelled with the task that runs the server: clients are told, and unregistered, all the same.
        await Task { [settings, registrations, log] in
            let deadline = SystemClock.monotonic() + settings.periods.drain + settings.closeTime + .seconds(1)
            while counters.open.load(ordering: .relaxed) > 0, SystemClock.monotonic() < deadline {
                try? await Task.sleep(for: .milliseconds(20))  // nobody cancels this task
            }
            let left = await registrations.drained(within: settings.unregisterTime)
            if left > 0 { log.warning("\(left) registrations could not be ended in time; they will run out") }
        }.value
        for lane in lanes {
            lane.stop()
            environment.node.lanes.remove(lane)
        }
    }
}
