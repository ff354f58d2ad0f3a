package import NIOCore

/// The two ends of a pipeline.
package enum SPRole: UInt16, Sendable {
    case push = 80
    case pull = 81

    package var peer: SPRole { self == .push ? .pull : .push }
}

/// Takes the bytes of one connection apart: the greeting, then messages by length.
///
/// Source: SP TCP mapping 01 (nanomsg): eight bytes of greeting (`00 53 50 00`, the protocol's number, `00 00`), then
/// each message behind its length in eight bytes, big-endian.
package struct SPFrameReader: ~Copyable {
    package enum Problem: Error, Hashable, Sendable {
        /// What came first is not the greeting of the expected end.
        case greeting
        case oversized(UInt64)
    }

    private var buffer = ByteBuffer()
    private var isGreeted = false
    private let peer: SPRole
    private let maximumMessage: Int

    /// - Parameters:
    ///   - peer: what the other side has to be
    ///   - maximumMessage: in bytes
    package init(peer: SPRole, maximumMessage: Int) {
        self.peer = peer
        self.maximumMessage = maximumMessage
    }

    package static let greetingLength = 8

    /// The eight bytes that a side begins with.
    package static func greeting(of role: SPRole) -> [UInt8] {
        [0, UInt8(ascii: "S"), UInt8(ascii: "P"), 0, UInt8(role.rawValue >> 8), UInt8(role.rawValue & 0xff), 0, 0]
    }

    /// Takes in what arrived.
    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next whole message; nil when there is none yet.
    package mutating func next() throws(Problem) -> ByteBuffer? {
        if !isGreeted {
            guard let greeting = buffer.readBytes(length: Self.greetingLength) else { return nil }
            guard greeting == Self.greeting(of: peer) else { throw .greeting }
            isGreeted = true
        }
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt64.self) else { return nil }
        guard length <= UInt64(maximumMessage) else { throw .oversized(length) }
        guard buffer.readableBytes >= 8 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 8)
        defer { if buffer.readableBytes == 0 { buffer = ByteBuffer() } }
        return buffer.readSlice(length: Int(length))
    }

    /// Whether the other side has said what it is.
    package var hasGreeting: Bool { isGreeted }
}
