import NIOCore
import NIOPosix
import NIOSSL
import SIP
import Synchronization
import Testing

@testable import SIPGateway

/// A device's datagram socket.
final class DatagramClient: Sendable {
    private let channel: any Channel
    private let server: SocketAddress
    private let inbox: Inbox

    /// What came in and nobody has taken.
    private final class Inbox: ChannelInboundHandler, Sendable {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        let datagrams = Mutex<[[UInt8]]>([])

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(Self.unwrapInboundIn(data).data.readableBytesView)
            datagrams.withLock { $0.append(bytes) }
        }
    }

    /// - Parameters:
    ///   - port: the server's.
    ///   - address: of the loopback network, with a port of its own; any address of that network is this machine's.
    init(port: Int, address: String = "127.0.0.1", localPort: Int = 0) async throws {
        server = try SocketAddress(ipAddress: "127.0.0.1", port: port)
        let inbox = Inbox()
        self.inbox = inbox
        channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(inbox) }
            }
            .bind(host: address, port: localPort).get()
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func send(_ bytes: [UInt8]) {
        let envelope = AddressedEnvelope(remoteAddress: server, data: ByteBuffer(bytes: bytes))
        channel.writeAndFlush(envelope, promise: nil)
    }

    func send(_ text: String) { send([UInt8](text.utf8)) }

    /// The next datagram.
    func next() async throws -> [UInt8] {
        try await eventually("a datagram comes") { inbox.datagrams.withLock { !$0.isEmpty } }
        return inbox.datagrams.withLock { $0.removeFirst() }
    }

    /// Datagrams that came and were not taken.
    var count: Int { inbox.datagrams.withLock { $0.count } }

    func answer(_ text: String) async throws -> Answer {
        send(text)
        return try Answer(try await next())
    }

    func close() async throws { try await channel.close() }
}

/// A device's connection.
final class StreamClient: Sendable {
    private let channel: any Channel
    private let inbox: Inbox

    private final class Inbox: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        struct State {
            var framer = StreamFramer()
            var count = 0
            var isClosed = false
        }
        let state = Mutex(State())

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Self.unwrapInboundIn(data).readableBytesView
            state.withLock { state in
                state.framer.append(bytes)
                state.count += bytes.count
            }
        }

        func channelInactive(context: ChannelHandlerContext) { state.withLock { $0.isClosed = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    init(port: Int, tls: NIOSSLContext? = nil) async throws {
        let inbox = Inbox()
        self.inbox = inbox
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let handler = try NIOSSLClientHandler(context: tls, serverHostname: nil)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(inbox)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    func send(_ bytes: some Sequence<UInt8>) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: Array(bytes)))
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// The next message or keep-alive.
    func next() async throws -> StreamFramer.Frame {
        var frame: StreamFramer.Frame?
        try await eventually("a frame comes") {
            frame = try inbox.state.withLock { try $0.framer.next() }
            return frame != nil
        }
        return try #require(frame)
    }

    func answer() async throws -> Answer {
        guard case .message(let bytes) = try await next() else { throw NotInTime(description: "a keep-alive came") }
        return try Answer(bytes)
    }

    /// Waits until the server has closed the connection.
    func closed() async throws {
        try await eventually("the connection is closed") { inbox.state.withLock { $0.isClosed } }
    }

    /// Bytes that came in.
    var count: Int { inbox.state.withLock { $0.count } }
    var isClosed: Bool { inbox.state.withLock { $0.isClosed } }

    func close() async throws { try await channel.close() }
}
