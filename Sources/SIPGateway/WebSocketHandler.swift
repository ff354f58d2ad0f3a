import ClusterRuntime
import NIOCore
import SIP
import WebSocketFrames

/// SIP over websocket: each message of the websocket, text or binary, is one of SIP (RFC 7118 section 4.2), or the
/// keep-alive of two line ends, which is answered by one (section 6 of that, RFC 5626 section 4.4.1).
///
/// A client that breaks the websocket protocol is told by which code, and closed. Lives on its channel's event loop.
final class WebSocketHandler: ChannelInboundHandler, SIPSocket {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let core: SIPLane.Core
    private let counters: SIPCounters
    private let transport: SIPTransport
    private let probation: Probation
    private var reader: MessageReader
    private var context: ChannelHandlerContext?
    private var number: UInt64 = 0
    private var peer: SIPPeer?
    /// Whether a message was binary. Answers may repeat bytes of it that are no UTF-8, which no text frame may hold.
    private var usesBinary = false
    /// Set with the close frame that was sent; from then on nothing is taken in.
    private var isClosing = false

    /// How long a client may take to answer a close frame. Own decision.
    private static let closeTime = TimeAmount.seconds(1)

    init(
        _ core: SIPLane.Core, _ transport: SIPTransport, counters: SIPCounters, settings: SIPSettings,
        probation: Probation
    ) {
        self.core = core
        self.transport = transport
        self.counters = counters
        self.probation = probation
        reader = MessageReader(maximumBytes: settings.messageBytes, takesBinary: true)
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let peer = SIPPeer(transport.via, context.remoteAddress)
        self.peer = peer
        number = core.add(self, from: peer)
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        guard context != nil, let peer else { return }
        context = nil
        core.remove(number, from: peer)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reader.feed(Self.unwrapInboundIn(data))
        while let action = reader.next() { received(action, context) }
    }

    private func received(_ action: MessageReader.Action, _ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        switch action {
        case .pong: break
        case .text(let message): received(message)
        case .binary(let message):
            usesBinary = true
            received(message)
        case .ping(let payload):
            // A device that reads nothing gets no more answers than its socket holds.
            guard context.channel.isWritable else { return context.close(promise: nil) }
            context.write(Self.wrapOutboundOut(Frames.pong(payload)), promise: nil)
        case .close(let code):
            isClosing = true
            context.writeAndFlush(Self.wrapOutboundOut(Frames.close(code, "")), promise: nil)
            context.close(promise: nil)
        case .fail(let code, let reason): fail(code, reason)
        }
    }

    private func received(_ message: ByteBuffer) {
        guard let peer else { return }
        let bytes = Array(message.readableBytesView)
        let route = Route(way: .stream(number), peer: peer)
        let now = SystemClock.now()
        guard !bytes.allSatisfy({ $0 == 13 || $0 == 10 }) else {
            if bytes == Self.keepAlivePing, core.admits(peer, at: now) { write(Self.keepAlivePong, to: route) }
            return
        }
        probation.spoke()
        core.received(bytes, from: route, at: now)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        core.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)  // the connection broke
    }

    /// Says goodbye to a client that broke the rules: nothing more is read or sent, and the channel closes with the
    /// client's end or after `closeTime` (RFC 6455 section 7.1.7).
    private func fail(_ code: CloseCode, _ reason: String) {
        guard let context, !isClosing else { return }
        counters.malformed.count()
        isClosing = true
        let channel = context.channel
        context.writeAndFlush(Self.wrapOutboundOut(Frames.close(code.rawValue, reason))).whenComplete { _ in
            channel.close(mode: .output, promise: nil)
        }
        context.eventLoop.scheduleTask(in: Self.closeTime) { channel.close(promise: nil) }
    }

    // MARK: SIPSocket

    func write(_ bytes: [UInt8], to route: Route) {
        guard let context, !isClosing else { return }
        // A device that reads nothing gets no more answers than its socket holds.
        guard context.channel.isWritable else { return context.close(promise: nil) }
        let frame = usesBinary ? Frames.binary(bytes) : Frames.text(bytes)
        context.write(Self.wrapOutboundOut(frame), promise: nil)
    }

    func flush() { context?.flush() }

    func granted() { probation.end() }

    private static let keepAlivePing: [UInt8] = [13, 10, 13, 10]
    private static let keepAlivePong: [UInt8] = [13, 10]
}
