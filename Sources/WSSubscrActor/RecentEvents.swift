import DequeModule
import RegistrarEvents

/// The recent events of a domain, over epochs, bounded in count and in bytes; the oldest go first.
///
/// Each is encoded when it is first needed, and then kept. Invariant: an event is followed by its successor in the same
/// epoch, or by number 1 (a `clear`) of a later one, so whoever has one event can go on with the next.
struct RecentEvents: Sendable {
    struct Event: Sendable {
        let position: Position
        let entry: LogEntry
        /// Nil for `clear`.
        var subject: Subject?
        var tail: [UInt8]?
        var isUnreadable = false
    }

    /// Whom an event is about.
    struct Subject: Sendable {
        let type: EventTypes
        let account: String
    }

    let domain: DomainName
    let maximumCount: Int
    let maximumBytes: Int
    private var events: Deque<Event> = []
    private var byteCount = 0
    /// Everything up to here is no longer listed.
    private(set) var base = Position.start
    /// The position of the last event.
    private(set) var last = Position.start

    init(domain: DomainName, maximumCount: Int, maximumBytes: Int) {
        self.domain = domain
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    var count: Int { events.count }

    mutating func append(_ entry: LogEntry, epoch: UInt64) {
        last = Position(epoch: epoch, seq: entry.seq)
        events.append(Event(position: last, entry: entry))
        byteCount += entry.weight
        while events.count > maximumCount || (byteCount > maximumBytes && events.count > 1) { removeFirst() }
    }

    /// The list was replaced: nothing before this position can be listed any more.
    mutating func restart(at position: Position) {
        events.removeAll()
        byteCount = 0
        base = position
        last = position
    }

    /// Where the events after a position begin: `count` when there are none yet, nil when they cannot all be listed.
    func index(after position: Position) -> Int? {
        guard position >= base, position <= last else { return nil }
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].position <= position { low = middle + 1 } else { high = middle }
        }
        guard low < events.count else { return low }
        let next = events[low].position
        let follows = next.epoch == position.epoch ? next.seq == position.seq + 1 : next.seq == 1
        return follows ? low : nil
    }

    func position(at index: Int) -> Position { events[index].position }

    /// Whom the event at an index is about.
    /// - Returns: nil for `clear`, and for one whose contact cannot be read.
    mutating func subject(at index: Int) -> Subject? {
        if let subject = events[index].subject { return subject }
        guard let contact = events[index].entry.change.contact, !events[index].isUnreadable else { return nil }
        prepare(index, contact)
        return events[index].subject
    }

    /// The encoded event at an index; nil when its contact cannot be read.
    mutating func tail(at index: Int) -> [UInt8]? {
        if let tail = events[index].tail { return tail }
        guard !events[index].isUnreadable else { return nil }
        if let contact = events[index].entry.change.contact {
            prepare(index, contact)
        } else {
            let event = events[index]
            keep(EventJSON.tail(of: event.entry, registration: nil, domain: domain, epoch: event.position.epoch), index)
        }
        return events[index].tail
    }

    func isClear(at index: Int) -> Bool {
        if case .clear = events[index].entry.change { return true }
        return false
    }

    /// Unpacks the contact once, for both the subject and the encoded event.
    private mutating func prepare(_ index: Int, _ contact: PackedContact) {
        let event = events[index]
        do {
            let registration = try contact.registration()
            events[index].subject = EventTypes(event.entry.change, registration.key.account.kind).map {
                Subject(type: $0, account: registration.key.account.name)
            }
            keep(
                EventJSON.tail(
                    of: event.entry, registration: registration, domain: domain, epoch: event.position.epoch), index)
        } catch {
            // The owner packed it, so this is a fault of a peer: the follower raises an alarm (`isUnreadable(at:)`).
            events[index].isUnreadable = true
        }
    }

    func isUnreadable(at index: Int) -> Bool { events[index].isUnreadable }

    private mutating func keep(_ tail: [UInt8], _ index: Int) {
        events[index].tail = tail
        byteCount += tail.count
    }

    private mutating func removeFirst() {
        let event = events.removeFirst()
        byteCount -= event.entry.weight + (event.tail?.count ?? 0)
        base = event.position
    }
}
