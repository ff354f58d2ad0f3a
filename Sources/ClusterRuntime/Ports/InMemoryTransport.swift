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

    /// One running node, and what waits for it.
    ///
    /// Whoever sends to a node that is idle delivers that itself; what comes meanwhile is left to the node's queue. So
    /// most messages cost no change of threads, and still one thread at a time delivers. What `deliver` calls may send,
    /// to this node as well: that only waits.
    fileprivate final class Seat: Sendable {
        private struct State {
            var events: [TransportEvent] = []
            /// Messages in `events`.
            var waiting = 0
            var isBusy = false
            var isOpen = true
            var closers: [CheckedContinuation<Void, Never>] = []
        }

        let node: NodeID
        let watch: Set<NodeName>
        private let state = Mutex(State())
        private let queue: DispatchQueue
        private let deliver: @Sendable (TransportEvent) -> Void

        init(node: NodeID, watch: Set<NodeName>, deliver: @escaping @Sendable (TransportEvent) -> Void) {
            self.node = node
            self.watch = watch
            self.deliver = deliver
            queue = DispatchQueue(label: "transport-\(node.name)")
        }

        /// - Returns: whether there was room.
        func put(_ event: TransportEvent, count: Int) -> Bool {
            let (isTaken, isFirst) = state.withLock { state in
                guard state.isOpen, state.waiting + count <= InMemoryHub.maximumWaiting else { return (false, false) }
                guard state.isBusy else {
                    state.isBusy = true
                    return (true, true)
                }
                state.events.append(event)
                state.waiting += count
                return (true, false)
            }
            guard isFirst else { return isTaken }
            deliver(event)
            if let more = next() { queue.async { self.run(more) } }
            return true
        }

        private func run(_ first: [TransportEvent]) {
            var batch: [TransportEvent]? = first
            while let events = batch {
                for event in events { deliver(event) }
                batch = next()
            }
        }

        /// What has come meanwhile; with nil the seat is idle.
        private func next() -> [TransportEvent]? {
            let closers: [CheckedContinuation<Void, Never>]
            let events: [TransportEvent]?
            (events, closers) = state.withLock { state in
                guard state.events.isEmpty else {
                    defer { (state.events, state.waiting) = ([], 0) }
                    return (state.events, [])
                }
                state.isBusy = false
                defer { state.closers = [] }
                return (nil, state.closers)
            }
            for closer in closers { closer.resume() }
            return events
        }

        /// Takes nothing any more, throws away what waits, and returns when what was being delivered is.
        func close() async {
            await withCheckedContinuation { continuation in
                let isIdle = state.withLock { state in
                    state.isOpen = false
                    (state.events, state.waiting) = ([], 0)
                    if state.isBusy { state.closers.append(continuation) }
                    return !state.isBusy
                }
                if isIdle { continuation.resume() }
            }
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
