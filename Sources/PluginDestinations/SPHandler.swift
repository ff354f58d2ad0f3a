import NIOCore

/// One end of a pipeline connection: greets, and hands over whole messages. A connection that breaks the protocol
/// is closed.
final class SPHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Event: Sendable {
        /// The other side has greeted, so it is what it should be.
        case ready
        case message(ByteBuffer)
        case closed((any Error)?)
    }

    private let role: SPRole
    private let onEvent: (Event) -> Void
    private var reader: SPFrameReader
    private var isReady = false
    private var failure: (any Error)?

    /// - Parameter onEvent: called on the channel's event loop, the last time with `closed`
    init(role: SPRole, maximumMessage: Int, onEvent: @escaping (Event) -> Void) {
        self.role = role
        self.onEvent = onEvent
        reader = SPFrameReader(peer: role.peer, maximumMessage: maximumMessage)
    }

    func channelActive(context: ChannelHandlerContext) {
        let greeting = context.channel.allocator.buffer(bytes: SPFrameReader.greeting(of: role))
        context.writeAndFlush(wrapOutboundOut(greeting), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        reader.append(unwrapInboundIn(data))
        do {
            while let message = try reader.next() {
                becomeReady()
                onEvent(.message(message))
            }
            becomeReady()
        } catch {
            failure = error
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { onEvent(.closed(failure)) }

    private func becomeReady() {
        guard !isReady, reader.hasGreeting else { return }
        isReady = true
        onEvent(.ready)
    }
}

extension Channel {
    /// Sends a message, behind its length.
    func writeMessage(_ message: [UInt8]) -> EventLoopFuture<Void> {
        var buffer = allocator.buffer(capacity: 8 + message.count)
        buffer.writeInteger(UInt64(message.count))
        buffer.writeBytes(message)
        return writeAndFlush(buffer)
    }
}
