import ClusterRuntime
import RegistrarEvents

/// Who was online in a domain at a position: taken once, then sent slice by slice to whoever asked for it about then.
///
/// A class, so that many subscribers read one copy.
final class StatesSnapshot: Sendable {
    let domain: DomainName
    let position: Position
    /// `eventts` of its notices: when it was taken.
    let timestamp: Int64
    let taken: MonotonicInstant
    /// One of each account.
    let contacts: [PackedContact]

    init(domain: DomainName, position: Position, taken: Moment, contacts: [PackedContact]) {
        self.domain = domain
        self.position = position
        timestamp = taken.wall
        self.taken = taken.monotonic
        self.contacts = contacts
    }

    /// The `clear` that goes before.
    func clear(_ reason: ClearReason) -> [UInt8] {
        EventJSON.tail(
            of: LogEntry(seq: position.seq, timestamp: timestamp, change: .clear(reason)), registration: nil,
            domain: domain, epoch: position.epoch)
    }

    /// Most accounts looked at for one slice, so that a matcher that wants few of them takes nobody's time.
    private static let maximumExamined = 1_000

    /// The accounts from `start` on that a matcher asks for, encoded, about `bytes` of them.
    func slice(from start: Int, matching matcher: SubscriptionMatcher, bytes: Int) -> Slice {
        var tails: [[UInt8]] = []
        var size = 0
        var index = start
        let end = min(contacts.count, start + Self.maximumExamined)
        while index < end, size < bytes {
            // Unreadable ones raised an alarm when they came; here they are left out as they were there.
            if let account = try? contacts[index].key().account, matcher.matches(stateOf: account) {
                let tail = EventJSON.tail(
                    of: AccountState(account, isOnline: true), .restated, domain: domain, position: position,
                    timestamp: timestamp)
                tails.append(tail)
                size += tail.count
            }
            index += 1
        }
        return Slice(tails: tails, next: index)
    }
}
