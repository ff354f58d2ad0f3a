package import NIOCore
package import NIOWebSocket

/// Puts a client's frames together to messages, and finds what RFC 6455 forbids.
///
/// Frames come with their size checked; the size of a message made of several is checked here. Once it has answered
/// `.fail` or `.close` it is asked nothing more.
package struct MessageAssembler {
    package enum Action {
        /// Nothing to do yet.
        case wait
        case text(ByteBuffer)
        case binary(ByteBuffer)
        case ping(ByteBuffer)
        case pong
        /// The client closes, with this code (nil: it gave none).
        case close(UInt16?)
        /// The client broke the protocol.
        case fail(CloseCode, String)
    }

    private let maximumBytes: Int
    private let takesBinary: Bool
    /// Fragments can be empty, so their number has a limit of its own.
    private static let maximumFragments = 1_024
    private var message: ByteBuffer?
    private var isBinary = false
    private var fragments = 0

    /// - Parameters:
    ///   - maximumBytes: of a message.
    ///   - takesBinary: whether messages may be binary.
    package init(maximumBytes: Int, takesBinary: Bool = false) {
        self.maximumBytes = maximumBytes
        self.takesBinary = takesBinary
    }

    package mutating func receive(_ frame: WebSocketFrame) -> Action {
        guard frame.reservedBits.isEmpty else { return .fail(.protocolError, "a reserved bit is set") }
        guard frame.maskKey != nil else { return .fail(.protocolError, "frames of clients must be masked") }
        let payload = frame.unmaskedData
        switch frame.opcode {
        case .text, .binary:
            guard frame.opcode == .text || takesBinary else { return .fail(.unsupportedData, "messages must be text") }
            guard message == nil else { return .fail(.protocolError, "a message began inside another") }
            isBinary = frame.opcode == .binary
            return frame.fin ? complete(payload) : append(payload)
        case .continuation:
            guard message != nil else { return .fail(.protocolError, "a continuation of nothing") }
            let action = append(payload)
            guard case .wait = action, frame.fin, let message else { return action }
            self.message = nil
            fragments = 0
            return complete(message)
        case .ping: return .ping(payload)
        case .pong: return .pong
        case .connectionClose: return close(payload)
        default: return .fail(.protocolError, "a reserved opcode")
        }
    }

    private mutating func append(_ payload: ByteBuffer) -> Action {
        var payload = payload
        fragments += 1
        guard (message?.readableBytes ?? 0) + payload.readableBytes <= maximumBytes,
            fragments <= Self.maximumFragments
        else { return .fail(.tooBig, "a message may have \(maximumBytes) bytes in \(Self.maximumFragments) fragments") }
        if message == nil { message = ByteBuffer() }
        message?.writeBuffer(&payload)
        return .wait
    }

    private func complete(_ message: ByteBuffer) -> Action {
        guard !isBinary else { return .binary(message) }
        return Self.isText(message) ? .text(message) : .fail(.invalidPayload, "the message is not UTF-8")
    }

    private func close(_ payload: ByteBuffer) -> Action {
        var payload = payload
        guard payload.readableBytes > 0 else { return .close(nil) }
        guard let code = payload.readInteger(as: UInt16.self), CloseCode.isAllowed(code) else {
            return .fail(.protocolError, "a close frame without a valid code")
        }
        return Self.isText(payload) ? .close(code) : .fail(.invalidPayload, "the reason to close is not UTF-8")
    }

    private static func isText(_ bytes: ByteBuffer) -> Bool {
        String(validating: bytes.readableBytesView, as: UTF8.self) != nil
    }
}
