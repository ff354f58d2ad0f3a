import ClusterRuntime
import NIOCore
import NIOHTTP1
import WebSocketFrames

/// One connection's opening handshake: decides about the request, and turns the channel into a websocket.
final class Handshake: HTTPServerProtocolUpgrader {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []

    private let environment: SocketEnvironment
    private let lane: SocketLane
    private let peer: Peer
    private var terms = HandshakeTerms()
    /// Why the request is refused, when its head alone does not say.
    private(set) var refusal: HandshakeRefusal?
    private var deadline: Scheduled<Void>?

    init(environment: SocketEnvironment, lane: SocketLane, peer: Peer) {
        self.environment = environment
        self.lane = lane
        self.peer = peer
    }

    /// Sets up a new channel, on its event loop.
    static func begin(
        _ channel: any Channel, environment: SocketEnvironment, lane: SocketLane
    ) throws {
        let handshake = Handshake(environment: environment, lane: lane, peer: Peer(channel.remoteAddress))
        handshake.deadline = channel.eventLoop.scheduleTask(in: TimeAmount(environment.settings.handshakeTime)) {
            environment.counters.handshakesRefused.count()
            channel.close(promise: nil)
        }
        let rules = environment.settings.handshakes
        let answerer = HandshakeRefusalHandler(
            refusal: { head in handshake.refusal ?? HandshakeRoute(head, rules).refusal },
            onRefused: { environment.counters.handshakesRefused.count() })
        let deadline = handshake.deadline
        channel.closeFuture.whenComplete { _ in deadline?.cancel() }
        let isolated = NIOLoopBound((handshake, answerer), eventLoop: channel.eventLoop)
        let upgrade: NIOHTTPServerUpgradeConfiguration = (
            upgraders: [handshake],
            completionHandler: { context in
                isolated.value.0.deadline?.cancel()
                context.pipeline.syncOperations.removeHandler(isolated.value.1, promise: nil)
            }
        )
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withServerUpgrade: upgrade, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: OpeningHandshake.decoderLimits)
        try channel.pipeline.syncOperations.addHandler(answerer)
    }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        let route = HandshakeRoute(upgradeRequest, environment.settings.handshakes)
        guard !environment.isDraining else { return refuse(.drained, channel) }
        if case .refused(let refusal) = route { return refuse(refusal, channel) }
        do throws(HandshakeRefusal) {
            terms = try HandshakeTerms(upgradeRequest.headers, environment.settings.handshakes)
        } catch {
            return refuse(error, channel)
        }
        let headers = terms.headers
        let response: @Sendable () -> EventLoopFuture<HTTPHeaders> = {
            OpeningHandshake.response(to: upgradeRequest, initialResponseHeaders, channel, adding: headers)
        }
        switch route {
        case .refused, .user: return response()
        case .echo:
            terms.isEcho = true
            return response()
        case .service(let token):
            let logins = environment.logins
            let peer = peer
            let handshake = NIOLoopBound(self, eventLoop: channel.eventLoop)
            return channel.eventLoop.makeFutureWithTask { () -> Result<Member, HandshakeRefusal> in
                do throws(HandshakeRefusal) {
                    return .success(try await logins.service(token, from: peer))
                } catch {
                    return .failure(error)
                }
            }.flatMap { result in
                switch result {
                case .success(let member):
                    handshake.value.terms.service = member
                    return response()
                case .failure(let refusal): return handshake.value.refuse(refusal, channel)
                }
            }
        }
    }

    private struct Refused: Error {}

    private func refuse(_ refusal: HandshakeRefusal, _ channel: any Channel) -> EventLoopFuture<HTTPHeaders> {
        self.refusal = refusal
        return channel.eventLoop.makeFailedFuture(Refused())
    }

    /// The switch to websocket: bytes go to the socket from now on.
    func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
        let operations = context.channel.pipeline.syncOperations
        return context.eventLoop.makeCompletedFuture {
            try operations.addHandler(SocketHandler(environment: environment, lane: lane, peer: peer, terms: terms))
        }
    }
}

extension Peer {
    init(_ address: SocketAddress?) {
        let text = address?.ipAddress ?? ""
        self.init(address: text, port: UInt16(clamping: address?.port ?? 0), network: NetworkOfAddress.text(text))
    }
}

extension TimeAmount {
    /// NIO's own conversion is of the same name, but not public on all its platforms.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
