import Dispatch
import Synchronization

/// Connects nodes that live in one process, through queues: the twin of the real transport. `rollcall dev` runs on it.
public final class InMemoryHub: Sendable {
    /// Messages waiting at one node; over it the newest are dropped.
    public static let maximumWaiting = 1 << 16

    private let seats = Mutex<[NodeName: Seat]>([:])
    private let droppedMessages = Atomic<UInt64>(0)

    public init() {}

    /// Messages dropped because the receiver was not there or had too many waiting.
    public var dropped: UInt64 { droppedMessages.load(ordering: .relaxed) }

    fileprivate func take(_ seat: Seat) {
        let former = seats.withLock { $0.updateValue(seat, forKey: seat.node.name) }
        precondition(former == nil, "node \(seat.node.name) runs twice on one hub")
    }

    fileprivate func leave(_ seat: Seat) {
        let watchers = seats.withLock { seats in
            seats[seat.node.name] = nil
            return seats.values.filter { $0.watch.contains(seat.node.name) }
        }
        // Each has a queue of its own, so their order is of no consequence.
        for watcher in watchers { _ = watcher.put(.refused(seat.node.name), count: 1) }
    }

    fileprivate func carry(_ messages: [Message], from sender: NodeID, to peer: NodeName) {
        guard !messages.isEmpty else { return }
        let seat = seats.withLock { seats in
            // Only a node that runs can send.
            seats[sender.name]?.node == sender ? seats[peer] : nil
        }
        let taken = seat?.put(.received(messages, from: sender), count: messages.count) ?? false
        if !taken { droppedMessages.add(UInt64(messages.count), ordering: .relaxed) }
    }

    /// One running node: its queue, and how much waits in it.
    fileprivate final class Seat: Sendable {
        let node: NodeID
        let watch: Set<NodeName>
        private let queue: DispatchQueue
        private let waiting = Atomic<Int>(0)
        private let open = Atomic<Bool>(true)
        private let deliver: @Sendable (TransportEvent) -> Void

        init(node: NodeID, watch: Set<NodeName>, deliver: @escaping @Sendable (TransportEvent) -> Void) {
            self.node = node
            self.watch = watch
            self.deliver = deliver
            queue = DispatchQueue(label: "transport-\(node.name)")
        }

        func put(_ event: TransportEvent, count: Int) -> Bool {
            let (before, _) = waiting.add(count, ordering: .relaxed)
            guard before + count <= InMemoryHub.maximumWaiting else {
                waiting.subtract(count, ordering: .relaxed)
                return false
            }
            queue.async { [self] in
                waiting.subtract(count, ordering: .relaxed)
                if open.load(ordering: .acquiring) { deliver(event) }
            }
            return true
        }

        /// Delivers nothing any more; returns when what was being delivered is.
        func close() async {
            open.store(false, ordering: .releasing)
            await withCheckedContinuation { continuation in queue.async { continuation.resume() } }
        }
    }
}

/// One node's place on a hub.
public final class InMemoryTransport: Transport {
    private let node: NodeID
    private let hub: InMemoryHub
    private let watch: Set<NodeName>

    /// - Parameter watch: peers whose end is to be reported (`TransportEvent.refused`).
    public init(self node: NodeID, on hub: InMemoryHub, watch: Set<NodeName> = []) {
        self.node = node
        self.hub = hub
        self.watch = watch
    }

    public func send(_ messages: [Message], to peer: NodeName) { hub.carry(messages, from: node, to: peer) }

    public func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {
        let seat = InMemoryHub.Seat(node: node, watch: watch, deliver: deliver)
        hub.take(seat)
        // A stream to which nothing comes ends with the task's cancellation.
        let (nothing, continuation) = AsyncStream<Never>.makeStream()
        for await _ in nothing {}
        withExtendedLifetime(continuation) {}
        hub.leave(seat)
        await seat.close()
    }
}
