import ClusterRuntime
import DequeModule
import RegistrarEvents

/// What a lane has of one domain.
struct LaneStream: Sendable {
    /// The epoch this node owns the domain in.
    var epoch: UInt64
    /// In memory, the oldest first. What is under way is at the front.
    var queue: Deque<DestinationEvent> = []
    var queuedBytes = 0
    /// On disk, after what is in memory.
    var spooledEvents = 0
    var spooledBytes = 0
    /// The last entry that was looked at, whether wanted or not.
    var seen: Position
    /// Everything up to here is safe at the destination, or not wanted by it.
    var acknowledged: Position
    var flight: Flight?
    /// Less than a whole batch does not go out before.
    var gathersUntil = MonotonicInstant.distantPast
    /// The domain's turn in `LaneMachine.ready`, or in `delayed`; nil while it waits for none.
    var turn: UInt64?
    /// Failures in a row.
    var failures = 0
    /// How many batches had landed, of any domain, at the first of these.
    var landedAtFirstFailure: UInt64 = 0
    /// Since when it fails while others do not, and why it last has.
    var refusal: (since: MonotonicInstant, why: String)?
    var replay = Replay.none

    struct Flight: Sendable {
        let ticket: UInt64
        let events: Int
    }

    /// How far a `clear` and replay for this destination has come.
    enum Replay: Sendable, Hashable {
        case none
        /// Events are missing; to be asked for once everything before the gap is delivered.
        case due
        /// Asked for; the first part has not come.
        case asked
        /// There is more to come; whether that was asked for, and the sequence number that all of it carries.
        case underWay(isAsked: Bool, at: UInt64)

        /// Whether a part is to come.
        var isAsked: Bool {
            switch self {
            case .asked, .underWay(isAsked: true, _): true
            case .none, .due, .underWay(isAsked: false, _): false
            }
        }
    }

    init(epoch: UInt64, acknowledged: Position) {
        self.epoch = epoch
        self.acknowledged = acknowledged
        seen = acknowledged
    }

    /// Whether events are dropped, since some before them are missing.
    var hasGap: Bool { replay == .due || replay == .asked }
    var isDrained: Bool { queue.isEmpty && spooledEvents == 0 }
    var isDeliverable: Bool { !queue.isEmpty && flight == nil }

    mutating func enqueue(_ event: DestinationEvent) {
        queue.append(event)
        queuedBytes += event.entry.weight
    }

    /// Takes off what was delivered or passed over.
    mutating func removeFirst(_ count: Int) {
        for event in queue.prefix(count) { queuedBytes -= event.entry.weight }
        queue.removeFirst(min(count, queue.count))
    }

    /// The next batch: the same events again after a failure, unless limits or queue changed.
    func batch(_ limits: BatchLimits) -> [DestinationEvent] {
        var bytes = 0
        var events: [DestinationEvent] = []
        events.reserveCapacity(min(limits.events, queue.count))
        for event in queue.prefix(limits.events) {
            bytes += event.entry.weight
            if bytes > limits.bytes, !events.isEmpty { break }
            events.append(event)
        }
        return events
    }
}
