import ClusterRuntime
import Destinations
import RegistrarEvents

/// A destination as its consumers see it: it takes whatever arrives, and a consumer of each domain keeps the set by the
/// rules that docs/consumers.md gives. It shares no code with what delivers.
struct BrokerTwin {
    /// What the consumer of one domain has.
    struct Consumer {
        private(set) var set: [ContactKey: PackedContact] = [:]
        /// The last position that was taken.
        private(set) var position = Position.start
        /// Since when events are missing; a `clear` has to follow.
        private(set) var gap: Position?
        /// Events that came again.
        private(set) var duplicates = 0

        /// - Returns: whether it was news.
        mutating func take(_ event: DestinationEvent) -> Bool {
            let place = event.position
            if case .clear(let reason) = event.entry.change {
                // One that was made for this destination alone may restate the position that it has.
                let isNews = reason == .resync ? place >= position : place > position
                guard isNews else { return pass() }
                (set, position, gap) = ([:], place, nil)
                return true
            }
            let isRestated = event.isReplay && place == position
            guard place > position || isRestated else { return pass() }
            if !isRestated, place.epoch != position.epoch || place.seq != position.seq + 1 { gap = position }
            position = place
            switch event.entry.change {
            case .registered(let contact, _, _): if let key = World.key(contact) { set[key] = contact }
            case .unregistered(let contact, _): if let key = World.key(contact) { set[key] = nil }
            case .clear: break
            }
            return true
        }

        private mutating func pass() -> Bool {
            duplicates += 1
            return false
        }
    }

    var consumers: [DomainName: Consumer] = [:]
    var isAway = false
    /// Events taken, those that came again among them.
    var taken = 0
    var duplicates: Int { consumers.values.reduce(0) { $0 + $1.duplicates } }

    func position(in domain: DomainName) -> Position { consumers[domain]?.position ?? .start }
}

/// What an `sr` node has for the destination: the production lane, and its spool. Both end with the process.
struct LaneTwin {
    var machine: LaneMachine
    /// Records of each domain, as they were written.
    var spool: [DomainName: [[DestinationEvent]]] = [:]

    var spooledBytes: Int {
        spool.values.joined().joined().reduce(0) { $0 + $1.entry.weight }
    }

    /// Takes whole records of about so many bytes from the front, at least one.
    mutating func read(bytes: Int, of domain: DomainName) -> [DestinationEvent] {
        var events: [DestinationEvent] = []
        var taken = 0
        while taken < bytes, let record = spool[domain]?.first {
            spool[domain]?.removeFirst()
            events += record
            taken += record.reduce(0) { $0 + $1.entry.weight }
        }
        return events
    }
}
