import DequeModule
import RegistrarEvents

/// The recent events of a domain, over epochs, bounded in count and in bytes; the oldest go first.
///
/// Each is encoded when it is first needed, and then kept. Invariant: an event of the log is followed by its successor
/// in the same epoch, or by number 1 (a `clear`) of a later one, so whoever has one event can go on with the next.
///
/// It also knows which events changed the list. What was not restated after a `clear` is told by *differences*: they
/// stand at the end of the replay, at the position of its last event, and are for those that want net changes only.
struct RecentEvents: Sendable {
    struct Event: Sendable {
        let position: Position
        let entry: LogEntry
        let effect: Effect
        /// Nil for `clear`.
        var subject: Subject?
        var tail: [UInt8]?
        var isUnreadable = false
    }

    /// What an event does to the list that net changes lead to.
    enum Effect: Sendable {
        /// A renewal, or a restatement: nothing.
        case none
        /// What it replaces, if it does.
        case change(replaced: PackedContact?)
        /// The end of a contact, which is not in the log.
        case difference
    }

    /// Whom an event is about.
    struct Subject: Sendable {
        let type: EventTypes
        let account: String
    }

    /// A place between two events.
    struct Place: Sendable, Hashable {
        /// Of the event before it.
        let position: Position
        /// Of the event after it; events are numbered as they come, and no number is used again.
        let number: UInt64
    }

    /// Why a contact ended that was not restated: the registrar does not have it any more.
    static let voidReason = UnregisterReason.deleteContact

    let domain: DomainName
    let maximumCount: Int
    let maximumBytes: Int
    private var events: Deque<Event> = []
    private var byteCount = 0
    var workbench = Workbench()
    /// The number of the first event.
    private var firstNumber: UInt64 = 0
    /// Everything up to here is no longer listed.
    private(set) var base = Position.start
    /// The position of the last event.
    private(set) var last = Position.start
    /// Where the replays of recent epochs ended, as far as known.
    private var replayEnds: [Position] = []
    /// Whether the last event that was dropped was a difference.
    private var isBaseDifference = false
    /// Net changes can be listed from this number on.
    private var firstChange: UInt64 = 0

    init(domain: DomainName, maximumCount: Int, maximumBytes: Int) {
        self.domain = domain
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    var count: Int { events.count }

    /// Behind the last event.
    var end: Place { place(before: events.count) }

    // MARK: Adding

    mutating func append(_ entry: LogEntry, epoch: UInt64, effect: Effect) {
        last = Position(epoch: epoch, seq: entry.seq)
        append(Event(position: last, entry: entry, effect: effect))
    }

    /// Adds differences at the position of the last event.
    /// - Returns: false when there are too many to be kept.
    mutating func append(differences: [LogEntry]) -> Bool {
        let weight = differences.reduce(0) { $0 + $1.weight }
        guard differences.count <= maximumCount / 2, weight <= maximumBytes / 2 else { return false }
        for entry in differences { append(Event(position: last, entry: entry, effect: .difference)) }
        return true
    }

    private mutating func append(_ event: Event) {
        events.append(event)
        byteCount += event.weight
        while events.count > maximumCount || (byteCount > maximumBytes && events.count > 1) { removeFirst() }
    }

    private mutating func removeFirst() {
        let event = events.removeFirst()
        byteCount -= event.weight + (event.tail?.count ?? 0)
        firstNumber += 1
        base = event.position
        isBaseDifference = event.effect.isDifference
    }

    /// The list was replaced: nothing before this position can be listed any more.
    mutating func restart(at position: Position) {
        firstNumber += UInt64(events.count)
        firstChange = firstNumber
        events.removeAll()
        byteCount = 0
        base = position
        last = position
        isBaseDifference = false
    }

    /// Everything live has been restated by a position.
    mutating func replayEnded(at position: Position) {
        guard replayEnds.last.map({ $0 < position }) ?? true else { return }
        replayEnds.append(position)
        if replayEnds.count > Self.maximumReplayEnds { replayEnds.removeFirst() }
    }

    private static let maximumReplayEnds = 64

    /// Whether every node that has come to a position holds the same list there, and has told it in whole: not up to
    /// the end of a replay, where it depends on what each held before.
    private func isSettled(_ position: Position) -> Bool {
        position == .start || replayEnds.contains { $0.epoch == position.epoch && $0.seq < position.seq }
    }

    /// What changed is not known: net changes can be listed from here on only.
    mutating func loseChanges() { firstChange = end.number }

    // MARK: Places

    func position(at index: Int) -> Position { events[index].position }

    func place(before index: Int) -> Place {
        Place(position: index > 0 ? events[index - 1].position : base, number: firstNumber + UInt64(index))
    }

    /// Where the event after a place is: `count` when there is none yet, nil when not all that followed can be listed.
    func index(of place: Place, changes: Bool) -> Int? {
        guard place.number >= (changes ? max(firstNumber, firstChange) : firstNumber) else { return nil }
        return Int(place.number - firstNumber)
    }

    /// Where whoever was given everything up to a position by this node goes on: nil when what it missed cannot all be
    /// listed.
    func place(after position: Position, changes: Bool) -> Place? {
        guard let index = index(after: position) else { return nil }
        let place = Place(position: position, number: firstNumber + UInt64(index))
        guard changes else { return place }
        guard place.number >= firstChange, index > 0 || !isBaseDifference else { return nil }
        return place
    }

    /// The same for whoever was at a position at any node. Net changes lead on from there only if this node knows the
    /// list as of just that position, and it was the same everywhere.
    func place(resuming position: Position, changes: Bool) -> Place? {
        guard let place = place(after: position, changes: changes) else { return nil }
        guard changes else { return place }
        let known = self.place(before: Int(place.number - firstNumber)).position
        return known == position && isSettled(position) ? place : nil
    }

    /// The first event after a position; differences at the position are among those.
    private func index(after position: Position) -> Int? {
        guard position >= base, position <= last else { return nil }
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            let event = events[middle]
            let isBefore =
                event.position < position || (event.position == position && !event.effect.isDifference)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        guard let next = events[low...].first(where: { !$0.effect.isDifference })?.position else { return low }
        let follows = next.epoch == position.epoch ? next.seq == position.seq + 1 : next.seq == 1
        return follows ? low : nil
    }

    // MARK: Events

    func event(at index: Int) -> Event { events[index] }

    /// Whom the event at an index is about.
    /// - Returns: nil for `clear`, and for one whose contact cannot be read.
    mutating func subject(at index: Int) -> Subject? {
        if let subject = events[index].subject { return subject }
        _ = prepare(index)
        return events[index].subject
    }

    /// The encoded event at an index; nil when its contact cannot be read.
    mutating func tail(at index: Int) -> [UInt8]? {
        if let tail = events[index].tail { return tail }
        guard events[index].entry.change.contact == nil else {
            _ = prepare(index)
            return events[index].tail
        }
        let event = events[index]
        keep(EventJSON.tail(of: event.entry, registration: nil, domain: domain, epoch: event.position.epoch), index)
        return events[index].tail
    }

    /// The event at an index, unpacked; nil for `clear`, and for one whose contact cannot be read.
    mutating func view(at index: Int) -> EventView? {
        if let view = workbench.views[number(at: index)] { return view }
        guard let view = prepare(index) else { return nil }
        workbench.keep(view, number(at: index))
        return view
    }

    func number(at index: Int) -> UInt64 { firstNumber + UInt64(index) }

    func isUnreadable(at index: Int) -> Bool { events[index].isUnreadable }

    /// Unpacks the contact once, for both the subject and the encoded event.
    private mutating func prepare(_ index: Int) -> EventView? {
        let event = events[index]
        guard let contact = event.entry.change.contact, !event.isUnreadable else { return nil }
        do {
            guard let view = EventView(event.entry, try contact.registration()) else { return nil }
            if event.subject == nil { events[index].subject = Subject(type: view.type, account: view.account) }
            if event.tail == nil { keep(view.tail(keeping: nil, domain: domain, epoch: event.position.epoch), index) }
            return view
        } catch {
            // The owner packed it, so this is a fault of a peer: the follower raises an alarm (`isUnreadable(at:)`).
            events[index].isUnreadable = true
            return nil
        }
    }

    private mutating func keep(_ tail: [UInt8], _ index: Int) {
        events[index].tail = tail
        byteCount += tail.count
    }
}

extension RecentEvents.Effect {
    /// - Parameter replaced: what the entry replaced or ended in the list.
    init(of entry: LogEntry, replaced: PackedContact?) {
        switch entry.change {
        case .registered(let contact, _, _):
            if let replaced, contact.restates(replaced) { self = .none } else { self = .change(replaced: replaced) }
        case .unregistered(let contact, _):
            // After a restart from an older copy it may be another state of the contact than the list had.
            self = replaced.map { .change(replaced: contact.restates($0) ? nil : $0) } ?? .none
        case .clear(let reason): self = reason == .storageCleared ? .change(replaced: nil) : .none
        }
    }

    var isDifference: Bool {
        if case .difference = self { return true }
        return false
    }

    var replaced: PackedContact? {
        if case .change(let replaced) = self { return replaced }
        return nil
    }

    /// Whether it is for those that want net changes, or for those that want the log.
    func isFor(changes: Bool) -> Bool {
        switch self {
        case .none: !changes
        case .change: true
        case .difference: changes
        }
    }
}

extension RecentEvents.Event {
    fileprivate var weight: Int { entry.weight + (effect.replaced?.bytes.count ?? 0) }
}
