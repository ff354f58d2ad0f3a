package import ClusterRuntime
import Foundation
package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// A websocket client (RFC 6455) for the cluster's own API: text messages of one frame or many, each a JSON array.
package struct WebSocketClient: Sendable {
    package struct Endpoint: Hashable, Sendable {
        package var host: String
        package var port: Int
        /// Such as `/ws` or `/ws/token/v1/TOKEN`.
        package var path: String
        /// Nil for plain connections.
        package var trust: ServerTrust?

        package init(host: String, port: Int, path: String) {
            self.host = host
            self.port = port
            self.path = path
        }

        /// - Parameter node: a `wssubscr`.
        package init(_ node: NodeSpec, path: String) {
            self.init(host: node.address, port: node.websocket?.port ?? 0, path: path)
            trust = node.websocket?.tls.map(ServerTrust.init)
        }
    }

    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// The server did not switch protocols: not a websocket address, or the token was refused.
        case notUpgraded(Endpoint)
        /// The connection ended while something was still expected of it.
        case closed

        package var description: String {
            switch self {
            case .notUpgraded(let endpoint):
                "\(endpoint.host):\(endpoint.port) did not accept a websocket (its token may have been refused)"
            case .closed: "the connection was closed"
            }
        }
    }

    /// Largest message taken, in bytes.
    static let maximumMessage = 16 << 20

    private enum Upgrade: Sendable {
        case upgraded(NIOAsyncChannel<WebSocketFrame, WebSocketFrame>)
        case refused
    }

    private let group: any EventLoopGroup

    package init(group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton) { self.group = group }

    /// Connects, runs `body` with the connection, and closes it.
    /// - Throws: what `body` throws, `Failure`, and the errors of connecting.
    package func withConnection<Result>(
        to endpoint: Endpoint, timeout: Duration = .seconds(5),
        _ body: (WebSocketConnection) async throws -> Result
    ) async throws -> Result {
        let upgrade = try await ClientBootstrap(group: group)
            .connectTimeout(.nanoseconds(timeout.nanoseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connect(host: endpoint.host, port: endpoint.port) { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel, endpoint, timeout) }
            }
        switch try await upgrade.get() {
        case .refused: throw Failure.notUpgraded(endpoint)
        case .upgraded(let channel):
            return try await channel.executeThenClose { inbound, outbound in
                try await body(WebSocketConnection(channel: channel.channel, inbound: inbound, outbound: outbound))
            }
        }
    }

    private static func configure(
        _ channel: any Channel, _ endpoint: Endpoint, _ timeout: Duration
    ) throws -> EventLoopFuture<Upgrade> {
        if let trust = endpoint.trust {
            try channel.pipeline.syncOperations.addHandler(trust.handler(host: endpoint.host))
        }
        let upgrader = NIOTypedWebSocketClientUpgrader<Upgrade>(maxFrameSize: maximumMessage) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 4096,
                        maxAccumulatedFrameSize: maximumMessage))
                return .upgraded(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
            }
        }
        var headers = HTTPHeaders()
        headers.add(name: "Host", value: "\(endpoint.host):\(endpoint.port)")
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: endpoint.path, headers: headers)
        let upgrade = NIOTypedHTTPClientUpgradeConfiguration<Upgrade>(
            upgradeRequestHead: head, upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
                channel.close(promise: nil)
                return channel.eventLoop.makeSucceededFuture(.refused)
            })
        // A stopped process accepts connections (the kernel does) and never answers.
        let deadline = channel.eventLoop.scheduleTask(in: .nanoseconds(timeout.nanoseconds)) {
            channel.close(promise: nil)
        }
        let result = try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: .init(upgradeConfiguration: upgrade))
        result.whenComplete { _ in deadline.cancel() }
        return result
    }
}
