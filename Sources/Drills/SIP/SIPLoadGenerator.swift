import ClusterRuntime
import NIOCore
import NIOPosix
import RegistrarEvents
import Synchronization

/// The load of a drill's phones: registers all of them over one UDP socket, refreshes them at the drill's rate, and
/// records every request with its answer.
///
/// The rate is open: a slow cluster does not slow the phones down, until `maximumUnderWay` requests wait.
final class SIPLoadGenerator: DrillLoad {
    private struct State {
        var plan: LoadPlan
        var phones: SIPPhones
        var underWay = 0
        var stopped = false
        var lastRefusal: Operation?
    }

    private let load: DrillFile.Load
    private let recorder: HistoryRecorder
    private let ttl: Int
    private let channel: any Channel
    private let server: SocketAddress
    private let state: Mutex<State>

    static let maximumUnderWay = 20_000
    /// Requests under way while everybody registers.
    static let registrationWindow = 256
    static let tick: Duration = .milliseconds(5)
    /// Room for the answers to `maximumUnderWay` requests, as far as the system gives it.
    private static let receiveBuffer: Int32 = 16 << 20

    /// - Throws: `DrillFailure` when the gateway's port cannot be used from here.
    init(
        gateway: NodeSpec, load: DrillFile.Load, sip: DrillFile.SIP, names: ContactNames, recorder: HistoryRecorder,
        ttl: Duration
    ) async throws {
        self.load = load
        self.recorder = recorder
        self.ttl = Int(ttl.components.seconds)
        let port = gateway.sip?.udp ?? 0
        do {
            server = try SocketAddress.makeAddressResolvingHost(gateway.address, port: port)
            let group = MultiThreadedEventLoopGroup.singleton
            // A connected socket tells which address leads there; but it is closed for good as soon as nobody listens,
            // as while a gateway restarts.
            let probe = try await DatagramBootstrap(group: group).connect(to: server).get()
            let host = probe.localAddress?.ipAddress
            try await probe.close().get()
            channel = try await DatagramBootstrap(group: group)
                .channelOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(Self.receiveBuffer))
                .bind(host: host ?? gateway.address, port: 0).get()
        } catch {
            throw DrillFailure.unreachable("\(gateway.name), UDP port \(port) of \(gateway.address): \(error)")
        }
        guard let local = channel.localAddress, let host = local.ipAddress, let localPort = local.port else {
            throw DrillFailure.unreachable("the phones' socket has no address")
        }
        let script = SIPScript(
            domain: load.domain, names: names, host: host, port: localPort, password: sip.password,
            accounts: sip.accounts)
        state = Mutex(
            State(
                plan: LoadPlan(contacts: load.registrations, churnPerSecond: 0),
                phones: SIPPhones(script: script, contacts: load.registrations)))
        // Nothing comes before something was sent, so the handler may be added last.
        do {
            try await channel.pipeline.addHandler(SIPInbox { [weak self] datagram in self?.take(datagram) }).get()
        } catch {
            throw DrillFailure.unreachable("the phones' socket closed: \(error)")
        }
    }

    func registerAll(within limit: Duration) async throws {
        let deadline = SystemClock.monotonic() + limit
        try await all(ttl: ttl, until: deadline)
        let missing = Set(0..<load.registrations).subtracting(
            recorder.operations.lazy.filter { $0.isRegister && $0.isAcknowledged }.map(\.contact))
        guard missing.isEmpty else {
            let refusal = state.withLock(\.lastRefusal).map { ": \($0.outcome)" } ?? ""
            throw DrillFailure.unreachable("\(missing.count) phones could not register in time\(refusal)")
        }
    }

    func run() async {
        let start = SystemClock.monotonic()
        var refreshed = 0
        while !Task.isCancelled {
            let now = SystemClock.monotonic()
            let elapsed = Double((now - start).nanoseconds) / 1e9
            let (actions, isOver) = state.withLock { state in
                var actions = state.phones.tick(at: now)
                while !state.stopped, Double(refreshed) < elapsed * Double(load.renewalsPerSecond) {
                    refreshed += 1
                    guard state.underWay < Self.maximumUnderWay, case .renew(let contact) = state.plan.renewal()
                    else { continue }
                    state.underWay += 1
                    actions += state.phones.start(contact, ttl: ttl, at: now)
                }
                return (actions, state.stopped && state.underWay == 0)
            }
            perform(actions)
            if isOver { return }
            try? await Task.sleep(for: Self.tick)  // Cancelled: the loop's condition sees it.
        }
    }

    func stop() { state.withLock { $0.stopped = true } }

    func cleanUp() async {
        // What does not leave in time runs out.
        try? await all(ttl: 0, until: SystemClock.monotonic() + SIPPhones.timeout)
    }

    func close() async {
        try? await channel.close()  // It may have closed itself already.
    }

    var sip: SIPCounts? { state.withLock(\.phones.counts) }

    /// Every phone once, `registrationWindow` at a time.
    private func all(ttl: Int, until deadline: MonotonicInstant) async throws {
        var next = 0
        while SystemClock.monotonic() < deadline {
            let now = SystemClock.monotonic()
            let (actions, isOver) = state.withLock { state in
                var actions = state.phones.tick(at: now)
                while state.underWay < Self.registrationWindow, next < load.registrations {
                    actions += state.phones.start(next, ttl: ttl, at: now)
                    state.underWay += 1
                    next += 1
                }
                return (actions, next == load.registrations && state.underWay == 0)
            }
            perform(actions)
            if isOver { return }
            try await Task.sleep(for: Self.tick)
        }
    }

    private func take(_ datagram: ByteBuffer) {
        let now = SystemClock.monotonic()
        perform(state.withLock { $0.phones.take(datagram, at: now) })
    }

    private func perform(_ actions: [SIPPhones.Action]) {
        guard !actions.isEmpty else { return }
        for action in actions {
            switch action {
            case .send(let request):
                channel.write(AddressedEnvelope(remoteAddress: server, data: request), promise: nil)
            case .record(let operation):
                recorder.record(operation)
                if !operation.isAcknowledged { state.withLock { $0.lastRefusal = operation } }
            case .finished(let contact):
                state.withLock { state in
                    state.underWay -= 1
                    state.plan.finished(.renew(contact))
                }
            }
        }
        channel.flush()
    }
}

/// Hands datagrams on. A refused one (nobody listens at the moment) is as good as lost, so errors end nothing.
private final class SIPInbox: ChannelInboundHandler, Sendable {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let take: @Sendable (ByteBuffer) -> Void

    init(_ take: @escaping @Sendable (ByteBuffer) -> Void) { self.take = take }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(unwrapInboundIn(data).data) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
