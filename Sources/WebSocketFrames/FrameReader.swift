package import NIOCore

/// One frame of a client, unmasked.
struct Frame {
    /// Source: RFC 6455 section 5.2.
    enum Opcode: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    let opcode: Opcode
    let isFinal: Bool
    /// Whether it begins a compressed message (RFC 7692 section 6).
    let isCompressed: Bool
    let payload: ByteBuffer
}

/// Takes a client's bytes apart into frames. Source: RFC 6455 section 5.2.
///
/// A frame that breaks a rule is told by its head, before its payload is waited for. (NIO's decoder waits for it, and
/// takes lengths in more bytes than needed.) Once it has answered `.broken` it
/// is asked nothing more.
struct FrameReader {
    enum Step {
        case frame(Frame)
        /// The bytes end before the frame does.
        case incomplete
        case broken(CloseCode, String)
    }

    private struct Head {
        let opcode: Frame.Opcode
        let isFinal: Bool
        let isCompressed: Bool
        let length: Int
        /// As a number whose highest byte is the first of the four.
        let key: UInt32
    }

    private let maximumBytes: Int
    private let allowsCompression: Bool
    /// What is not read yet; nil when there is nothing, so that an idle connection holds no buffer.
    private var bytes: ByteBuffer?
    /// Of the frame whose payload is being waited for.
    private var head: Head?

    /// - Parameters:
    ///   - maximumBytes: of a frame's payload.
    ///   - allowsCompression: whether the first reserved bit may be set.
    init(maximumBytes: Int, allowsCompression: Bool) {
        self.maximumBytes = maximumBytes
        self.allowsCompression = allowsCompression
    }

    mutating func feed(_ more: ByteBuffer) {
        var more = more
        if bytes == nil { bytes = more } else { bytes?.writeBuffer(&more) }
    }

    mutating func next() -> Step {
        guard var bytes else { return .incomplete }
        // Given up for the moment, so that what is unmasked below is not copied for its sake.
        self.bytes = nil
        defer { if bytes.readableBytes > 0 { self.bytes = bytes.compacted } }
        if head == nil {
            do throws(Fault) {
                head = try readHead(&bytes)
            } catch {
                return .broken(error.code, error.reason)
            }
        }
        guard let head, let payload = bytes.readSlice(length: head.length) else { return .incomplete }
        self.head = nil
        return .frame(
            Frame(
                opcode: head.opcode, isFinal: head.isFinal, isCompressed: head.isCompressed,
                payload: Self.unmask(payload, head.key)))
    }

    private struct Fault: Error {
        let code: CloseCode
        let reason: String

        static func rule(_ reason: String) -> Fault { Fault(code: .protocolError, reason: reason) }
    }

    /// - Returns: nil when the head is not all there; then nothing has been read, and nothing is wrong so far.
    private func readHead(_ bytes: inout ByteBuffer) throws(Fault) -> Head? {
        let start = bytes.readerIndex
        guard let first = bytes.getInteger(at: start, as: UInt8.self) else { return nil }
        guard let opcode = Frame.Opcode(rawValue: first & 0x0f) else { throw .rule("a reserved opcode") }
        let isFinal = first & 0x80 != 0
        guard isFinal || !opcode.isControl else { throw .rule("a control frame is fragmented") }
        let isCompressed = first & 0x40 != 0
        let mayBeCompressed = allowsCompression && (opcode == .text || opcode == .binary)
        guard first & 0x30 == 0, !isCompressed || mayBeCompressed else { throw .rule("a reserved bit is set") }

        guard let second = bytes.getInteger(at: start + 1, as: UInt8.self) else { return nil }
        guard second & 0x80 != 0 else { throw .rule("frames of clients must be masked") }
        let form = second & 0x7f
        guard form <= 125 || !opcode.isControl else { throw .rule("a control frame is longer than 125 bytes") }
        guard let (length, end) = try readLength(bytes, start + 2, form),
            let key = bytes.getInteger(at: end, as: UInt32.self)
        else { return nil }
        bytes.moveReaderIndex(to: end + 4)
        return Head(opcode: opcode, isFinal: isFinal, isCompressed: isCompressed, length: length, key: key)
    }

    /// - Returns: the length and where it ends; nil when it is not all there.
    private func readLength(
        _ bytes: ByteBuffer, _ start: Int, _ form: UInt8
    ) throws(Fault) -> (length: Int, end: Int)? {
        let (length, least, end): (UInt64, UInt64, Int)
        switch form {
        case 126:
            guard let long = bytes.getInteger(at: start, as: UInt16.self) else { return nil }
            (length, least, end) = (UInt64(long), 126, start + 2)
        case 127:
            guard let long = bytes.getInteger(at: start, as: UInt64.self) else { return nil }
            (length, least, end) = (long, 65_536, start + 8)
        default: (length, least, end) = (UInt64(form), 0, start)
        }
        guard length >= least else { throw .rule("a length in more bytes than it needs") }
        guard length >> 63 == 0 else { throw .rule("a length with its highest bit set") }
        guard length <= UInt64(maximumBytes) else {
            throw Fault(code: .tooBig, reason: "a message may have \(maximumBytes) bytes")
        }
        return (Int(length), end)
    }

    /// Source: RFC 6455 section 5.3.
    private static func unmask(_ payload: ByteBuffer, _ key: UInt32) -> ByteBuffer {
        guard key != 0, payload.readableBytes > 0 else { return payload }
        var payload = payload
        let eight = UInt64(key) << 32 | UInt64(key)
        payload.withUnsafeMutableReadableBytes { bytes in
            var index = 0
            while index + 8 <= bytes.count {
                let masked = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                bytes.storeBytes(of: masked ^ eight.bigEndian, toByteOffset: index, as: UInt64.self)
                index += 8
            }
            while index < bytes.count {
                bytes[index] ^= UInt8(truncatingIfNeeded: key >> (24 - 8 * (index & 3)))
                index += 1
            }
        }
        return payload
    }
}

extension ByteBuffer {
    /// The same bytes, in memory of their own when they would keep much more of it: what a connection holds for long
    /// must not be a sliver of the buffer that it came in.
    package var compacted: ByteBuffer {
        guard storageCapacity > 512, storageCapacity > 2 * readableBytes else { return self }
        return ByteBuffer(bytes: readableBytesView)
    }
}
