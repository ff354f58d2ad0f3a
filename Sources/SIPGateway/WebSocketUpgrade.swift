import NIOCore
import NIOHTTP1
import Synchronization
import WebSocketFrames

/// The opening handshake of SIP over websocket: any path, subprotocol `sip`. Source: RFC 7118 section 4.1.
final class WebSocketUpgrade: HTTPServerProtocolUpgrader {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []

    /// Made when the handshake is done.
    private let makeHandler: () -> WebSocketHandler

    init(makeHandler: @escaping () -> WebSocketHandler) { self.makeHandler = makeHandler }

    /// Sets up a new channel, on its event loop.
    static func begin(
        _ channel: any Channel, _ core: SIPLane.Core, _ transport: SIPTransport, counters: SIPCounters,
        settings: SIPSettings, probation: Probation
    ) throws {
        counters.open.count()
        channel.closeFuture.whenComplete { _ in counters.open.subtract(1, ordering: .relaxed) }
        let answerer = HandshakeRefusalHandler(refusal: { problem($0) }, onRefused: { counters.malformed.count() })
        let upgrade = WebSocketUpgrade {
            WebSocketHandler(core, transport, counters: counters, settings: settings, probation: probation)
        }
        let isolated = NIOLoopBound(answerer, eventLoop: channel.eventLoop)
        let configuration: NIOHTTPServerUpgradeConfiguration = (
            upgraders: [upgrade],
            completionHandler: { $0.pipeline.syncOperations.removeHandler(isolated.value, promise: nil) }
        )
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withServerUpgrade: configuration, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: OpeningHandshake.decoderLimits)
        try channel.pipeline.syncOperations.addHandler(answerer)
    }

    /// What keeps a request from becoming SIP over websocket; nil when nothing does.
    private static func problem(_ head: HTTPRequestHead) -> HandshakeRefusal? {
        if let problem = OpeningHandshake.problem(head) { return problem }
        do throws(HandshakeRefusal) {
            let offered = try Subprotocols.offered(head.headers)
            return offered.contains("sip") ? nil : .bad("expected the subprotocol sip in \(Subprotocols.header)")
        } catch {
            return error
        }
    }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        // A failure here hands the request to the handler that answers refusals.
        if let problem = Self.problem(upgradeRequest) { return channel.eventLoop.makeFailedFuture(problem) }
        return OpeningHandshake.response(
            to: upgradeRequest, initialResponseHeaders, channel, adding: [Subprotocols.header: "sip"])
    }

    func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
        let operations = context.channel.pipeline.syncOperations
        return context.eventLoop.makeCompletedFuture { try operations.addHandler(makeHandler()) }
    }
}
