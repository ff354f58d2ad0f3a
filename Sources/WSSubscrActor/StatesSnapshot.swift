import ClusterRuntime
import RegistrarEvents

/// Who was online in a domain at a position: taken once, then sent slice by slice to whoever asked for it about then.
///
/// A class, so that many subscribers read one copy.
final class StatesSnapshot: Snapshot, Sendable {
    let domain: DomainName
    let position: Position
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

    /// The accounts from `start` on that a matcher asks for, encoded, about `bytes` of them.
    func slice(from start: Int, matching matcher: SubscriptionMatcher, bytes: Int) -> Slice {
        Slice(of: contacts, from: start, bytes: bytes) { contact in
            // Unreadable ones raised an alarm when they came; here they are left out as they were there.
            guard let account = try? contact.key().account, matcher.matches(stateOf: account) else { return nil }
            return EventJSON.tail(
                of: AccountState(account, isOnline: true), .restated, domain: domain, position: position,
                timestamp: timestamp)
        }
    }
}
