import DequeModule
import Synchronization

/// The connections of devices: at which event loop each is open, and which were closed. Shared by all event loops.
///
/// A contact that was registered over a connection can be reached over that one only (RFC 5626 section 3.1). What was
/// closed longest ago is forgotten over the bound, and then nothing is known of it.
final class FlowBook: Sendable {
    /// The far end of a connection, as contacts have it.
    struct End: Hashable {
        /// As events say it: `tcp`.
        let transport: String
        let address: String
        let port: UInt16
    }

    enum State {
        /// At this event loop, as the connection of this number.
        case open(lane: Int, number: UInt64, SIPPeer)
        case closed
        /// It never was one of this node, or was too long ago.
        case unknown
    }

    private struct Flows {
        var open: [End: (lane: Int, number: UInt64, peer: SIPPeer)] = [:]
        var closed: Set<End> = []
        /// The oldest first. May have ends that are open again.
        var order: Deque<End> = []
    }

    private let flows = Mutex(Flows())
    private let capacity: Int

    /// - Parameter capacity: closed connections that are remembered.
    init(capacity: Int = 65_536) { self.capacity = capacity }

    func opened(_ peer: SIPPeer, lane: Int, number: UInt64) {
        flows.withLock { flows in
            flows.open[End(peer)] = (lane, number, peer)
            flows.closed.remove(End(peer))
        }
    }

    func closed(_ peer: SIPPeer, lane: Int, number: UInt64) {
        let end = End(peer)
        flows.withLock { flows in
            // The same ports may be in use again before the end of the earlier connection is noticed.
            guard let open = flows.open[end], open.lane == lane, open.number == number else { return }
            flows.open[end] = nil
            guard flows.closed.insert(end).inserted else { return }
            flows.order.append(end)
            while flows.order.count > capacity, let oldest = flows.order.popFirst() { flows.closed.remove(oldest) }
        }
    }

    func state(of end: End) -> State {
        flows.withLock { flows in
            if let open = flows.open[end] { return .open(lane: open.lane, number: open.number, open.peer) }
            return flows.closed.contains(end) ? .closed : .unknown
        }
    }
}

extension FlowBook.End {
    init(_ peer: SIPPeer) {
        self.init(transport: peer.transport.eventName, address: peer.address, port: peer.port)
    }
}
