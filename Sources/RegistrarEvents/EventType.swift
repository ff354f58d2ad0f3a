/// The types of `registrarevents` that are about one contact. Source: the platform's documentation.
public enum EventType: String, CaseIterable, Sendable {
    case userRegistered = "user_registered"
    case userUnregistered = "user_unregistered"
    case sipuserRegistered = "sipuser_registered"
    case sipuserUnregistered = "sipuser_unregistered"

    /// Nil for `clear`, which is about all contacts.
    public init?(_ change: LogEntry.Change) {
        switch change {
        case .registered(let contact, _, _): self = contact.kind == .user ? .userRegistered : .sipuserRegistered
        case .unregistered(let contact, _): self = contact.kind == .user ? .userUnregistered : .sipuserUnregistered
        case .clear: return nil
        }
    }
}
