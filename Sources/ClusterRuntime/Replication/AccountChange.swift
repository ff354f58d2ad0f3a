public import RegistrarEvents

/// An account came online with its first contact, or went offline with its last one.
public struct AccountChange: Sendable, Hashable {
    /// The entry that brought it about.
    public let position: Position
    /// `eventts` of that entry: milliseconds since 1970 on the owner's clock.
    public let timestamp: Int64
    /// A contact of the account: the first, or the last.
    public let contact: PackedContact
    public let isOnline: Bool

    public init(_ position: Position, _ timestamp: Int64, _ contact: PackedContact, isOnline: Bool) {
        self.position = position
        self.timestamp = timestamp
        self.contact = contact
        self.isOnline = isOnline
    }
}
