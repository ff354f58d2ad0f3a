import ClusterRuntime
import NIOCore
import RegistrarEvents

/// The shell of one event loop's registrar: its sockets, what is sent in a burst, and the time. Everything but `post`
/// happens on that loop.
final class SIPLane: Sendable {
    enum Item: Sendable {
        case replies([Reply], from: NodeID)
        case assigned([Assignment])
        /// The domains of the topology have changed.
        case domains([DomainName: DomainSpec])
        /// What became of a SUBSCRIBE of this loop.
        case watched(WatchRequest, WatchAnswer)
        /// To a watcher who is reached from this loop.
        case notify([UInt8], Route)
    }

    let eventLoop: any EventLoop
    private let box: NIOLoopBoundBox<Core>
    private let inbox = Mailbox<Item>(limit: 65_536)

    init(
        _ registrar: sending Registrar, eventLoop: any EventLoop, transport: any Transport, watchers: WatcherTable
    ) {
        self.eventLoop = eventLoop
        box = NIOLoopBoundBox.makeBoxSendingValue(
            Core(registrar, eventLoop: eventLoop, transport: transport, watchers: watchers), eventLoop: eventLoop)
    }

    /// What the loop has for itself; to be asked for on it.
    var core: Core { box.value }

    /// Hands over what came from other nodes, from any thread.
    func post(_ item: Item, isVital: Bool = false) {
        guard inbox.post(CollectionOfOne(item), isVital: isVital) else { return }
        eventLoop.execute { self.turn() }
    }

    private func turn() {
        let core = core
        while let items = inbox.take() {
            for item in items { core.take(item) }
        }
        core.flush()
    }
}
