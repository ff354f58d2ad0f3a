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
    private let receiver = Mutex<Receiver?>(nil)

    init(_ node: NodeID, limit: Int) {
        self.node = node
        mailbox = Mailbox(limit: limit)
    }

    var dropped: UInt64 { mailbox.dropped }

    func add(_ messages: [Message]) {
        guard mailbox.post(messages) else { return }
        queue.async { self.turn() }
    }

    /// From now on messages are handed over; nil: they are thrown away.
    func open(_ deliver: (@Sendable (TransportEvent) -> Void)?) {
        receiver.withLock { $0 = deliver.map { Receiver(deliver: $0) } }
    }

    private func turn() {
        while let messages = mailbox.take() {
            let receiver = receiver.withLock { $0 }
            receiver?.deliver(.received(messages, from: node))
        }
    }
}
