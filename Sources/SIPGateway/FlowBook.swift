import Synchronization

/// How devices are reached from this node: at which event loop each connection is open, and who has registered here
/// lately. Shared by all event loops.
///
/// A contact that was registered over a connection can be reached over that one only (RFC 5626 section 3.1), and one
/// that was registered over UDP only by whom its device has sent to: address translators and firewalls let in nobody
/// else. The address alone does not tell whom that was, since a device may go from one node to another with the same
/// port. So what is kept is the Call-ID and its latest CSeq, the same for all registrations of a device (RFC 3261
/// section 10.2): where a contact has a later one, its device has registered elsewhere since.
///
/// Of the registrations over UDP, and of those over connections, at least the latest `capacity` are remembered. Of what
/// was forgotten nothing is known.
final class FlowBook: Sendable {
    /// The far end of a connection, as contacts have it.
    struct End: Hashable {
        /// As events say it: `tcp`.
        let transport: String
        let address: String
        let port: UInt16
    }

    /// A REGISTER, as its contacts tell of it.
    struct Origin {
        let end: End
        let callID: String
        let cseq: UInt32
    }

    enum State {
        /// At this event loop, as the connection of this number.
        case open(lane: Int, number: UInt64, SIPPeer)
        case closed
        /// It was registered elsewhere, or too long ago.
        case unknown
    }

    private struct Flows {
        var open: [End: (lane: Int, number: UInt64, peer: SIPPeer)] = [:]
        var overDatagrams: Latest<UInt32>
        var overConnections: Latest<UInt32>
    }

    private let flows: Mutex<Flows>

    init(capacity: Int = 262_144) {
        let calls = Latest<UInt32>(capacity: capacity)
        flows = Mutex(Flows(overDatagrams: calls, overConnections: calls))
    }

    // MARK: What happens

    func opened(_ peer: SIPPeer, lane: Int, number: UInt64) {
        flows.withLock { $0.open[End(peer)] = (lane, number, peer) }
    }

    func closed(_ peer: SIPPeer, lane: Int, number: UInt64) {
        let end = End(peer)
        flows.withLock { flows in
            // The same ports may be in use again before the end of the earlier connection is noticed.
            guard let open = flows.open[end], open.lane == lane, open.number == number else { return }
            flows.open[end] = nil
        }
    }

    /// A REGISTER with contacts was granted that had come to this node.
    func granted(_ origin: Origin, isReliable: Bool) {
        flows.withLock { flows in
            if isReliable { flows.overConnections.note(origin) } else { flows.overDatagrams.note(origin) }
        }
    }

    // MARK: What is known

    /// Whether a contact's device has sent its latest REGISTER over UDP to this node.
    func hasHeard(_ origin: Origin) -> Bool { flows.withLock { $0.overDatagrams.has(origin) } }

    /// What became of the connection that a contact was registered over.
    func state(of origin: Origin) -> State {
        flows.withLock { flows in
            guard flows.overConnections.has(origin) else { return .unknown }
            guard let open = flows.open[origin.end] else { return .closed }
            return .open(lane: open.lane, number: open.number, open.peer)
        }
    }
}

extension FlowBook.End {
    init(_ peer: SIPPeer) {
        self.init(transport: peer.transport.eventName, address: peer.address, port: peer.port)
    }
}

extension Latest<UInt32> {
    /// By end and Call-ID, the latest CSeq.
    fileprivate mutating func note(_ origin: FlowBook.Origin) { note(origin.cseq, Self.key(origin)) }

    fileprivate func has(_ origin: FlowBook.Origin) -> Bool {
        guard let latest = self[Self.key(origin)] else { return false }
        return origin.cseq <= latest
    }

    private static func key(_ origin: FlowBook.Origin) -> Int {
        var hasher = Hasher()
        hasher.combine(origin.end)
        hasher.combine(origin.callID)
        return hasher.finalize()
    }
}
