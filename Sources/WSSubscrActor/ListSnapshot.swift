import ClusterRuntime
import RegistrarEvents

/// What was live in a domain at a position: taken once, then sent slice by slice to whoever asked for it about then.
///
/// A class, so that many subscribers read one copy.
final class ListSnapshot: Snapshot, Sendable {
    let domain: DomainName
    /// Where it was taken: whoever has it goes on there.
    let place: RecentEvents.Place
    /// For whom it is.
    let use: Use
    let timestamp: Int64
    let taken: MonotonicInstant
    let contacts: [LiveContact]

    /// Between a `clear` and the end of the replay the two kinds of subscribers hold different lists.
    enum Use: Sendable {
        case everyone
        /// What has been restated.
        case followingTheLog
        /// What has been restated, and what has yet to be.
        case followingChanges

        func serves(changes: Bool) -> Bool {
            switch self {
            case .everyone: true
            case .followingTheLog: !changes
            case .followingChanges: changes
            }
        }
    }

    init(domain: DomainName, place: RecentEvents.Place, use: Use, taken: Moment, contacts: [LiveContact]) {
        self.domain = domain
        self.place = place
        self.use = use
        timestamp = taken.wall
        self.taken = taken.monotonic
        self.contacts = contacts
    }

    var position: Position { place.position }

    /// The contacts from `start` on that a matcher asks for, encoded, about `bytes` of them.
    func slice(from start: Int, matching matcher: SubscriptionMatcher, bytes: Int) -> Slice {
        Slice(of: contacts, from: start, bytes: bytes) { tail(of: $0, matching: matcher) }
    }

    private func tail(of live: LiveContact, matching matcher: SubscriptionMatcher) -> [UInt8]? {
        // Unreadable contacts raised an alarm when they came; here they are left out as they were there.
        guard let registration = try? live.contact.registration() else { return nil }
        let change = LogEntry.Change.registered(live.contact, ttl: max(live.ttl, 1), replay: true)
        let entry = LogEntry(seq: position.seq, timestamp: timestamp, change: change)
        guard let view = EventView(entry, registration), matcher.matches(view) else { return nil }
        return view.tail(keeping: matcher.mask, domain: domain, epoch: position.epoch)
    }
}

/// The encoded slices of the last snapshot of the whole list, kept for the subscribers that come at about the same
/// time: after a node was restarted that is all of its clients.
struct SliceCache: Sendable {
    private var list: ListSnapshot?
    private var slices: [Int: Slice] = [:]
    private var byteCount = 0

    /// Most bytes that are kept.
    static let maximumBytes = 16 << 20

    /// The same as the list's own `slice`; kept when it is of the newest list and of everything in it.
    mutating func slice(
        of wanted: ListSnapshot, from start: Int, matching matcher: SubscriptionMatcher, bytes: Int
    ) -> Slice {
        guard matcher.isUnrestricted, wanted === list else {
            return wanted.slice(from: start, matching: matcher, bytes: bytes)
        }
        if let found = slices[start] { return found }
        let slice = wanted.slice(from: start, matching: matcher, bytes: bytes)
        let size = slice.tails.reduce(0) { $0 + $1.count }
        if byteCount + size <= Self.maximumBytes {
            slices[start] = slice
            byteCount += size
        }
        return slice
    }

    /// From now on this list's slices are kept, and no other's.
    mutating func begin(_ list: ListSnapshot?) {
        self = SliceCache()
        self.list = list
    }
}
