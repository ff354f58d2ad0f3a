import ClusterRuntime
import NIOCore
import SIP

/// SIP over UDP: a datagram in is a message (RFC 3261 section 18.3), a keep-alive (RFC 5626 section 4.4), or nothing.
final class DatagramHandler: ChannelInboundHandler, SIPSocket {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let core: SIPLane.Core
    private let counters: SIPCounters
    private var context: ChannelHandlerContext?
    /// The peer of the datagram before: in a burst many come from one.
    private var latest: (address: SocketAddress, peer: SIPPeer)?
    private var now: Moment?
    /// What is to be sent at the next flush, end to end in one buffer.
    private var burst = ByteBuffer()
    private var written: [(address: SocketAddress, count: Int)] = []

    /// Of a burst's buffer, in bytes: one that was larger is let go.
    private static let keptBurst = 1 << 20

    init(_ core: SIPLane.Core, counters: SIPCounters) {
        self.core = core
        self.counters = counters
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        core.setDatagramSocket(self, port: context.localAddress?.port)
    }

    func channelInactive(context: ChannelHandlerContext) {
        core.setDatagramSocket(nil, port: nil)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = Self.unwrapInboundIn(data)
        // From port 0, which is nobody's (RFC 768): an answer cannot be sent, and the attempt would close the socket.
        guard envelope.remoteAddress.port != 0 else { return }
        let bytes = Array(envelope.data.readableBytesView)
        // Nothing but line ends: to keep a binding of an address translator alive.
        guard let first = bytes.first, !bytes.allSatisfy({ $0 == 13 || $0 == 10 || $0 == 0 }) else { return }
        let route = Route(way: .datagram(envelope.remoteAddress), peer: peer(envelope.remoteAddress))
        let now = now ?? SystemClock.now()
        self.now = now
        if first < 4, STUN.isBindingRequest(bytes) { return answerSTUN(bytes, route, at: now) }
        core.received(bytes, from: route, at: now)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        now = nil
        core.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An address that could not be reached reports itself here. Nothing is to be done: its device asks again.
    }

    func write(_ bytes: [UInt8], to route: Route) {
        switch route.way {
        case .datagram(let address): write(bytes, to: address)
        // The system's refusal of one datagram would close the socket for everybody.
        case .hearsay(let address):
            guard let own = context?.localAddress, address.isReachable(from: own) else {
                return counters.unsent.count()
            }
            write(bytes, to: address)
        case .stream: return
        }
    }

    private func write(_ bytes: [UInt8], to address: SocketAddress) {
        guard bytes.count <= Route.maximumDatagram else { return counters.unsent.count() }
        burst.writeBytes(bytes)
        written.append((address, bytes.count))
    }

    func flush() {
        guard !written.isEmpty else { return }
        let channel = context?.channel
        for (address, count) in written {
            guard let data = burst.readSlice(length: count) else { preconditionFailure("a burst is what was written") }
            // Whoever misses an answer asks again.
            guard channel?.isWritable == true else {
                counters.unsent.count()
                continue
            }
            context?.write(Self.wrapOutboundOut(AddressedEnvelope(remoteAddress: address, data: data)), promise: nil)
        }
        written.removeAll(keepingCapacity: true)
        context?.flush()
        // The same memory again, unless some of it waits to be sent.
        if burst.capacity <= Self.keptBurst { burst.clear() } else { burst = ByteBuffer() }
    }

    /// Nothing is kept of whoever sends datagrams.
    func granted() {}

    private func peer(_ address: SocketAddress) -> SIPPeer {
        if let latest, latest.address == address { return latest.peer }
        let peer = SIPPeer(.udp, address)
        latest = (address, peer)
        return peer
    }

    private func answerSTUN(_ request: [UInt8], _ route: Route, at now: Moment) {
        guard case .datagram(let address) = route.way, core.admits(route.peer, at: now) else { return }
        write(STUN.bindingSuccess(to: request, address: address.octets, port: route.peer.port), to: route)
    }
}

extension SocketAddress {
    /// The address in network order: 4 or 16 bytes; none of a local socket.
    var octets: [UInt8] {
        switch self {
        // Where the address stands in a sockaddr. Sources: ip(7), ipv6(7).
        case .v4(let v4): withUnsafeBytes(of: v4.address) { Array($0[4..<8]) }
        case .v6(let v6): withUnsafeBytes(of: v6.address) { Array($0[8..<24]) }
        case .unixDomainSocket: []
        }
    }
}
