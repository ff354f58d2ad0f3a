import NIOCore
import NIOPosix

/// An HTTP server on a port of the loopback address that says what a test wants: also what real parts do not say at
/// will, such as an answer that begins and does not end.
package final class CannedServer: Sendable {
    package enum Answer: Sendable {
        case whole(status: Int, String)
        case redirection(to: String)
        /// It begins, and goes on a byte at a time for as long as anybody listens.
        case endless
    }

    package let port: Int
    package var url: String { "http://127.0.0.1:\(port)" }
    private let channel: any Channel

    /// Serves for the time of `body`.
    /// - Parameter answer: what to say to a request, of which it is given the first line and the body.
    package static func with(
        _ answer: @escaping @Sendable (_ line: String, _ body: String) -> Answer,
        _ body: (CannedServer) async throws -> Void
    ) async throws {
        let server = try await CannedServer(answer)
        do {
            try await body(server)
            try await server.channel.close()
        } catch {
            try await server.channel.close()
            throw error
        }
    }

    private init(_ answer: @escaping @Sendable (String, String) -> Answer) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(CannedAnswers(answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }
}

private final class CannedAnswers: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: @Sendable (String, String) -> CannedServer.Answer
    private var received = ""

    init(_ answer: @escaping @Sendable (String, String) -> CannedServer.Answer) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += String(buffer: unwrapInboundIn(data))
        guard let end = received.firstRange(of: "\r\n\r\n") else { return }
        let length = received[..<end.lowerBound].lowercased().firstMatch(of: #/content-length: (\d+)/#)
            .flatMap { Int($0.1) }
        let body = received[end.upperBound...]
        guard body.utf8.count >= length ?? 0 else { return }
        let line = received.prefix { !$0.isNewline }
        say(answer(String(line), String(body)), to: context.channel)
        received = ""
    }

    private func say(_ answer: CannedServer.Answer, to channel: any Channel) {
        switch answer {
        case .whole(let status, let text):
            send("HTTP/1.1 \(status) Canned\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)", to: channel)
        case .redirection(let location):
            send("HTTP/1.1 307 Canned\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n", to: channel)
        case .endless:
            send("HTTP/1.1 200 Canned\r\nContent-Length: 1000000\r\n\r\n{", to: channel)
            channel.eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(20), delay: .milliseconds(20)) { task in
                guard channel.isActive else { return task.cancel() }
                channel.writeAndFlush(ByteBuffer(string: " "), promise: nil)
            }
        }
    }

    private func send(_ text: String, to channel: any Channel) {
        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
    }
}
