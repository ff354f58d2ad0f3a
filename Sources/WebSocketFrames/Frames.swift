package import NIOCore
import NIOWebSocket

/// Frames as a server sends them: whole, unmasked. Source: RFC 6455 section 5.2.
package enum Frames {
    package static func text(_ payload: [UInt8]) -> ByteBuffer { message(.text, payload) }

    package static func binary(_ payload: [UInt8]) -> ByteBuffer { message(.binary, payload) }

    private static func message(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(payload.count + 10)
        buffer.writeFrameHeader(opcode, length: payload.count)
        buffer.writeBytes(payload)
        return buffer
    }

    /// Several text messages with the same head, end to end.
    package static func texts(head: [UInt8], tails: [[UInt8]], tailBytes: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(tailBytes + tails.count * (head.count + 10))
        for tail in tails {
            buffer.writeFrameHeader(.text, length: head.count + tail.count)
            buffer.writeBytes(head)
            buffer.writeBytes(tail)
        }
        return buffer
    }

    /// - Parameter payload: at most 125 bytes, as it came in the ping.
    package static func pong(_ payload: ByteBuffer) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeFrameHeader(.pong, length: payload.readableBytes)
        buffer.writeImmutableBuffer(payload)
        return buffer
    }

    package static let ping: ByteBuffer = {
        var buffer = ByteBuffer()
        buffer.writeFrameHeader(.ping, length: 0)
        return buffer
    }()

    /// - Parameter reason: cut to what fits into a control frame.
    package static func close(_ code: UInt16?, _ reason: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        guard let code else {
            buffer.writeFrameHeader(.connectionClose, length: 0)
            return buffer
        }
        var text = reason
        while text.utf8.count > 123 { text.removeLast() }
        buffer.writeFrameHeader(.connectionClose, length: 2 + text.utf8.count)
        buffer.writeInteger(code)
        buffer.writeString(text)
        return buffer
    }
}

extension ByteBuffer {
    fileprivate mutating func writeFrameHeader(_ opcode: WebSocketOpcode, length: Int) {
        writeInteger(0x80 | UInt8(webSocketOpcode: opcode))
        switch length {
        case ..<126: writeInteger(UInt8(length))
        case ..<65_536: writeMultipleIntegers(UInt8(126), UInt16(length))
        default: writeMultipleIntegers(UInt8(127), UInt64(length))
        }
    }
}
