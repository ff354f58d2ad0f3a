import CZlib
package import NIOCore

/// Decompresses messages, each for itself: one serves all connections of an event loop, since clients are told to keep
/// no context from message to message (RFC 7692 section 7.1.1.2). Holds some 40 kB.
package final class Inflater {
    package enum Outcome {
        case message(ByteBuffer)
        /// It would have more bytes than allowed; how many more was not found out.
        case tooBig
        case broken
    }

    /// Never moves: zlib's state points back to it.
    private let stream: UnsafeMutablePointer<z_stream>
    /// What the sender cut off the end of each message (RFC 7692 section 7.2.1).
    private static let tail: [UInt8] = [0x00, 0x00, 0xff, 0xff]
    /// Memory is asked for as it is needed, by this much at a time.
    private static let chunk = 16 << 10

    package init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let code = inflateInit2_(stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(code == Z_OK, "zlib has no memory for an inflater, or is another than it was built with: \(code)")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    package func inflate(_ payload: ByteBuffer, maximumBytes: Int) -> Outcome {
        inflateReset(stream)
        var message = ByteBuffer()
        for piece in [payload, ByteBuffer(bytes: Self.tail)] {
            let isRead = piece.withUnsafeReadableBytes { add($0, to: &message, maximumBytes: maximumBytes) }
            guard message.readableBytes <= maximumBytes else { return .tooBig }
            guard isRead else { return .broken }
        }
        // Between two blocks: what was cut off fitted where it was put back.
        return stream.pointee.data_type & 128 != 0 ? .message(message) : .broken
    }

    /// - Returns: false when the bytes are not what compression makes. Stops early when the message gets too big.
    private func add(_ input: UnsafeRawBufferPointer, to message: inout ByteBuffer, maximumBytes: Int) -> Bool {
        // zlib's declaration lacks a const; it only reads.
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(input.count)
        while message.readableBytes <= maximumBytes {
            let room = min(Self.chunk, maximumBytes + 1 - message.readableBytes)
            var code = Z_OK
            let written = message.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { output in
                stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
                stream.pointee.avail_out = UInt32(room)
                code = CZlib.inflate(stream, Z_SYNC_FLUSH)
                return room - Int(stream.pointee.avail_out)
            }
            switch code {
            case Z_STREAM_END:
                // A sender may end its stream within a message, and begin another (RFC 7692 section 7.2.3.4).
                inflateReset(stream)
                if stream.pointee.avail_in == 0 { return true }
            case Z_OK, Z_BUF_ERROR:
                if stream.pointee.avail_in == 0, written < room { return true }
                if written == 0 { return false }
            default: return false
            }
        }
        return true
    }
}
