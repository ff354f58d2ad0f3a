import ClusterClients
import ClusterRuntime
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// The webhook that a topology names: takes every batch, and tells of each event in it.
final class WebhookReader: Sendable {
    private let host: String
    private let port: Int
    private let take: @Sendable (UnsafeRawBufferPointer) -> Void

    /// Bytes of a request; the sender stays far below.
    private static let maximumBody = 16 << 20

    /// - Parameter take: told of each event, in order; called on an event loop.
    /// - Returns: nil when it cannot listen at the URL.
    init?(_ spec: WebhookSpec, take: @escaping @Sendable (UnsafeRawBufferPointer) -> Void) {
        guard let parts = URLComponents(string: spec.url), parts.scheme == "http", let host = parts.host,
            NetworkAddress.isLoopback(host)
        else { return nil }
        self.host = host
        port = parts.port ?? 80
        self.take = take
    }

    func start() async throws -> any Channel {
        let take = take
        return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(take))
                }
            }
            .bind(host: host, port: port).get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let take: @Sendable (UnsafeRawBufferPointer) -> Void
        private var body = ByteBuffer()

        init(_ take: @escaping @Sendable (UnsafeRawBufferPointer) -> Void) { self.take = take }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head: body = ByteBuffer()
            case .body(var part):
                guard body.readableBytes + part.readableBytes <= WebhookReader.maximumBody else {
                    return context.close(promise: nil)
                }
                body.writeBuffer(&part)
            case .end:
                let status: HTTPResponseStatus = takeEvents() ? .noContent : .badRequest
                context.write(
                    wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }

        /// `{"domain": …, "events": [ {…}, … ]}`
        private func takeEvents() -> Bool {
            body.withUnsafeReadableBytes { bytes in
                var scanner = JSONScanner(bytes)
                do throws(JSONScanner.Malformed) {
                    try scanner.members { (key, scanner) throws(JSONScanner.Malformed) in
                        guard key.equals("events") else { return try scanner.skipValue() }
                        try scanner.elements { (_, scanner) throws(JSONScanner.Malformed) in
                            take(try scanner.rawValue())
                        }
                    }
                    return true
                } catch {
                    return false
                }
            }
        }
    }
}
