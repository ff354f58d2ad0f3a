import ClusterRuntime
import Dispatch
import Synchronization

/// A node's messages to itself: the owner of a domain is asked over its own admin address like any other node.
///
/// No socket carries them, and no session could: it takes two lives to agree on keys. Over the limit the newest are
/// dropped, as from an outbox.
final class Loopback: Sendable {
    private let node: NodeID
    private let mailbox: Mailbox<Message>
    private let queue = DispatchQueue(label: "transport-loopback")
    /// Where messages go; a closure by itself would be wrapped once more by every look into the mutex.
    private struct Receiver: Sendable {
        let deliver: @Sendable (TransportEvent) -> Void
    }
    private enum State: Sendable {
        /// Messages wait.
        case notYetOpen
        case open(Receiver)
        case closed
    }
    private let state = Mutex(State.notYetOpen)
    private let stopped = Atomic<UInt64>(0)

    init(_ node: NodeID, limit: Int) {
        self.node = node
        mailbox = Mailbox(limit: limit)
    }

    /// Messages that found the mailbox full.
    var dropped: UInt64 { mailbox.dropped }

    /// Messages that came when the transport was not running any more.
    var droppedAfterwards: UInt64 { stopped.load(ordering: .relaxed) }

    func add(_ messages: [Message]) {
        guard mailbox.post(messages) else { return }
        queue.async { self.turn() }
    }

    /// From now on messages are handed over, those first that have come already.
    func open(_ deliver: @escaping @Sendable (TransportEvent) -> Void) {
        state.withLock { $0 = .open(Receiver(deliver: deliver)) }
        queue.async { self.turn() }
    }

    /// From now on messages are dropped.
    func close() {
        state.withLock { $0 = .closed }
        queue.async { self.turn() }
    }

    private func turn() {
        if case .notYetOpen = state.withLock({ $0 }) { return }
        while let messages = mailbox.take() {
            switch state.withLock({ $0 }) {
            case .open(let receiver): receiver.deliver(.received(messages, from: node))
            case .notYetOpen, .closed: stopped.add(UInt64(messages.count), ordering: .relaxed)
            }
        }
    }
}
