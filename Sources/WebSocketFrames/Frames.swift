package import NIOCore

/// What a message is to the peer.
package enum MessageKind: Sendable {
    case text
    case binary

    fileprivate var opcode: Frame.Opcode { self == .text ? .text : .binary }
}

/// Frames as a server sends them: whole, unmasked. Source: RFC 6455 section 5.2.
package enum Frames {
    package static func text(_ payload: [UInt8]) -> ByteBuffer { message(.text, payload) }

    package static func binary(_ payload: [UInt8]) -> ByteBuffer { message(.binary, payload) }

    private static func message(_ opcode: Frame.Opcode, _ payload: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(payload.count + 10)
        buffer.writeFrameHeader(opcode, length: payload.count)
        buffer.writeBytes(payload)
        return buffer
    }

    /// - Parameter deflater: for connections that take compressed messages.
    package static func message(_ kind: MessageKind, _ payload: [UInt8], _ deflater: FrameDeflater?) -> ByteBuffer {
        guard let deflater, payload.count >= leastCompressed,
            let compressed = payload.withUnsafeBytes({ deflater.compress([$0]) })
        else { return message(kind.opcode, payload) }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(compressed.count + 10)
        buffer.writeFrameHeader(kind.opcode, length: compressed.count, isCompressed: true)
        buffer.writeBytes(compressed)
        return buffer
    }

    /// Several text messages with the same head, end to end.
    /// - Parameter deflater: for connections that take compressed messages.
    package static func texts(
        head: [UInt8], tails: [[UInt8]], tailBytes: Int, deflater: FrameDeflater? = nil
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(tailBytes + tails.count * (head.count + 10))
        for tail in tails {
            let length = head.count + tail.count
            if length >= leastCompressed, let deflater, let compressed = compress(head, tail, deflater) {
                buffer.writeFrameHeader(.text, length: compressed.count, isCompressed: true)
                buffer.writeBytes(compressed)
            } else {
                buffer.writeFrameHeader(.text, length: length)
                buffer.writeBytes(head)
                buffer.writeBytes(tail)
            }
        }
        return buffer
    }

    /// Shorter messages gain too little: `docs/performance.md` has the figures.
    package static let leastCompressed = 128

    private static func compress(_ head: [UInt8], _ tail: [UInt8], _ deflater: FrameDeflater) -> ArraySlice<UInt8>? {
        head.withUnsafeBytes { head in tail.withUnsafeBytes { tail in deflater.compress([head, tail]) } }
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
            buffer.writeFrameHeader(.close, length: 0)
            return buffer
        }
        var text = reason
        while text.utf8.count > 123 { text.removeLast() }
        buffer.writeFrameHeader(.close, length: 2 + text.utf8.count)
        buffer.writeInteger(code)
        buffer.writeString(text)
        return buffer
    }
}

extension ByteBuffer {
    fileprivate mutating func writeFrameHeader(_ opcode: Frame.Opcode, length: Int, isCompressed: Bool = false) {
        writeInteger(0x80 | (isCompressed ? 0x40 : 0) | opcode.rawValue)
        switch length {
        case ..<126: writeInteger(UInt8(length))
        case ..<65_536: writeMultipleIntegers(UInt8(126), UInt16(length))
        default: writeMultipleIntegers(UInt8(127), UInt64(length))
        }
    }
}
