import ClusterRuntime
import Synchronization

/// What waits for a router's loop. What other nodes send is bounded. What the router itself brought about is not
/// counted: there is at most one tick under way, one answer to each question that the machine has put to the
/// coordinator, which asks no faster than answers and ticks come, the coordinator's word that nobody leads, and what a
/// tick has it say to itself.
final class RouterMailbox: Sendable {
    enum Item: Sendable {
        case tick
        case transport(TransportEvent)
        /// An answer of the coordinator.
        case coordinator(RouterMachine.Event)
        /// A message of this router to itself.
        case own(Message)
    }

    private struct Counters {
        var waiting = 0
        var dropped: UInt64 = 0
        var hasTick = false
    }

    let items: AsyncStream<Item>
    private let continuation: AsyncStream<Item>.Continuation
    private let limit: Int
    private let counters = Mutex(Counters())

    init(limit: Int) {
        self.limit = limit
        (items, continuation) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    /// How many transport events were dropped because the mailbox was full.
    var dropped: UInt64 { counters.withLock(\.dropped) }

    /// Takes an event if there is room. Nothing rests on it: nodes repeat themselves.
    func post(_ event: TransportEvent) {
        let hasRoom = counters.withLock { counters in
            guard counters.waiting < limit else {
                counters.dropped += 1
                return false
            }
            counters.waiting += 1
            return true
        }
        if hasRoom { continuation.yield(.transport(event)) }
    }

    /// A tick, unless the last one was not even looked at yet.
    func tick() {
        let isFirst = counters.withLock { counters in
            defer { counters.hasTick = true }
            return !counters.hasTick
        }
        if isFirst { continuation.yield(.tick) }
    }

    /// An answer of the coordinator, or its word that nobody leads.
    func post(answer: RouterMachine.Event) { continuation.yield(.coordinator(answer)) }

    func post(own message: Message) { continuation.yield(.own(message)) }

    /// To be told of every item that was taken out.
    func took(_ item: Item) {
        counters.withLock { counters in
            switch item {
            case .tick: counters.hasTick = false
            case .transport: counters.waiting -= 1
            case .coordinator, .own: break
            }
        }
    }
}
