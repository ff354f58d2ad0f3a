import CNanomsg
import Glibc
import Synchronization

/// A nanomsg socket. The library's sockets are numbers that any thread may use; what this adds is that the number is
/// closed once and not used afterwards by whoever still holds the object.
final class NanomsgSocket: Sendable {
    /// What the library said, in its words.
    struct Failure: Error, CustomStringConvertible {
        let call: String
        let code: Int32

        var description: String { "\(call): \(String(cString: nn_strerror(code)))" }
    }

    enum SendResult {
        case sent
        /// No connection, or the connection is busy.
        case wouldBlock
        case failed(Failure)
    }

    private let handle: Int32
    /// Held by all that uses the number, but for waiting: the library gives numbers out again.
    private let closed = Mutex(false)

    private init(protocol number: Int32) throws(Failure) {
        handle = nn_socket(AF_SP, number)
        guard handle >= 0 else { throw Self.failure("nn_socket") }
    }

    deinit { close() }

    /// A PULL socket that listens at an address.
    static func inbox(at address: String, options: [Int32: Int]) throws(Failure) -> NanomsgSocket {
        let socket = try NanomsgSocket(protocol: ROLLCALL_NN_PULL)
        try socket.set(options)
        guard nn_bind(socket.handle, address) >= 0 else { throw failure("nn_bind") }
        return socket
    }

    /// A PUSH socket, not yet connected.
    static func outbox(options: [Int32: Int]) throws(Failure) -> NanomsgSocket {
        let socket = try NanomsgSocket(protocol: ROLLCALL_NN_PUSH)
        try socket.set(options)
        // Frames are batches already. Held back by Nagle's algorithm they would wait for the peer's acknowledgement,
        // which it may delay by 40 ms.
        try socket.set(NN_TCP_NODELAY, to: 1, at: NN_TCP)
        return socket
    }

    /// Starts connecting; the library goes on trying by itself.
    /// - Returns: what `disconnect` takes.
    func connect(to address: String) throws(Failure) -> Int32 {
        let (endpoint, failure) = closed.withLock { closed -> (Int32, Failure?) in
            guard !closed else { return (-1, Failure(call: "nn_connect", code: EBADF)) }
            let endpoint = nn_connect(handle, address)
            return (endpoint, endpoint < 0 ? Self.failure("nn_connect") : nil)
        }
        if let failure { throw failure }
        return endpoint
    }

    func disconnect(_ endpoint: Int32) {
        closed.withLock { closed in
            if !closed { nn_shutdown(handle, endpoint) }
        }
    }

    func close() {
        closed.withLock { closed in
            if !closed { nn_close(handle) }
            closed = true
        }
    }

    func send(_ frame: [UInt8]) -> SendResult {
        closed.withLock { closed in
            guard !closed else { return .failed(Failure(call: "nn_send", code: EBADF)) }
            let sent = frame.withUnsafeBytes { nn_send(handle, $0.baseAddress, $0.count, NN_DONTWAIT) }
            if sent >= 0 { return .sent }
            let failure = Self.failure("nn_send")
            return failure.code == EAGAIN ? .wouldBlock : .failed(failure)
        }
    }

    /// Waits for a frame and lends it to `body`.
    /// - Throws: `EBADF` after `close`.
    func receive(_ body: (UnsafeRawBufferPointer) -> Void) throws(Failure) {
        var message: UnsafeMutableRawPointer?
        let count = nn_recv(handle, &message, ROLLCALL_NN_MSG, 0)
        guard count >= 0 else { throw Self.failure("nn_recv") }
        body(UnsafeRawBufferPointer(start: message, count: Int(count)))
        nn_freemsg(message)
    }

    /// Connections that stand now: 0 or 1 for an outbox.
    var connections: UInt64 { statistic(NN_STAT_CURRENT_CONNECTIONS) }

    /// Connections that ever stood; 0 of a closed socket.
    var connectionsMade: UInt64 { statistic(NN_STAT_ESTABLISHED_CONNECTIONS) }

    private func statistic(_ number: Int32) -> UInt64 {
        closed.withLock { $0 ? 0 : nn_get_statistic(handle, number) }
    }

    /// A descriptor that polls readable while `send` would not block.
    func writableDescriptor() throws(Failure) -> Int32 {
        var descriptor: Int32 = -1
        var size = MemoryLayout<Int32>.size
        guard nn_getsockopt(handle, NN_SOL_SOCKET, NN_SNDFD, &descriptor, &size) == 0 else {
            throw Self.failure("nn_getsockopt")
        }
        return descriptor
    }

    private func set(_ options: [Int32: Int]) throws(Failure) {
        // The order of options is of no consequence.
        for (option, value) in options { try set(option, to: Int32(clamping: value), at: NN_SOL_SOCKET) }
    }

    private func set(_ option: Int32, to value: Int32, at level: Int32) throws(Failure) {
        var value = value
        let status = nn_setsockopt(handle, level, option, &value, MemoryLayout<Int32>.size)
        guard status == 0 else { throw Self.failure("nn_setsockopt \(option)") }
    }

    private static func failure(_ call: String) -> Failure { Failure(call: call, code: nn_errno()) }
}
