import NIOCore

/// Bytes on their way to become lines.
struct LineBuffer {
    /// Bytes of a line. One tells of one key, whose record is a hundred bytes long.
    static let maximumLine = 1 << 20

    private var rest = ByteBuffer()

    mutating func take(_ part: ByteBuffer) throws(EtcdFault) -> [ByteBuffer] {
        rest.writeImmutableBuffer(part)
        var lines: [ByteBuffer] = []
        while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            guard let line = rest.readSlice(length: end - rest.readerIndex) else { break }
            rest.moveReaderIndex(forwardBy: 1)
            if line.readableBytes > 0 { lines.append(line) }
        }
        guard rest.readableBytes <= Self.maximumLine else { throw .foreign("a line of a watch without end") }
        rest.discardReadBytes()
        return lines
    }
}
