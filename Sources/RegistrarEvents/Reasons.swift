/// Why a registration ended. Source: the platform's documentation of `registrarevents`.
public enum UnregisterReason: UInt8, CaseIterable, Sendable {
    /// The time to live ran out and no renewal came.
    case expiredContact = 0
    /// The client ended it.
    case unregisterContact = 1
    /// The server ended this one contact.
    case deleteContact = 2
    /// All registrations of the account were removed, for example because the account was deleted.
    case deleteAOR = 3

    /// The name in events.
    public var name: String {
        switch self {
        case .expiredContact: "expired_contact"
        case .unregisterContact: "unregister_contact"
        case .deleteContact: "delete_contact"
        case .deleteAOR: "delete_aor"
        }
    }
}

/// Why every registration known so far became void. Source: own decision, the platform documents only `clear` itself.
public enum ClearReason: UInt8, CaseIterable, Sendable {
    /// The owner was lost and a replica took over.
    case failover = 0
    /// The domain was started, or restored from disk.
    case restart = 1
    /// The domain was moved as planned.
    case moved = 2
    /// The list was emptied on request.
    case storageCleared = 3
    /// For one subscriber: the start of the snapshot it asked for.
    case snapshot = 4
    /// For one subscriber: what it missed can no longer be listed, so its set starts anew.
    case resync = 5

    /// The name in events.
    public var name: String {
        switch self {
        case .failover: "failover"
        case .restart: "restart"
        case .moved: "moved"
        case .storageCleared: "storage_cleared"
        case .snapshot: "snapshot"
        case .resync: "resync"
        }
    }
}
