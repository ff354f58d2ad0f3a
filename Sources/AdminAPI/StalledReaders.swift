import Logging
import NIOCore

/// Ends the connection of a client that does not read what it asked for. Its request would wait for it for ever, hold
/// one of the node's connections, and hold up the node's end.
///
/// The library closes idle connections, but not those with an answer under way.
final class StalledReaders: ChannelInboundHandler, RemovableChannelHandler {
    /// Parts pass through as they are.
    typealias InboundIn = Any

    private let limit: TimeAmount
    private let logger: Logger
    private var end: Scheduled<Void>?

    init(limit: TimeAmount, logger: Logger) {
        self.limit = limit
        self.logger = logger
    }

    /// Told when so much waits for the client that no more is written, and when it has read most of that.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        end?.cancel()
        end = nil
        if !context.channel.isWritable {
            end = context.eventLoop.scheduleTask(in: limit) { [channel = context.channel, logger, limit] in
                logger.warning(
                    "a client has read nothing of its answer for \(limit.nanoseconds / 1_000_000_000) s; disconnected",
                    metadata: ["client": "\(channel.remoteAddress.map { "\($0)" } ?? "unknown")"])
                channel.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end?.cancel()
        context.fireChannelInactive()
    }
}
