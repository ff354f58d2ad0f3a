import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import RegistrarEvents
import Synchronization

/// A webhook's receiver over real HTTP: answers each request as its script says.
final class HTTPReceiver: Sendable {
    struct Request: Sendable {
        let headers: [String: String]
        let body: [UInt8]

        /// Of the body.
        var json: [String: JSONValue] {
            (try? JSONValue(parsing: body, maximumDepth: 16))?.object ?? [:]
        }

        var seqs: [Int64] { json["events"]?.array?.compactMap { $0.object?["seq"]?.integer } ?? [] }
    }

    /// A status with headers; nil: no answer at all.
    typealias Script = @Sendable (Request) -> (HTTPResponseStatus, HTTPHeaders)?

    private let channel: any Channel
    private let received: Received

    private final class Received: Sendable {
        let requests = Mutex<[Request]>([])
    }

    /// - Parameter endsAnswers: whether more than their heads are sent.
    init(endsAnswers: Bool = true, _ script: @escaping Script) async throws {
        let received = Received()
        self.received = received
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(endsAnswers) { request in
                            received.requests.withLock { $0.append(request) }
                            return script(request)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var requests: [Request] { received.requests.withLock(\.self) }
    var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)/events" }

    func close() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let endsAnswers: Bool
        private let answer: Script
        private var headers: [String: String] = [:]
        private var body: [UInt8] = []

        init(_ endsAnswers: Bool, _ answer: @escaping Script) {
            self.endsAnswers = endsAnswers
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
                body = []
            case .body(let part): body += part.readableBytesView
            case .end:
                guard let (status, headers) = answer(Request(headers: headers, body: body)) else { return }
                let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
                context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
                if endsAnswers { context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil) }
            }
        }
    }
}
