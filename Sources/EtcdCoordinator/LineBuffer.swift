import NIOCore

/// Bytes on their way to become lines.
struct LineBuffer {
    /// Bytes of a line. One tells of one key, whose record is a hundred bytes long.
    static let maximumLine = 1 << 20

    /// The beginning of a line, in which there is no end.
    private var rest = ByteBuffer()

    mutating func take(_ part: ByteBuffer) throws(EtcdFault) -> [ByteBuffer] {
        var lines: [ByteBuffer] = []
        var part = part
        // Each byte is looked at once, however the line comes.
        while let end = part.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            guard let piece = part.readSlice(length: end - part.readerIndex) else { break }
            part.moveReaderIndex(forwardBy: 1)
            rest.writeImmutableBuffer(piece)
            if rest.readableBytes > 0 { lines.append(rest) }
            rest = ByteBuffer()
        }
        rest.writeImmutableBuffer(part)
        guard rest.readableBytes <= Self.maximumLine else { throw .foreign("a line of a watch without end") }
        return lines
    }
}
