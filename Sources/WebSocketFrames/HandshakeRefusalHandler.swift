package import NIOCore
package import NIOHTTP1

/// Answers requests that become no websocket, and closes.
package final class HandshakeRefusalHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundOut = HTTPServerResponsePart

    private let refusal: (HTTPRequestHead) -> HandshakeRefusal?
    private let onRefused: () -> Void
    private var isAnswered = false

    /// - Parameters:
    ///   - refusal: why a request is refused; nil when it could have been a handshake.
    ///   - onRefused: called once, with the first refusal.
    package init(refusal: @escaping (HTTPRequestHead) -> HandshakeRefusal?, onRefused: @escaping () -> Void) {
        self.refusal = refusal
        self.onRefused = onRefused
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = Self.unwrapInboundIn(data), !isAnswered else { return }
        isAnswered = true
        onRefused()
        answer(refusal(head) ?? .bad("expected an opening handshake"), context)
    }

    private func answer(_ refusal: HandshakeRefusal, _ context: ChannelHandlerContext) {
        let body = ByteBuffer(string: refusal.reason + "\n")
        var head = HTTPResponseHead(version: .http1_1, status: refusal.status)
        for header in refusal.headers { head.headers.add(name: header[0], value: header[1]) }
        head.headers.add(name: "Content-Type", value: "text/plain; charset=utf-8")
        head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        head.headers.add(name: "Connection", value: "close")
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.value.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            context.value.close(promise: nil)
        }
    }

    /// Malformed HTTP is answered before it gets here; what else goes wrong before a websocket is there ends it.
    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPServerUpgradeErrors || error is HTTPParserError else { return }
        if !isAnswered { onRefused() }
        isAnswered = true
        context.close(promise: nil)
    }
}
