import ClusterRuntime
import RegistrarEvents

/// What is known of an account that somebody watches.
struct WatchedAccount: Sendable {
    /// The newest last.
    private(set) var contacts: [WatchedContact] = []
    /// Who watches it, by the dialogs' local tags, in the order of arrival.
    var watchers: [String] = []

    /// The list was read anew. What was known of how long contacts are there stays.
    mutating func restate(_ live: [(contact: PackedContact, ttl: UInt32)], at now: MonotonicInstant) {
        let before = contacts
        contacts = live.reversed().compactMap { contact, ttl in
            guard let restated = WatchedContact(contact, deadline: now + .milliseconds(Int64(ttl))) else { return nil }
            guard let since = before.first(where: { $0.id == restated.id })?.since else { return restated }
            return WatchedContact(contact, deadline: restated.deadline, since: since)
        }
    }

    /// - Returns: what to tell; nil when there is nothing that a watcher could use.
    mutating func registered(_ contact: PackedContact, ttl: UInt32, at now: MonotonicInstant) -> ContactChange? {
        let deadline = now + .milliseconds(Int64(ttl))
        guard let new = WatchedContact(contact, deadline: deadline, since: now) else { return nil }
        guard let index = contacts.firstIndex(where: { $0.id == new.id }) else {
            contacts.append(new)
            return ContactChange(contact: new, event: new.origin)
        }
        let old = contacts[index]
        guard let renewed = WatchedContact(contact, deadline: deadline, since: old.since) else { return nil }
        contacts[index] = renewed
        return ContactChange(contact: renewed, event: old.renewal(as: renewed))
    }

    /// The account is no more.
    mutating func endAll() -> [ContactChange] {
        defer { contacts = [] }
        return contacts.map { ContactChange(contact: $0, event: .rejected) }
    }

    /// - Returns: nil when it was not there.
    mutating func ended(_ id: String, _ reason: UnregisterReason) -> ContactChange? {
        guard let index = contacts.firstIndex(where: { $0.id == id }) else { return nil }
        return ContactChange(contact: contacts.remove(at: index), event: ContactEvent(reason))
    }
}
