/// What responses and requests share once their first lines are written: more header fields, and the body.
public protocol MessageWriter {
    var writer: ByteWriter { get set }
}

extension MessageWriter {
    /// A header field.
    @inline(__always)
    public mutating func header(_ name: StaticString, _ value: String) {
        header(name) { $0.append(value) }
    }

    public mutating func header(_ name: StaticString, _ value: SIPText) {
        header(name) { $0.append(value) }
    }

    public mutating func header(_ name: StaticString, _ value: [UInt8]) {
        header(name) { $0.append(value) }
    }

    public mutating func header(_ name: StaticString, _ value: UInt64) {
        header(name) { $0.append(value) }
    }

    public mutating func header(_ name: StaticString, _ value: UInt32) {
        header(name) { $0.append(UInt64(value)) }
    }

    /// A header field whose value is built piece by piece.
    @inline(__always)
    public mutating func header(_ name: StaticString, build: (inout ByteWriter) -> Void) {
        writer.literal(name)
        writer.literal(": ")
        build(&writer)
        writer.endLine()
    }

    /// Ends the message: Content-Length, the empty line and the body.
    /// - Returns: the bytes to send.
    public consuming func finish(body: [UInt8] = []) -> [UInt8] {
        if body.isEmpty {
            writer.literal("Content-Length: 0\r\n\r\n")
        } else {
            writer.literal("Content-Length: ")
            writer.append(UInt64(body.count))
            writer.literal("\r\n\r\n")
            writer.body(body)
        }
        return writer.bytes
    }
}
