import ClusterRuntime
import Foundation
package import NIOCore
import NIOWebSocket
package import RegistrarEvents
import Synchronization

/// An open websocket. Pings are answered while messages are being read.
package struct WebSocketConnection: Sendable {
    /// When the peer was last heard, for `whileAlive`.
    private final class Hearing: Sendable {
        let last = Mutex(SystemClock.monotonic())
        let farewell = Mutex<String?>(nil)
    }

    private let hearing = Hearing()
    private let inbound: NIOAsyncChannelInboundStream<WebSocketFrame>
    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    private let channel: any Channel

    init(
        channel: any Channel, inbound: NIOAsyncChannelInboundStream<WebSocketFrame>,
        outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) {
        self.channel = channel
        self.inbound = inbound
        self.outbound = outbound
    }

    package func send(_ text: String) async throws {
        try await write(.text, ByteBuffer(string: text))
    }

    /// Sends `["method", fields]`; a `qid` among the fields marks a request, which is answered.
    package func send(_ method: String, _ fields: [String: JSONValue]) async throws {
        try await write(
            .text, ByteBuffer(bytes: try JSONEncoder().encode([.string(method), .object(fields)] as [JSONValue])))
    }

    /// Why the peer has closed the connection, in its own words; nil before, or when it said nothing.
    package var farewell: String? { hearing.farewell.withLock { $0 } }

    package func ping() async throws { try await write(.ping, ByteBuffer()) }

    /// Runs `body`, pinging meanwhile: a peer that is stopped or behind a cut line keeps its connections open.
    /// When three intervals brought nothing, the connection is closed, which ends its messages.
    /// - Throws: what `body` throws.
    package func whileAlive(pinging interval: Duration, _ body: () async throws -> Void) async throws {
        // The pinger must not outlive the body, nor hold it up, and only closing the connection wakes the body.
        let pinger = Task {
            while hearing.last.withLock({ SystemClock.monotonic() - $0 }) < interval * 3 {
                try await Task.sleep(for: interval)
                try await ping()
            }
            channel.close(promise: nil)
        }
        defer { pinger.cancel() }
        try await body()
    }

    /// The messages, until the connection ends. To be iterated once.
    package var messages: Messages { Messages(connection: self) }

    fileprivate func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) async throws {
        // RFC 6455 section 5.3: a client masks every frame.
        try await outbound.write(WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data))
    }

    package struct Messages: AsyncSequence {
        fileprivate let connection: WebSocketConnection

        package func makeAsyncIterator() -> Iterator {
            Iterator(frames: connection.inbound.makeAsyncIterator(), connection: connection)
        }
    }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate var frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator
        fileprivate let connection: WebSocketConnection

        /// The next message; nil when the connection has ended.
        package mutating func next() async throws -> ByteBuffer? {
            while let frame = try await frames.next() {
                connection.hearing.last.withLock { $0 = SystemClock.monotonic() }
                switch frame.opcode {
                case .text, .binary: return frame.unmaskedData
                case .ping: try await connection.write(.pong, frame.unmaskedData)
                case .connectionClose:
                    // RFC 6455 section 5.5.1: two bytes of code, then the reason.
                    let reason = String(decoding: frame.unmaskedData.readableBytesView.dropFirst(2), as: UTF8.self)
                    if !reason.isEmpty { connection.hearing.farewell.withLock { $0 = reason } }
                    return nil
                default: break
                }
            }
            return nil
        }

        /// Sends a request and waits for its reply; messages that come in between are lost.
        /// - Throws: `RequestRefused` when the result is not `ok`, `WebSocketClient.Failure.closed`.
        package mutating func request(
            _ method: String, _ fields: [String: JSONValue]
        ) async throws -> [String: JSONValue] {
            let qid = JSONValue.string("\(method)-\(UInt32.random(in: 0 ... .max))")
            try await connection.send(method, fields.merging(["qid": qid]) { $1 })
            while let message = try await next() {
                guard let (name, reply) = JSONValue.message(message), name == "\(method)_result", reply["qid"] == qid
                else { continue }
                guard reply["result"] == .string("ok") else { throw RequestRefused(method: method, reply: reply) }
                return reply
            }
            throw WebSocketClient.Failure.closed
        }
    }
}

/// The server said no to a request.
package struct RequestRefused: Error, CustomStringConvertible {
    package let method: String
    package let reply: [String: JSONValue]

    /// Whether the same may succeed a little later, or at another node.
    package var isTransient: Bool { (reply["errorcode"]?.integer).map { $0 == 404 || $0 == 429 || $0 >= 500 } ?? false }

    package var description: String {
        let code = reply["errorcode"]?.integer.map { " (error \($0))" } ?? ""
        return "\(method) was refused\(code): \(reply["errormsg"]?.text ?? "no reason given")"
    }
}
