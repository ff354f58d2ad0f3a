import ClusterRuntime
import NIOCore
import NIOPosix
import Synchronization

/// The PUSH end of a pipeline: stays connected to an address, and says when it is not.
///
/// nanomsg's own sockets keep what they could not send and are silent about it; here the sender has to know, so the
/// protocol is spoken on a connection of our own.
final class PushLink: Sendable {
    private struct State {
        var channel: (any Channel)?
        /// Why there is no connection.
        var problem: String?
        /// How many there were so far.
        var connections = 0
    }

    /// Between attempts to connect: at first, and at most.
    static let firstPause: Duration = .milliseconds(20)
    static let longestPause: Duration = .seconds(1)
    static let connecting: Duration = .seconds(5)
    /// A PULL end says nothing but its greeting.
    private static let maximumMessage = 0

    private let host: String
    private let port: Int
    private let group: any EventLoopGroup
    private let onDown: @Sendable (String) -> Void
    private let state = Mutex(State(problem: "not connected yet"))

    /// - Parameter onDown: called with the reason when a connection is lost or could not be made
    init(host: String, port: Int, group: any EventLoopGroup, onDown: @escaping @Sendable (String) -> Void) {
        self.host = host
        self.port = port
        self.group = group
        self.onDown = onDown
    }

    /// Why nothing can be sent; nil while it can.
    var problem: String? { state.withLock(\.problem) }

    /// Connects, and connects again, until it is cancelled.
    func run() async {
        var pause = Self.firstPause
        while !Task.isCancelled {
            let before = state.withLock(\.connections)
            await live()
            let wasUp = state.withLock { $0.connections > before }
            pause = wasUp ? Self.firstPause : min(pause * 2, Self.longestPause)
            // Only a cancelled sleep throws, and then the loop ends.
            try? await Task.sleep(for: pause)
        }
    }

    /// Sends a message.
    /// - Returns: false when there is no connection. True says only that it is on its way.
    func send(_ message: [UInt8]) -> Bool {
        let channel = state.withLock { $0.problem == nil ? $0.channel : nil }
        guard let channel else { return false }
        // When the connection breaks, the receipt does not come.
        channel.writeMessage(message).whenFailure { _ in channel.close(promise: nil) }
        return true
    }

    /// Gives up a connection on which nothing comes back any more, though it looks whole.
    func reset() { state.withLock(\.channel)?.close(promise: nil) }

    /// One connection, from the attempt to its end.
    private func live() async {
        do {
            let channel = try await ClientBootstrap(group: group)
                .connectTimeout(.nanoseconds(Self.connecting.nanoseconds))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            SPHandler(role: .push, maximumMessage: Self.maximumMessage) { event in
                                switch event {
                                case .ready: self.up(channel)
                                case .message: break
                                case .closed(let reason): self.down(Self.text(of: reason))
                                }
                            })
                    }
                }
                .connect(host: host, port: port).get()
            let patience = channel.eventLoop.scheduleTask(in: .nanoseconds(Self.connecting.nanoseconds)) {
                if self.problem != nil { channel.close(promise: nil) }
            }
            try await withTaskCancellationHandler {
                try await channel.closeFuture.get()
            } onCancel: {
                channel.close(promise: nil)
            }
            patience.cancel()
        } catch {
            down("cannot connect to \(host):\(port): \(error)")
        }
    }

    private func up(_ channel: any Channel) {
        state.withLock { $0 = State(channel: channel, problem: nil, connections: $0.connections + 1) }
    }

    private func down(_ problem: String) {
        state.withLock { $0 = State(channel: nil, problem: problem, connections: $0.connections) }
        onDown(problem)
    }

    private static func text(of reason: (any Error)?) -> String {
        switch reason {
        case SPFrameReader.Problem.greeting?: "what listens there is no PULL socket"
        case let reason?: "the connection broke: \(reason)"
        case nil: "the connection was closed"
        }
    }
}
