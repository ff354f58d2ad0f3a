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
        statistics.drop(.stopped, count: Int(loopback.droppedAfterwards))
        return statistics
    }

    public func send(_ messages: [Message], to peer: NodeName) {
        if peer == shared.configuration.node.name {
            loopback.add(messages)
        } else {
            shared.intake.add(messages, to: peer)
        }
    }

    /// The other nodes are these from now on: those that are new are connected to, those that are none of them are let
    /// go of. To be called while the transport runs; calls must not overlap.
    /// - Parameter watch: as in the configuration. A transport whose configuration watches nobody watches nobody.
    /// - Throws: when no socket can be had; peers that were taken in by then stay.
    public func setPeers(_ peers: [NodeName: String], watch: Set<NodeName>) throws {
        let own = shared.configuration.node.name
        let known = shared.roster.withLock(\.entries).compactMap(\.self)
        for entry in known where peers[entry.peer] != entry.address {
            shared.table.withLock { $0.leave(entry.peer) }
            shared.roster.withLock { roster in
                guard let index = roster.entries.firstIndex(where: { $0?.peer == entry.peer }) else { return }
                roster.entries[index] = nil
                roster.version += 1
            }
            shared.intake.leave(entry.peer)
        }
        let kept = Set(known.filter { peers[$0.peer] == $0.address }.map(\.peer))
        for (peer, address) in peers.sorted(by: { $0.key < $1.key }) where peer != own && !kept.contains(peer) {
            let entry = try entry(peer, address, isWatched: watch.contains(peer))
            shared.table.withLock { $0.join(peer) }
            shared.roster.withLock { roster in
                roster.entries.append(entry)
                roster.version += 1
            }
            shared.intake.join(peer)
        }
    }

    /// Runs once in the life of a transport.
    /// - Throws: `TransportFailure` when the address cannot be bound or a socket fails.
    public func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {
        let inbox = try bind()
        defer { inbox.close() }
        shared.opened(inbox)
        try openOutboxes()
        defer { for entry in shared.roster.withLock({ $0.entries }) { entry?.socket.close() } }
        // Three threads deliver; they take turns.
        let turn = Mutex(())
        let inTurn: @Sendable (TransportEvent) -> Void = { event in turn.withLock { _ in deliver(event) } }
        loopback.open(inTurn)
        defer { loopback.close() }
        try await withTaskCancellationHandler {
            await withDiscardingTaskGroup { [shared] group in
                group.addTask {
                    await Self.thread("sender") {
                        do throws(NanomsgSocket.Failure) {
                            var sender = SenderThread(shared: shared)
                            try sender.run()
                        } catch { shared.fail(error) }
                    }
                }
                group.addTask {
                    await Self.thread("receiver") {
                        var receiver = ReceiverThread(shared: shared, inbox: inbox, deliver: inTurn)
                        receiver.run()
                    }
                }
                guard !shared.configuration.watch.isEmpty else { return }
                group.addTask {
                    await Self.thread("monitor") {
                        var monitor = ConnectionMonitor(shared: shared, deliver: inTurn)
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
        guard let address = SocketAddress.withoutName(shared.configuration.bind) else {
            throw TransportFailure(
                "cannot listen at \(shared.configuration.bind): the name stands for no IPv4 address here")
        }
        do throws(NanomsgSocket.Failure) {
            return try NanomsgSocket.inbox(
                at: address,
                // A little over the limit, so that a frame just over it is counted; one far over it breaks the
                // connection.
                options: [
                    NN_RCVMAXSIZE: shared.configuration.maximumFrame + (64 << 10), NN_RCVBUF: Self.kernelBuffer,
                    NN_LINGER: 0, NN_IPV4ONLY: Self.ipv4Only(address),
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

    /// With IPv6 allowed the library takes IPv4 for a part of it, which fails where the system has no IPv6.
    private static func ipv4Only(_ address: String) -> Int { address.hasPrefix("tcp://[") ? 0 : 1 }

    private static func outbox(to address: String) throws(NanomsgSocket.Failure) -> NanomsgSocket {
        try NanomsgSocket.outbox(options: [
            NN_LINGER: 0, NN_SNDBUF: kernelBuffer, NN_RECONNECT_IVL: reconnectMilliseconds,
            NN_RECONNECT_IVL_MAX: lastReconnectMilliseconds, NN_IPV4ONLY: ipv4Only(address),
        ])
    }

    private func openOutboxes() throws {
        let configuration = shared.configuration
        for peer in configuration.peers.keys.filter({ $0 != configuration.node.name }).sorted() {
            let entry = try entry(peer, configuration.peers[peer] ?? "", isWatched: configuration.watch.contains(peer))
            shared.roster.withLock { $0.entries.append(entry) }
        }
        shared.roster.withLock { $0.version += 1 }
    }

    private func entry(_ peer: NodeName, _ address: String, isWatched: Bool) throws -> Shared.PeerEntry {
        Shared.PeerEntry(
            peer: peer, address: address, isWatched: isWatched, socket: try Self.outbox(to: address))
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
