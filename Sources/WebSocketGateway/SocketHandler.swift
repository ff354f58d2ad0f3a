import ClusterRuntime
import DequeModule
import NIOCore
import RegistrarEvents
import WSSubscrActor
import WebSocketFrames

/// One websocket: carries out what its machines decide about frames, liveness, protocol and flow.
///
/// Lives on its channel's event loop. Frames go out as bytes; there is no encoder behind it.
final class SocketHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let environment: SocketEnvironment
    let lane: SocketLane
    let terms: HandshakeTerms
    private var reader: MessageReader
    private var liveness: Liveness
    private var conversation: Conversation
    private var feeds = SocketFeeds()
    /// Whether a feed may have something to ask for.
    private var hasRequests = false
    /// Requests that wait for the end of a login.
    private var waiting: Deque<ByteBuffer> = []
    private var waitingBytes = 0
    /// How many requests came before a login succeeded.
    private var earlyRequests = 0
    /// Whether the rest of what was read waits for another turn.
    private var isReadingLater = false
    var context: ChannelHandlerContext?
    var writer: SocketWriter?
    private var connection: UInt32 = 0
    /// Bytes that wait to be sent, or more: looked up only when it matters.
    var outstanding = 0
    private let loginDeadline: MonotonicInstant
    /// Set with the close frame that was sent; from then on nothing is taken in.
    var closingUntil: MonotonicInstant?
    /// Whether the round of deliveries under way has to do with this socket.
    private var isTouched = false
    /// Whether the lane may send what is pushed without asking.
    private var hasExpressWay = false

    /// - Parameter terms: what the handshake agreed on.
    init(environment: SocketEnvironment, lane: SocketLane, peer: Peer, terms: HandshakeTerms) {
        self.environment = environment
        self.lane = lane
        self.terms = terms
        let settings = environment.settings
        let now = SystemClock.monotonic()
        reader = MessageReader(
            maximumBytes: settings.limits.websocketMessageBytes, takesBinary: terms.isEcho,
            inflater: terms.deflate == nil ? nil : lane.inflater)
        liveness = Liveness(interval: settings.pingInterval, now: now)
        conversation = Conversation(
            peer: peer, site: settings.site, maximumSubscriptions: settings.limits.subscriptionsPerConnection,
            serves: { [node = environment.node] in node.serves($0) }, service: terms.service)
        loginDeadline = now + settings.loginTime
    }

    /// Whose domain's socket it is, once a user has logged in or a service's token was taken.
    var domain: DomainName? { conversation.member?.domain }

    /// Whose socket it is, once a user has logged in.
    var user: DirectoryChange.Removed? {
        guard let member = conversation.member, member.registration != nil else { return nil }
        return .init(member.domain, AccountID(.user, member.account))
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        writer = SocketWriter(context.channel, isPlain: environment.settings.tls == nil)
        connection = lane.add(self)
        // Its handshake was under way when the others were told.
        if environment.isDraining { close(.serviceRestart, SocketLane.farewell) }
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
        reader.feed(Self.unwrapInboundIn(data))
        if !isReadingLater { readOn() }
    }

    /// Handles what has been read, for a while: one read may hold a thousand requests, and others of the loop wait.
    private func readOn() {
        let begun = SystemClock.monotonic()
        while let context, let action = reader.next() {
            received(action, context)
            guard SystemClock.monotonic() - begun < Self.longestTurn else { return readLater() }
        }
        guard isReadingLater else { return }
        isReadingLater = false
        setReading(true)
    }

    /// About what the largest request takes.
    private static let longestTurn: Duration = .milliseconds(2)

    /// Goes on when it is its turn again. Nothing more is read until then, so that little waits.
    private func readLater() {
        if !isReadingLater {
            isReadingLater = true
            setReading(false)
        }
        lane.readLater(self)
    }

    /// It is its turn again.
    func goOnReading() {
        liveness.heard(at: SystemClock.monotonic())  // it was the server that did not read
        readOn()
        writer?.flush()
    }

    private func setReading(_ isOn: Bool) {
        // An option of every socket's channel; one that has closed meanwhile needs it no more.
        try? context?.channel.syncOptions?.setOption(.autoRead, value: isOn)
    }

    private func received(_ action: MessageReader.Action, _ context: ChannelHandlerContext) {
        guard closingUntil == nil else {
            // All that matters now is the client's own close frame.
            switch action {
            case .close, .fail: context.close(promise: nil)
            case .text, .binary, .ping, .pong: break
            }
            return
        }
        switch action {
        case .pong: break
        case .text(let text): terms.isEcho ? echo(.text, text) : received(text)
        case .binary(let bytes):
            precondition(terms.isEcho, "a binary message, which the reader was not told to take")
            echo(.binary, bytes)
        case .ping(let payload): answer(Frames.pong(payload))
        case .close(let code):
            closingUntil = .distantPast
            write(Frames.close(code, ""))
            writer?.flush()
            context.close(promise: nil)
        case .fail(let code, let reason): fail(code, reason)
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
        context.close(promise: nil)  // the connection broke
    }

    // MARK: Time

    func tick(at now: Moment) {
        guard let context else { return }
        if let closingUntil {
            if now.monotonic >= closingUntil { context.close(promise: nil) }
            return
        }
        if conversation.member == nil, !conversation.isLoggingIn, !terms.isEcho, now.monotonic >= loginDeadline {
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
            let settings = environment.settings
            guard waiting.count < settings.waitingMessages,
                waitingBytes + text.readableBytes <= settings.limits.websocketMessageBytes
            else {
                close(.policyViolation, "too many requests before the login's answer")
                return
            }
            waitingBytes += text.readableBytes
            waiting.append(text.compacted)
            return
        }
        handle(text)
    }

    private func handle(_ text: ByteBuffer) {
        guard isKnown() else { return }
        perform(conversation.received(text, at: SystemClock.now()))
    }

    /// Whether the client has logged in, or may ask some more before it does.
    private func isKnown() -> Bool {
        guard conversation.member == nil else { return true }
        earlyRequests += 1
        guard earlyRequests > environment.settings.earlyMessages else { return true }
        environment.counters.protocolErrors.count()
        close(.policyViolation, "too many requests without a login")
        return false
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
        let result = environment.logins.confirmed(result)
        guard context != nil, closingUntil == nil else {
            // The client left meanwhile: nobody is there to stay registered.
            if case .success(let member) = result { environment.logins.close(member) }
            return
        }
        perform(conversation.loginFinished(result))
        while !conversation.isLoggingIn, closingUntil == nil, let text = waiting.popFirst() {
            waitingBytes -= text.readableBytes
            handle(text)
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
            feeds.ended(number, isRenewed: conversation.entries[number] != nil)
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
                // What it pulls is for nobody else: compressing that costs some fifty times what copying does.
                let deflate = flow == .pushed ? terms.deflate : nil
                write(round.frames(of: batch, head: feeds[index].head, deflate: deflate))
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
            SocketTable.ExpressWay(
                descriptor: descriptor, number: feed.number, head: feed.head, deflate: terms.deflate), of: connection)
    }

    func closeExpressWay() {
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
}
