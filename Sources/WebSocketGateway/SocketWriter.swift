import Glibc
import NIOCore

/// A socket's way out: what is written between two flushes leaves in one system call.
///
/// A single run of bytes goes from where all sockets share it straight to the kernel. The channel's own way there costs
/// almost as much again as the kernel does (`docs/performance.md`), and with thousands of sockets an event that is most
/// of the work. The channel gets what the kernel does not take at once, several runs at a time, and everything that
/// follows until it is empty: it knows how to wait.
///
/// A class, since the channel may close amid a write and tell its handler, which then lets go of this.
final class SocketWriter {
    private let channel: any Channel
    /// Nil when bytes change on their way, and so have to take it.
    private let descriptor: CInt?
    private var unsent: ByteBuffer?
    /// Whether the channel was given bytes that it may still have; the answer to the handshake is the first.
    private var isChannelUsed = true

    /// - Parameter isPlain: whether bytes leave as they are: without TLS.
    init(_ channel: any Channel, isPlain: Bool) {
        self.channel = channel
        // The descriptor is kept beyond this scope, so nobody may use it once the channel is closed, when another
        // connection may have got it. Both happen on one event loop: a channel that is active has its descriptor.
        let descriptor = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        self.descriptor = isPlain ? descriptor : nil
    }

    /// The descriptor, while all that was written is with the kernel, so that the next bytes may go there.
    var idleDescriptor: CInt? {
        if isChannelUsed, descriptor != nil, waitingBytes == 0 { isChannelUsed = false }
        return isChannelUsed || unsent != nil || !channel.isActive ? nil : descriptor
    }

    /// What was written and is not with the kernel.
    /// - Returns: nil when it cannot be told.
    var waitingBytes: Int? {
        guard isChannelUsed else { return unsent?.readableBytes ?? 0 }
        return try? channel.syncOptions?.getOption(.bufferedWritableBytes)  // an option of every socket's channel
    }

    func write(_ bytes: ByteBuffer) {
        if idleDescriptor != nil {
            unsent = bytes
            return
        }
        isChannelUsed = true
        if let first = unsent {
            unsent = nil
            channel.pipeline.syncOperations.write(NIOAny(first), promise: nil)
        }
        channel.pipeline.syncOperations.write(NIOAny(bytes), promise: nil)
    }

    func flush() {
        guard let bytes = unsent else {
            if isChannelUsed { channel.pipeline.syncOperations.flush() }
            return
        }
        unsent = nil
        let sent = descriptor.map { channel.isActive ? Self.send(bytes, to: $0) : 0 } ?? 0
        if sent < bytes.readableBytes { writeRest(of: bytes, after: sent) }
    }

    /// Writes the last bytes that there will be, and tells the other side so. What it sends is still read.
    func end(with bytes: ByteBuffer) {
        isChannelUsed = true
        let channel = channel
        if let first = unsent {
            unsent = nil
            channel.pipeline.syncOperations.write(NIOAny(first), promise: nil)
        }
        let written = channel.eventLoop.makePromise(of: Void.self)
        channel.pipeline.syncOperations.writeAndFlush(NIOAny(bytes), promise: written)
        written.futureResult.whenComplete { _ in channel.close(mode: .output, promise: nil) }
    }

    /// The kernel took only so many of these bytes: the channel waits until it takes more, or finds out that the
    /// connection is broken, and closes.
    func writeRest(of bytes: ByteBuffer, after sent: Int) {
        var rest = bytes
        rest.moveReaderIndex(forwardBy: sent)
        isChannelUsed = true
        channel.pipeline.syncOperations.writeAndFlush(NIOAny(rest), promise: nil)
    }

    private static let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL)

    /// - Parameter descriptor: of an open, plain connection.
    /// - Returns: how many bytes the kernel took; 0 also when the connection is broken.
    static func send(_ bytes: ByteBuffer, to descriptor: CInt) -> Int {
        bytes.withUnsafeReadableBytes { bytes in
            max(0, Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags))
        }
    }
}
