import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WSSubscrActor

let demo = DomainName("demo.example") ?? { preconditionFailure("a valid name was refused") }()

func contact(_ account: String, _ number: Int = 1) -> PackedContact {
    let details = UserDetails(sessionID: "s", app: "test", caps: ["subscr"], peerAddress: "10.0.0.1", peerPort: 80)
    return PackedContact(Registration(account: account, contact: "c\(number)", user: details))
        ?? { preconditionFailure("too long") }()
}

func at(_ milliseconds: Int64) -> Moment {
    Moment(monotonic: MonotonicInstant(nanoseconds: (1_000_000 + milliseconds) * 1_000_000), wall: 1_000 + milliseconds)
}

/// An owner as a follower sees it.
struct Owner {
    let node = NodeID(name: NodeName("sr1"), incarnation: 1)
    var epoch: UInt64 = 1
    var seq: UInt64 = 0
    var replayEnd: UInt64 = 0
    /// What it holds: packed key -> contact.
    var live: [String: PackedContact] = [:]

    var assignment: Assignment {
        Assignment(
            domain: demo, epoch: epoch, revision: epoch, owner: node, standbys: [], cause: .failover, since: 0)
    }

    mutating func append(_ changes: [LogEntry.Change]) -> Follower.Event {
        let base = seq
        let entries = changes.map { change -> LogEntry in
            seq += 1
            switch change {
            case .registered(let contact, _, _): live[Self.name(contact)] = contact
            case .unregistered(let contact, _): live[Self.name(contact)] = nil
            case .clear(let reason): if reason == .storageCleared { live = [:] }
            }
            return LogEntry(seq: seq, timestamp: Int64(seq), change: change)
        }
        return .append(
            Append(domain: demo, epoch: epoch, base: base, entries: entries, committed: seq, replayEnd: replayEnd),
            from: node)
    }

    /// The first entry of an epoch, and everything live after it.
    mutating func beginEpoch(_ number: UInt64, _ reason: ClearReason = .failover) -> [Follower.Event] {
        (epoch, seq, replayEnd) = (number, 0, 0)
        let restated = live.keys.sorted().compactMap { live[$0] }
        replayEnd = UInt64(restated.count + 1)
        let log = append([.clear(reason)] + restated.map { .registered($0, ttl: 60_000, replay: true) })
        return [.assigned(assignment), log]
    }

    /// A snapshot of everything, as of the last entry.
    func snapshot(_ number: UInt64) -> Follower.Event {
        var table = ContactTable()
        for contact in live.values { table.put(contact, deadline: 0) }
        let contacts = live.keys.sorted().compactMap { live[$0] }.map { LiveContact(contact: $0, ttl: 60_000) }
        return .chunk(
            SnapshotChunk(
                domain: demo, epoch: epoch, snapshot: number, index: 0, after: seq, contacts: contacts,
                seal: .init(seq: seq, count: UInt64(table.count), digest: table.digest)),
            from: node)
    }

    static func name(_ contact: PackedContact) -> String {
        (try? contact.key().description) ?? "?"
    }
}

/// A client that maintains the set from what it is sent, and checks the order.
struct Client {
    struct Notification: Equatable {
        var position: Position
        var type: String
        var contact: String
        var reason: String
        var isReplay: Bool
        /// Without what renewals change.
        var data = ""
    }

    var id: SubscriberID
    var answers: [SubscribeAnswer] = []
    var seen: [Notification] = []
    var set: Set<String> = []
    /// The same with what is known of each.
    var list: [String: String] = [:]
    var isEnded = false
    /// Pushed batches are dropped from here on.
    var lostAfter: Position?
    /// Whether a slice was taken and not asked on.
    var owesReady = false
    var dropsPushed = false
    /// The connection breaks after so many more events; nil when it does not.
    var breaksAfter: Int?
    var isBroken: Bool { breaksAfter == 0 }

    init(_ id: SubscriberID) { self.id = id }

    init(_ number: UInt32) { id = SubscriberID(lane: 0, connection: 1, number: number) }

    mutating func take(_ directives: [Follower.Directive]) throws {
        for case .deliver(let delivery) in directives where delivery.to.contains(id) && !isBroken {
            switch delivery.content {
            case .answer(let answer): answers.append(answer)
            case .ended: isEnded = true
            case .events(let batch, .pushed):
                if dropsPushed || lostAfter != nil {
                    lostAfter = lostAfter ?? batch.after
                } else {
                    #expect(!owesReady, "pushed between slices")
                    try take(batch)
                }
            case .events(let batch, .pulled(let more)):
                lostAfter = nil
                owesReady = more
                try take(batch)
            }
        }
    }

    private mutating func take(_ batch: EventBatch) throws {
        for tail in batch.tails where !isBroken {
            breaksAfter = breaksAfter.map { $0 - 1 }
            let notification = try Self.parse(tail)
            seen.append(notification)
            switch notification.type {
            case "clear": (set, list) = ([], [:])
            case "user_registered", "sipuser_registered":
                set.insert(notification.contact)
                list[notification.contact] = notification.data
            default:
                set.remove(notification.contact)
                list[notification.contact] = nil
            }
        }
    }

    /// Another connection takes its place.
    mutating func reset() { (lostAfter, owesReady, dropsPushed, breaksAfter) = (nil, false, false, nil) }

    /// What the socket says when it has room: nil when nothing.
    mutating func ready() -> Follower.Event? {
        guard !isBroken else { return nil }
        if let lost = lostAfter { return .ready(id, lostAfter: lost) }
        guard owesReady else { return nil }
        owesReady = false
        return .ready(id, lostAfter: nil)
    }
}
