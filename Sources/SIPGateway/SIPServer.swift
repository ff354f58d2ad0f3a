public import ClusterRuntime
public import Logging
import NIOCore
import NIOPosix
public import RegistrarEvents
import SIP
import ServerTLS
public import ServiceLifecycle
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The SIP frontier of a node: a registrar for devices over UDP, TCP, TLS and websocket. Protocol: `docs/sip.md`.
public final class SIPServer: Service {
    private let settings: SIPSettings
    private let group: MultiThreadedEventLoopGroup
    let lanes: [SIPLane]
    private let counters: SIPCounters
    private let gate: AddressGate
    private let watchers: WatcherTable
    private let newcomers: Newcomers
    private let log: Logger
    private let isListening = Atomic<Bool>(false)
    private let knowsOwners = Atomic<Bool>(false)
    private let ports = Mutex(BoundPorts())

    /// Datagrams taken in by one call of the system.
    private static let vectorReads = 16
    /// Between attempts to open a datagram socket again.
    private static let reopenWait = TimeAmount.milliseconds(100)

    /// A few heartbeats, to which a router answers with the assignments.
    private static let waitForOwners = Duration.seconds(1)
    /// A supervisor that stops the node waits for about so long.
    private static let longestFarewell = Duration.seconds(8)

    /// The ports that are listened on; nil before that, and for what is not.
    public struct BoundPorts: Sendable, Hashable {
        public var udp: Int?
        public var tcp: Int?
        public var tls: Int?
        public var ws: Int?
        public var wss: Int?
    }

    /// - Parameters:
    ///   - life: the node's, from which requests get ids unlike those of earlier lives.
    ///   - transport: carries requests to owners; whoever runs it hands replies to `receive` and assignments to
    ///     `assigned`.
    public init(
        settings: SIPSettings, life: NodeID, transport: any Transport, directory: any AccountDirectory, log: Logger
    ) {
        self.settings = settings
        self.log = log
        counters = SIPCounters()
        group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threads)
        gate = AddressGate(
            limits: settings.limits, periods: settings.periods, shared: settings.listen.sharedNetworks)
        newcomers = Newcomers(limit: settings.limits.connectionsPerNode, shared: settings.listen.sharedNetworks)
        let (flows, answers) = (FlowBook(), ProbeAnswers())
        let watchers = WatcherTable(settings, counters: counters, life: life, transport: transport, log: log)
        self.watchers = watchers
        let authenticator = settings.listen.isOpen ? nil : Authenticator(directory: directory)
        var lanes: [SIPLane] = []
        for (index, eventLoop) in group.makeIterator().enumerated() {
            let registrar = Registrar(
                settings: settings, authenticator: authenticator, gate: gate, counters: counters, flows: flows,
                answers: answers, life: life, lane: index + 1)
            let lane = SIPLane(registrar, eventLoop: eventLoop, transport: transport, watchers: watchers)
            watchers.lanes.add(lane, index + 1)
            lanes.append(lane)
        }
        self.lanes = lanes
    }

    public var statistics: SIPStatistics { counters.statistics }

    /// Whether devices are being answered.
    public var isAccepting: Bool { isListening.load(ordering: .acquiring) }

    /// The networks that are not listened to for a while, by name.
    public var bans: [AddressBan] { gate.listed(at: SystemClock.monotonic()) }

    /// Listens to a network again, and forgets its failures.
    /// - Returns: whether it was banned.
    public func liftBan(_ network: String) -> Bool { gate.lift(network, at: SystemClock.monotonic()) }

    public var boundPorts: BoundPorts { ports.withLock { $0 } }

    // MARK: What comes from other nodes

    public func assigned(_ assignments: [Assignment]) {
        defer { knowsOwners.store(true, ordering: .releasing) }
        for lane in lanes { lane.post(.assigned(assignments), isVital: true) }
        watchers.assigned(assignments)
    }

    /// The topology has these domains now: devices of others are answered 404.
    /// - Parameter assignments: those known.
    public func serve(_ domains: [DomainSpec], assignments: [Assignment]) {
        let table = Dictionary(domains.map { ($0.name, $0) }) { first, _ in first }
        for lane in lanes { lane.post(.domains(table), isVital: true) }
        watchers.serve(domains.map(\.name), assignments: assignments)
    }

    /// Takes what owners tell those who follow their domains; the rest is passed over.
    public func follow(_ messages: [Message], from sender: NodeID) { watchers.receive(messages, from: sender) }

    /// The account is no more, and what was registered under it has ended: so have the subscriptions to it.
    public func removed(_ account: String, of domain: DomainName) { watchers.removed(account, of: domain) }

    /// Takes the replies to this server's requests out of what arrived.
    /// - Returns: the others.
    public func receive(_ replies: [Reply], from sender: NodeID) -> [Reply] {
        var others: [Reply] = []
        var own: [[Reply]] = Array(repeating: [], count: lanes.count)
        for reply in replies {
            let lane = RequestID.lane(of: reply.id)
            if lanes.indices.contains(lane - 1) { own[lane - 1].append(reply) } else { others.append(reply) }
        }
        for (lane, replies) in zip(lanes, own) where !replies.isEmpty { lane.post(.replies(replies, from: sender)) }
        return others
    }

    // MARK: Running

    /// Serves until cancelled or told to shut down gracefully: then takes on nothing new, answers what is under way,
    /// and closes its sockets, those of UDP last, so that devices go elsewhere.
    /// - Throws: when an address cannot be bound or a certificate cannot be read.
    public func run() async throws {
        do {
            await waitForOwners()
            let channels = try await listen()
            isListening.store(true, ordering: .releasing)
            async let _: Void = watchers.run()
            try? await gracefulShutdown()  // ends early when cancelled, which is a shutdown as well
            isListening.store(false, ordering: .releasing)
            await answerWhatIsUnderWay()
            // Before the sockets close: what a loop is given later comes later.
            await watchers.stop()
            for channel in channels.reversed() { try? await channel.close().get() }  // closed already is closed
            for lane in lanes { lane.eventLoop.execute { lane.core.stop() } }
        } catch {
            try? await group.shutdownGracefully()  // the error that is thrown says more
            throw error
        }
        try await group.shutdownGracefully()
    }

    /// Phones repeat what nobody hears; what comes before owners are known would be refused. Where no router is heard,
    /// devices are told so after a moment.
    private func waitForOwners() async {
        let deadline = SystemClock.monotonic() + Self.waitForOwners
        while !knowsOwners.load(ordering: .acquiring), !Task.isCancelled, SystemClock.monotonic() < deadline {
            try? await Task.sleep(for: .milliseconds(5))  // Cancelled: the loop's condition sees it.
        }
    }

    /// Not for longer than an owner is asked: what is left then is repeated by who asked it.
    private func answerWhatIsUnderWay() async {
        for lane in lanes { lane.eventLoop.execute { lane.core.leave() } }
        let deadline = SystemClock.monotonic() + min(settings.periods.requestDeadline, Self.longestFarewell)
        while !Task.isCancelled, SystemClock.monotonic() < deadline {
            var underWay = 0
            for lane in lanes {
                // It only fails when the loop has ended, and nothing is under way there.
                underWay += (try? await lane.eventLoop.submit { lane.core.underWay }.get()) ?? 0
            }
            guard underWay > 0 else { return }
            try? await Task.sleep(for: .milliseconds(5))  // Cancelled: the loop's condition sees it.
        }
    }

    /// UDP comes first.
    private func listen() async throws -> [any Channel] {
        let settings = settings
        let counters = counters
        var channels: [any Channel] = []
        if let port = settings.listen.udp { channels += try await listenUDP(port) }
        if let port = settings.listen.tcp {
            let channel = try await listenTCP(port, .tcp) { channel, core, probation in
                try channel.pipeline.syncOperations.addHandler(
                    StreamHandler(core, .tcp, counters: counters, settings: settings, probation: probation))
            }
            ports.withLock { $0.tcp = channel.localAddress?.port }
            channels.append(channel)
        }
        if let tls = settings.listen.tls {
            let certificate = try ServerCertificate(tls.files, log: log)
            let channel = try await listenTCP(tls.port, .tls) { channel, core, probation in
                try channel.pipeline.syncOperations.addHandler(certificate.handler())
                try channel.pipeline.syncOperations.addHandler(
                    StreamHandler(core, .tls, counters: counters, settings: settings, probation: probation))
            }
            ports.withLock { $0.tls = channel.localAddress?.port }
            channels.append(channel)
        }
        if let port = settings.listen.ws {
            let channel = try await listenTCP(port, .ws) { channel, core, probation in
                try WebSocketUpgrade.begin(
                    channel, core, .ws, counters: counters, settings: settings, probation: probation)
            }
            ports.withLock { $0.ws = channel.localAddress?.port }
            channels.append(channel)
        }
        if let wss = settings.listen.wss {
            let certificate = try ServerCertificate(wss.files, log: log)
            let channel = try await listenTCP(wss.port, .wss) { channel, core, probation in
                try channel.pipeline.syncOperations.addHandler(certificate.handler())
                try WebSocketUpgrade.begin(
                    channel, core, .wss, counters: counters, settings: settings, probation: probation)
            }
            ports.withLock { $0.wss = channel.localAddress?.port }
            channels.append(channel)
        }
        return channels
    }

    /// One socket an event loop; the kernel spreads senders over them.
    private func listenUDP(_ port: Int) async throws -> [any Channel] {
        var channels: [any Channel] = []
        for lane in lanes {
            let bound = channels.first?.localAddress?.port ?? port
            let channel = try await bindDatagrams(lane, bound).get()
            keepOpen(channel, lane)
            channels.append(channel)
        }
        ports.withLock { $0.udp = channels.first?.localAddress?.port }
        log.info("SIP devices are answered on UDP \(settings.host):\(channels.first?.localAddress?.port ?? port)")
        return channels
    }

    private func bindDatagrams(_ lane: SIPLane, _ port: Int) -> EventLoopFuture<any Channel> {
        let counters = counters
        return DatagramBootstrap(group: lane.eventLoop)
            .channelOption(.socketOption(.reusePort), value: lanes.count > 1 ? 1 : 0)
            .channelOption(.socketOption(.so_rcvbuf), value: 8 << 20)
            .channelOption(.datagramVectorReadMessageCount, value: Self.vectorReads)
            .channelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: Self.vectorReads * (settings.messageBytes + 1))
            )
            .channelOption(.writeBufferWaterMark, value: .init(low: 1 << 20, high: 4 << 20))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = DatagramHandler(lane.core, counters: counters)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: settings.host, port: port)
    }

    /// Opens the socket anew when it is closed while the server runs: NIO does so when the system refuses to send one
    /// datagram, be it for a firewall, a full table of connections or an address that is none.
    private func keepOpen(_ channel: any Channel, _ lane: SIPLane) {
        let port = channel.localAddress?.port ?? 0
        channel.closeFuture.whenComplete { _ in self.reopen(port, lane) }
    }

    private func reopen(_ port: Int, _ lane: SIPLane) {
        guard isAccepting else { return }
        log.warning("the UDP socket of port \(port) was closed by an error, and is opened again")
        bindDatagrams(lane, port).whenComplete { result in
            switch result {
            case .success(let channel): self.keepOpen(channel, lane)
            case .failure:
                // It may be free in a moment; an event loop that is being shut down runs no tasks.
                lane.eventLoop.scheduleTask(in: Self.reopenWait) { self.reopen(port, lane) }
            }
        }
    }

    private func listenTCP(
        _ port: Int, _ transport: SIPTransport,
        _ prepare: @escaping @Sendable (any Channel, SIPLane.Core, Probation) throws -> Void
    ) async throws -> any Channel {
        let settings = settings
        let counters = counters
        let lanes = lanes
        let newcomers = newcomers
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    counters.connections.count()
                    let open = counters.open.load(ordering: .relaxed)
                    guard open < UInt64(settings.limits.connectionsPerNode) else {
                        counters.turnedAway.count()
                        return channel.close(promise: nil)
                    }
                    guard let lane = lanes.first(where: { $0.eventLoop === channel.eventLoop }) else {
                        preconditionFailure("a connection on an event loop without a lane")
                    }
                    let peer = SIPPeer(transport.via, channel.remoteAddress)
                    guard lane.core.admits(peer, at: SystemClock.now()) else { return channel.close(promise: nil) }
                    guard
                        let probation = Probation(channel, peer.network, newcomers, open: Int(open), settings: settings)
                    else {
                        counters.turnedAway.count()
                        return channel.close(promise: nil)
                    }
                    try prepare(channel, lane.core, probation)
                }
            }
            .bind(host: settings.host, port: port).get()
        log.info("SIP devices are answered on \(transport.via.name) \(settings.host):\(port)")
        return channel
    }
}

extension NIOBSDSocket.Option {
    /// Several sockets on one port. Source: socket(7).
    fileprivate static var reusePort: NIOBSDSocket.Option { NIOBSDSocket.Option(rawValue: SO_REUSEPORT) }
}
