import CNanomsg
public import ClusterRuntime
import Foundation
public import Logging
import Synchronization

/// Messages over nanomsg: one PULL socket takes everything in, one PUSH socket a peer sends. Wire: `docs/wire.md`.
///
/// Three threads: one sends (and encodes and seals), one receives (and opens, decodes and delivers), one watches
/// connections. `send` only puts messages into a list and wakes the first; batches form by themselves out of what
/// gathers while that is busy, so an idle transport sends at once. What a node sends to itself takes a short cut.
public final class NanomsgTransport: Transport {
    private let shared: Shared
    private let loopback: Loopback

    public init(_ configuration: Configuration, logger: Logger) {
        shared = Shared(configuration, logger: logger)
        loopback = Loopback(configuration.node, limit: configuration.outboxMessages)
    }

    public var statistics: TransportStatistics {
        shared.record(SendTally(), and: shared.intake.takeDrops())
        var statistics = shared.statistics.withLock { $0 }
        statistics.drop(.outboxFull, count: Int(loopback.dropped))
        return statistics
    }

    public func send(_ messages: [Message], to peer: NodeName) {
        if peer == shared.configuration.node.name {
            loopback.add(messages)
        } else {
            shared.intake.add(messages, to: peer)
        }
    }

    /// Runs once in the life of a transport.
    /// - Throws: `TransportFailure` when the address cannot be bound or a socket fails.
    public func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {
        let inbox = try bind()
        defer { inbox.close() }
        shared.opened(inbox)
        let outboxes = try shared.peers.map { _ in try Self.outbox(shared.configuration) }
        defer { for outbox in outboxes { outbox.close() } }
        // Three threads deliver; they take turns.
        let turn = Mutex(())
        let inTurn: @Sendable (TransportEvent) -> Void = { event in turn.withLock { _ in deliver(event) } }
        loopback.open(inTurn)
        defer { loopback.open(nil) }
        try await withTaskCancellationHandler {
            await withDiscardingTaskGroup { [shared] group in
                group.addTask {
                    await Self.thread("sender") {
                        do throws(NanomsgSocket.Failure) {
                            var sender = try SenderThread(shared: shared, sockets: outboxes)
                            sender.run()
                        } catch { shared.fail(error) }
                    }
                }
                group.addTask {
                    await Self.thread("receiver") {
                        var receiver = ReceiverThread(shared: shared, inbox: inbox, deliver: inTurn)
                        receiver.run()
                    }
                }
                let watched = Self.watched(shared, outboxes)
                guard !watched.isEmpty else { return }
                group.addTask {
                    await Self.thread("monitor") {
                        var monitor = ConnectionMonitor(
                            shared: shared, watched: Self.watched(shared, outboxes), deliver: inTurn)
                        monitor.run()
                    }
                }
            }
            try shared.throwIfFailed()
        } onCancel: { [shared] in
            shared.stop()
        }
    }

    private func bind() throws -> NanomsgSocket {
        let address = shared.configuration.bind
        do throws(NanomsgSocket.Failure) {
            return try NanomsgSocket.inbox(
                at: address,
                // A little over the limit, so that a frame just over it is counted; one far over it breaks the
                // connection.
                options: [
                    NN_RCVMAXSIZE: shared.configuration.maximumFrame + (64 << 10), NN_RCVBUF: Self.kernelBuffer,
                    NN_LINGER: 0,
                ])
        } catch {
            if error.code == EADDRINUSE {
                throw TransportFailure(
                    "address \(address) is in use; is another node running with it? see: ss -ltnp")
            }
            throw TransportFailure("cannot listen at \(address): \(error)")
        }
    }

    private static let kernelBuffer = 1 << 20
    private static let reconnectMilliseconds = 20
    private static let lastReconnectMilliseconds = 200

    private static func outbox(_ configuration: Configuration) throws(NanomsgSocket.Failure) -> NanomsgSocket {
        try NanomsgSocket.outbox(options: [
            NN_LINGER: 0, NN_SNDBUF: kernelBuffer, NN_RECONNECT_IVL: reconnectMilliseconds,
            NN_RECONNECT_IVL_MAX: lastReconnectMilliseconds,
        ])
    }

    private static func watched(_ shared: Shared, _ outboxes: [NanomsgSocket]) -> [ConnectionMonitor.Watched] {
        zip(shared.peers, outboxes).compactMap { peer, socket in
            guard shared.configuration.watch.contains(peer), let text = shared.configuration.peers[peer] else {
                return nil
            }
            guard let address = SocketAddress(text) else {
                shared.logger.error("cannot watch \(peer): no address \(text)")
                return nil
            }
            return ConnectionMonitor.Watched(peer: peer, address: address, socket: socket)
        }
    }

    /// Runs blocking code on a thread of its own and returns when it is done.
    private static func thread(_ name: String, _ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            let thread = Thread {
                body()
                continuation.resume()
            }
            thread.name = "transport-\(name)"
            thread.start()
        }
    }
}
