import Foundation
import NIOCore
import NIOPosix
import RegistrarEvents
import Testing

/// A TCP connection that says exactly what a test wants, and reads frames byte by byte.
final class RawClient: Sendable {
    struct Frame {
        var opcode: UInt8
        var payload: [UInt8]
        var text: String { String(decoding: payload, as: UTF8.self) }
        var closeCode: Int? {
            opcode == 8 && payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil
        }
    }

    private let channel: any Channel
    private let inbound: NIOLoopBoundBox<Inbound>

    private struct Inbound {
        var bytes = ByteBuffer()
        var isClosed = false
        var waiting: EventLoopPromise<Void>?
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let inbound: NIOLoopBoundBox<Inbound>
        init(_ inbound: NIOLoopBoundBox<Inbound>) { self.inbound = inbound }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = Self.unwrapInboundIn(data)
            inbound.value.bytes.writeBuffer(&bytes)
            wake()
        }

        func channelInactive(context: ChannelHandlerContext) {
            inbound.value.isClosed = true
            wake()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func wake() {
            inbound.value.waiting?.succeed()
            inbound.value.waiting = nil
        }
    }

    private init(channel: any Channel, inbound: NIOLoopBoundBox<Inbound>) {
        self.channel = channel
        self.inbound = inbound
    }

    static func connect(port: Int, receiveBuffer: Int? = nil) async throws -> RawClient {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let inbound = NIOLoopBoundBox.makeBoxSendingValue(Inbound(), eventLoop: loop)
        var bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(inbound)) }
        }
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: receiveBuffer)
        }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        return RawClient(channel: channel, inbound: inbound)
    }

    /// Opens a websocket.
    static func open(port: Int, path: String = "/ws", receiveBuffer: Int? = nil) async throws -> RawClient {
        let client = try await connect(port: port, receiveBuffer: receiveBuffer)
        try await client.send(text: handshake(path))
        let head = try await client.head()
        #expect(head.hasPrefix("HTTP/1.1 101"), "\(head)")
        // RFC 6455 section 1.3 has this key and its answer.
        #expect(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        return client
    }

    static func handshake(_ path: String, _ extra: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(extra)\r\n"
    }

    func close() { channel.close(promise: nil) }

    func pauseReading(_ isPaused: Bool) async throws {
        try await channel.setOption(.autoRead, value: !isPaused).get()
        if !isPaused { channel.read() }
    }

    // MARK: Sending

    func send(bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }
    func send(text: String) async throws { try await send(bytes: Array(text.utf8)) }

    static func frame(
        _ opcode: UInt8, _ payload: [UInt8], fin: Bool = true, reserved: UInt8 = 0, masked: Bool = true
    ) -> [UInt8] {
        var bytes = [(fin ? 0x80 : 0) | reserved << 4 | opcode]
        let mask: UInt8 = masked ? 0x80 : 0
        switch payload.count {
        case ..<126: bytes.append(mask | UInt8(payload.count))
        case ..<65_536: bytes += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default:
            bytes.append(mask | 127)
            bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        }
        let key: [UInt8] = [1, 2, 3, 4]
        if masked { bytes += key }
        return bytes + payload.enumerated().map { masked ? $1 ^ key[$0 % 4] : $1 }
    }

    func say(_ json: String) async throws { try await send(bytes: Self.frame(1, Array(json.utf8))) }

    // MARK: Receiving

    /// Waits until `take` finds what it wants; nil when the connection ends first.
    private func read<T: Sendable>(_ take: @escaping @Sendable (inout ByteBuffer) -> T?) async throws -> T? {
        while true {
            let (found, wait): (T?, EventLoopFuture<Void>?) = try await channel.eventLoop.submit { [inbound, channel] in
                if let found = take(&inbound.value.bytes) { return (found, nil) }
                if inbound.value.isClosed { return (nil, nil) }
                let promise = channel.eventLoop.makePromise(of: Void.self)
                inbound.value.waiting = promise
                return (nil, promise.futureResult)
            }.get()
            guard let wait else { return found }
            try await wait.get()
        }
    }

    /// Everything until the end of an HTTP head; what there is when the connection ends.
    func head() async throws -> String {
        let head = try await read { buffer -> String? in
            let view = buffer.readableBytesView
            guard let end = Data(view).range(of: Data("\r\n\r\n".utf8)) else { return nil }
            return buffer.readString(length: end.upperBound)
        }
        return head ?? ""
    }

    func next() async throws -> Frame? {
        try await read { buffer in
            let start = buffer.readerIndex
            guard let first = buffer.readInteger(as: UInt8.self), let second = buffer.readInteger(as: UInt8.self)
            else {
                buffer.moveReaderIndex(to: start)
                return nil
            }
            var length = Int(second)
            if second == 126 { length = buffer.readInteger(as: UInt16.self).map(Int.init) ?? .max }
            if second == 127 { length = buffer.readInteger(as: UInt64.self).map { Int($0) } ?? .max }
            guard length <= buffer.readableBytes, let payload = buffer.readBytes(length: length) else {
                buffer.moveReaderIndex(to: start)
                return nil
            }
            return Frame(opcode: first & 15, payload: payload)
        }
    }

    /// The next text message, which is `["method", {…}]`.
    func message() async throws -> Message {
        while let frame = try await next() {
            if frame.opcode == 9 || frame.opcode == 10 { continue }
            guard frame.opcode == 1 else { throw Unexpected(what: "close \(frame.closeCode ?? 0)") }
            let parsed = try JSONSerialization.jsonObject(with: Data(frame.payload)) as? [Any]
            guard let parsed, parsed.count == 2, let method = parsed[0] as? String else {
                throw Unexpected(what: frame.text)
            }
            return Message(method: method, fields: parsed[1] as? [String: Any] ?? [:])
        }
        throw Unexpected(what: "the end of the connection")
    }

    func ask(_ json: String) async throws -> Message {
        try await say(json)
        return try await message()
    }

    /// The code of the close frame that comes next, after any replies.
    func closeCode() async throws -> Int? {
        while let frame = try await next() {
            if frame.opcode == 8 { return frame.closeCode }
        }
        return nil
    }

    struct Unexpected: Error { let what: String }

    struct Message {
        let method: String
        let fields: [String: Any]
        var result: String? { fields["result"] as? String }
        var errorCode: Int? { fields["errorcode"] as? Int }
        var event: [String: Any]? { fields["event"] as? [String: Any] }
        var type: String? { event?["type"] as? String }
        var data: [String: Any] { event?["data"] as? [String: Any] ?? [:] }
        var seq: Int? { fields["seq"] as? Int }
    }
}
