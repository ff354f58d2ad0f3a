import ClusterRuntime
import NIOCore
import SIP
import Synchronization

/// SIP over TCP or TLS: a stream is cut into messages (RFC 3261 section 18.3) and keep-alives (RFC 5626 section 4.4.1).
///
/// A stream that cannot be cut is closed without an answer: nothing after it can be trusted.
final class StreamHandler: ChannelInboundHandler, SIPSocket {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let core: SIPLane.Core
    private let counters: SIPCounters
    private let transport: Via.Transport
    private let probation: Probation
    private var framer: StreamFramer
    private var context: ChannelHandlerContext?
    private var number: UInt64 = 0
    private var peer: SIPPeer?

    init(
        _ core: SIPLane.Core, _ transport: Via.Transport, counters: SIPCounters, settings: SIPSettings,
        probation: Probation
    ) {
        self.core = core
        self.counters = counters
        self.transport = transport
        self.probation = probation
        framer = StreamFramer(limits: SIPLimits(messageBytes: settings.messageBytes))
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let peer = SIPPeer(transport, context.remoteAddress)
        self.peer = peer
        number = core.add(self, from: peer)
        counters.open.count()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let peer { core.remove(number, from: peer) }
        if self.context != nil { counters.open.subtract(1, ordering: .relaxed) }
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let peer else { return }
        framer.append(Self.unwrapInboundIn(data).readableBytesView)
        let route = Route(way: .stream(number), peer: peer)
        let now = SystemClock.now()
        do throws(SIPParseError) {
            while let frame = try framer.next() {
                switch frame {
                case .message(let bytes):
                    probation.spoke()
                    core.received(bytes, from: route, at: now)
                case .keepAlivePing: if core.admits(peer, at: now) { write(Self.pong, to: route) }
                case .crlf: break
                }
            }
        } catch {
            counters.malformed.count()
            core.receivedGarbage(from: peer, at: now)
            core.flush()
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        core.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset or a failed handshake: either way the connection is of no more use.
        context.close(promise: nil)
    }

    func write(_ bytes: [UInt8], to route: Route) {
        guard let context else { return }
        // A device that reads nothing gets no more answers than its socket holds.
        guard context.channel.isWritable else { return context.close(promise: nil) }
        context.write(Self.wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    func flush() { context?.flush() }

    func granted() { probation.end() }

    private static let pong: [UInt8] = [13, 10]
}
