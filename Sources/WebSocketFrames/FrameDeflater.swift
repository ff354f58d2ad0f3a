import CZlib

/// Compresses messages, each for itself, so that one compressed form is right for every connection with the same window
/// (`server_no_context_takeover`, RFC 7692 section 7.1.1.1). One serves an event loop. Holds some 40 kB.
package final class FrameDeflater {
    /// Never moves: zlib's state points back to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private var output: [UInt8] = []

    /// Costs no more than 1 here. What higher ones save is little, since each message begins without context.
    private static let level: Int32 = 3
    /// Small tables, since they are cleared for each message: 2^(5+7) entries.
    private static let memoryLevel: Int32 = 5

    /// - Parameter windowBits: how far back, as a power of two, matches may reach: 9 to 15.
    package init(windowBits: Int) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let code = deflateInit2_(
            stream, Self.level, Z_DEFLATED, Int32(-windowBits), Self.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        precondition(code == Z_OK, "zlib has no memory for a deflater, or is another than it was built with: \(code)")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// - Parameter pieces: what the message is made of, in order.
    /// - Returns: the payload of a compressed frame; nil when it would not be smaller than the message.
    package func compress(_ pieces: [UnsafeRawBufferPointer]) -> ArraySlice<UInt8>? {
        let size = pieces.reduce(0) { $0 + $1.count }
        let bound = Int(deflateBound(stream, UInt(size))) + 16
        if output.count < bound { output = Array(repeating: 0, count: bound) }
        deflateReset(stream)
        let written = output.withUnsafeMutableBufferPointer { output in
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = UInt32(output.count)
            for (index, piece) in pieces.enumerated() {
                // zlib's declaration lacks a const; it only reads.
                stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.bindMemory(to: UInt8.self).baseAddress)
                stream.pointee.avail_in = UInt32(piece.count)
                deflate(stream, index == pieces.count - 1 ? Z_SYNC_FLUSH : Z_NO_FLUSH)
            }
            return output.count - Int(stream.pointee.avail_out)
        }
        // The last four bytes are always the same, and left out (RFC 7692 section 7.2.1).
        precondition(written >= 4 && stream.pointee.avail_in == 0, "zlib wrote \(written) of at most \(bound) bytes")
        return written - 4 < size ? output[..<(written - 4)] : nil
    }
}
