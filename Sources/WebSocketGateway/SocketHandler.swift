import ClusterRuntime
import DequeModule
import NIOCore
import NIOWebSocket
import RegistrarEvents
import WSSubscrActor
import WebSocketFrames

/// What a socket shares with all others of the gateway.
final class SocketEnvironment: Sendable {
    let settings: GatewaySettings
    let node: WSSubscrNode
    let logins: LoginService
    let counters: GatewayCounters

    init(settings: GatewaySettings, node: WSSubscrNode, logins: LoginService, counters: GatewayCounters) {
        self.settings = settings
        self.node = node
        self.logins = logins
        self.counters = counters
    }
}

/// One websocket: carries out what its machines decide about frames, liveness, protocol and flow.
///
/// Lives on its channel's event loop. Frames go out as bytes; there is no encoder behind it.
final class SocketHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = ByteBuffer

    private let environment: SocketEnvironment
    private let lane: SocketLane
    private var assembler: MessageAssembler
    private var liveness: Liveness
    private var conversation: Conversation
    private var feeds = SocketFeeds()
    /// Whether a feed may have something to ask for.
    private var hasRequests = false
    /// Requests that wait for the end of a login.
    private var waiting: Deque<ByteBuffer> = []
    private var context: ChannelHandlerContext?
    private var writer: SocketWriter?
    private var connection: UInt32 = 0
    /// Bytes that wait to be sent, or more: looked up only when it matters.
    private var outstanding = 0
    private let loginDeadline: MonotonicInstant
    /// Set with the close frame that was sent; from then on nothing is taken in.
    private var closingUntil: MonotonicInstant?
    /// Whether the round of deliveries under way has to do with this socket.
    private var isTouched = false
    /// Whether the lane may send what is pushed without asking.
    private var hasExpressWay = false

    init(environment: SocketEnvironment, lane: SocketLane, peer: Peer, service: Member?) {
        self.environment = environment
        self.lane = lane
        let settings = environment.settings
        let now = SystemClock.monotonic()
        assembler = MessageAssembler(maximumBytes: settings.limits.websocketMessageBytes)
        liveness = Liveness(interval: settings.pingInterval, now: now)
        conversation = Conversation(
            peer: peer, site: settings.site, maximumSubscriptions: settings.limits.subscriptionsPerConnection,
            serves: { [node = environment.node] in node.serves($0) }, service: service)
        loginDeadline = now + settings.loginTime
    }

    /// Whose socket it is, once a user has logged in.
    var user: DirectoryChange.Removed? {
        guard let member = conversation.member, member.registration != nil else { return nil }
        return .init(member.domain, AccountID(.user, member.account))
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        writer = SocketWriter(context.channel, isPlain: true)
        connection = lane.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    /// Gives up everything the connection holds.
    private func leave() {
        guard context != nil else { return }
        context = nil
        writer = nil
        lane.remove(connection)
        waiting.removeAll()
        guard let member = conversation.member else { return }
        for (number, entry) in conversation.entries.sorted(by: { $0.key < $1.key }) {
            environment.node.cancel(subscriber(number), on: entry.domain)
        }
        environment.logins.close(member)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        liveness.heard(at: SystemClock.monotonic())
        let frame = Self.unwrapInboundIn(data)
        if closingUntil != nil {
            // All that matters now is the client's own close frame.
            if frame.opcode == .connectionClose { context.close(promise: nil) }
            return
        }
        switch assembler.receive(frame) {
        case .wait, .pong: break
        case .text(let text): received(text)
        case .binary: preconditionFailure("a binary message, which the assembler was not told to take")
        case .ping(let payload): write(Frames.pong(payload))
        case .close(let code):
            closingUntil = .distantPast
            write(Frames.close(code, ""))
            writer?.flush()
            context.close(promise: nil)
        case .fail(let code, let reason):
            environment.counters.protocolErrors.count()
            close(code, reason)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        writer?.flush()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { askForMore() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? NIOWebSocketError else {
            context.close(promise: nil)  // the connection broke
            return
        }
        environment.counters.protocolErrors.count()
        switch error {
        case .invalidFrameLength:
            close(.tooBig, "a message may have \(environment.settings.limits.websocketMessageBytes) bytes")
        case .fragmentedControlFrame, .multiByteControlFrameLength:
            close(.protocolError, "a control frame that is fragmented or longer than 125 bytes")
        }
    }

    // MARK: Time

    func tick(at now: Moment) {
        guard let context else { return }
        if let closingUntil {
            if now.monotonic >= closingUntil { context.close(promise: nil) }
            return
        }
        if conversation.member == nil, !conversation.isLoggingIn, now.monotonic >= loginDeadline {
            environment.counters.timeouts.count()
            close(.policyViolation, "no login in time")
            return
        }
        switch liveness.tick(at: now.monotonic) {
        case .none: break
        case .ping:
            write(Frames.ping)
            writer?.flush()
        case .giveUp:
            environment.counters.timeouts.count()
            context.close(promise: nil)
        }
    }

    // MARK: Requests

    private func received(_ text: ByteBuffer) {
        environment.counters.messagesReceived.count()
        guard !conversation.isLoggingIn else {
            guard waiting.count < environment.settings.waitingMessages else {
                close(.policyViolation, "too many requests before the login's answer")
                return
            }
            waiting.append(text)
            return
        }
        perform(conversation.received(text, at: SystemClock.now()))
    }

    private func perform(_ actions: [Conversation.Action]) {
        for action in actions {
            switch action {
            case .reply(let json): reply(json)
            case .login(let attempt): login(attempt)
            case .subscribe(let number, let domain, let matcher, let expires, let start):
                guard let entry = conversation.entries[number] else {
                    preconditionFailure("a subscription without an entry")
                }
                closeExpressWay()
                feeds[feeds.insert(number, head: lane.shared(entry.head))].subscribed(anew: start != nil)
                environment.node.subscribe(
                    SubscribeRequest(id: subscriber(number), matcher: matcher, expires: expires, start: start),
                    on: domain)
            case .cancel(let number, let domain):
                closeExpressWay()
                feeds.remove(number)
                environment.node.cancel(subscriber(number), on: domain)
            case .close(let code, let reason):
                environment.counters.protocolErrors.count()
                close(code, reason)
            }
        }
    }

    private func subscriber(_ number: UInt32) -> SubscriberID {
        SubscriberID(lane: lane.number, connection: connection, number: number)
    }

    private func login(_ attempt: LoginAttempt) {
        let logins = environment.logins
        let socket = NIOLoopBound(self, eventLoop: lane.eventLoop)
        lane.eventLoop.makeFutureWithTask { await logins.login(attempt) }.whenSuccess { result in
            socket.value.loginFinished(result)
        }
    }

    private func loginFinished(_ result: LoginResult) {
        guard context != nil, closingUntil == nil else {
            // The client left meanwhile: nobody is there to stay registered.
            if case .success(let member) = result { environment.logins.close(member) }
            return
        }
        perform(conversation.loginFinished(result))
        while !conversation.isLoggingIn, closingUntil == nil, let text = waiting.popFirst() {
            perform(conversation.received(text, at: SystemClock.now()))
        }
        writer?.flush()
    }

    // MARK: Events

    /// Takes one delivery of a round; `finishRound` sends it off.
    func take(_ content: Delivery.Content, for number: UInt32, _ round: inout DeliveryRound) {
        guard closingUntil == nil else { return }
        closeExpressWay()
        if !isTouched {
            isTouched = true
            round.touched.append(self)
        }
        switch content {
        case .answer(let answer):
            perform(conversation.answered(number, answer))
            if conversation.entries[number] == nil { feeds.remove(number) }
        case .ended:
            conversation.ended(number)
            if conversation.entries[number] == nil { feeds.remove(number) }
        case .events(let batch, let flow): take(batch, flow, for: number, &round)
        }
    }

    private func take(_ batch: EventBatch, _ flow: Delivery.Flow, for number: UInt32, _ round: inout DeliveryRound) {
        guard let index = feeds.index(of: number) else { return }
        let wasFlowing = feeds[index].state == .flowing
        let action = feeds[index].received(batch, flow, fits: hasRoom(for: batch.byteCount))
        if feeds[index].state != .flowing { hasRequests = true }
        switch action {
        case .write:
            if !batch.tails.isEmpty {
                write(round.frames(of: batch, head: feeds[index].head))
                round.sent += batch.tails.count
            }
            if flow == .pulled(more: false), let json = conversation.synced(number, at: batch.through) {
                write(Frames.text(json))
            }
        case .drop:
            if wasFlowing { environment.counters.fellBehind.count() }
            round.dropped += batch.tails.count
        }
    }

    /// After all deliveries of a round: one flush for them.
    func finishRound() {
        isTouched = false
        guard let context else { return }
        writer?.flush()
        if hasRequests, context.channel.isWritable { askForMore() }
        openExpressWay()
    }

    /// From now on the lane sends what is pushed, when there is nothing about it that this has to see.
    private func openExpressWay() {
        guard closingUntil == nil, let feed = feeds.single, feed.state == .flowing,
            let descriptor = writer?.idleDescriptor
        else { return }
        hasExpressWay = true
        lane.setExpressWay(
            SocketTable.ExpressWay(descriptor: descriptor, number: feed.number, head: feed.head), of: connection)
    }

    private func closeExpressWay() {
        guard hasExpressWay else { return }
        hasExpressWay = false
        lane.setExpressWay(nil, of: connection)
    }

    /// What was sent by the express way did not all get through.
    func writeRest(of bytes: ByteBuffer, after sent: Int) {
        closeExpressWay()
        outstanding += bytes.readableBytes - sent
        writer?.writeRest(of: bytes, after: sent)
    }

    private func askForMore() {
        guard hasRequests, closingUntil == nil else { return }
        hasRequests = false
        for index in feeds.indices {
            let number = feeds[index].number
            guard let domain = conversation.entries[number]?.domain else { continue }
            if case .ready(let position) = feeds[index].drained() {
                environment.node.ready(subscriber(number), lostAfter: position, on: domain)
            }
        }
    }

    // MARK: Sending

    /// Whether so many bytes more are within the budget. What is larger than that alone may go when nothing waits.
    private func hasRoom(for bytes: Int) -> Bool {
        let budget = environment.settings.limits.websocketBudgetBytes
        guard outstanding + bytes > budget else { return true }
        // A client of whom that cannot be told counts as slow.
        outstanding = writer?.waitingBytes ?? outstanding
        return outstanding == 0 || outstanding + bytes <= budget
    }

    private func reply(_ json: [UInt8]) {
        guard closingUntil == nil else { return }
        guard hasRoom(for: json.count) else {
            environment.counters.protocolErrors.count()
            close(.policyViolation, "replies are not being read")
            return
        }
        environment.counters.repliesSent.count()
        write(Frames.text(json))
    }

    private func write(_ bytes: ByteBuffer) {
        closeExpressWay()
        outstanding += bytes.readableBytes
        writer?.write(bytes)
    }

    /// Says goodbye; the channel closes with the client's answer or after `closeTime`.
    func close(_ code: CloseCode, _ reason: String) {
        guard context != nil, closingUntil == nil else { return }
        closingUntil = SystemClock.monotonic() + environment.settings.closeTime
        write(Frames.close(code.rawValue, reason))
        writer?.flush()
    }
}
