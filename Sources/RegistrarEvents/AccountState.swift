/// Whether an account can be reached: what the views `sipuser_states` and `user_states` say of it.
///
/// Source: the platform's `sipuser_states` (id, username, status). That `username` is the account's name as well, and
/// that users have the same view, is our own decision.
public struct AccountState: Hashable, Sendable {
    public let account: AccountID
    /// Whether it has a contact.
    public let isOnline: Bool

    public init(_ account: AccountID, isOnline: Bool) {
        self.account = account
        self.isOnline = isOnline
    }

    public var status: String { isOnline ? "online" : "offline" }
}

extension AccountKind {
    /// The name of the view of such accounts' states.
    public var statesView: String {
        switch self {
        case .user: "user_states"
        case .sipuser: "sipuser_states"
        }
    }

    /// Where the view is asked for and subscribed to.
    public var statesPath: String { "/rest/v1/uc/\(statesView)" }
}

extension JSONWriter {
    /// `{"id":…,"username":…,"status":…}`.
    public mutating func state(_ state: AccountState) {
        raw(#"{"id":"#)
        string(state.account.name)
        raw(#","username":"#)
        string(state.account.name)
        raw(#","status":"#)
        string(state.status)
        raw("}")
    }
}

extension EventJSON {
    /// How a subscriber comes to know a state.
    public enum StateNotice: Sendable {
        /// It has changed: operation 2, with the state before.
        case changed
        /// It is part of a snapshot, in which those that are online are told: operation 1.
        case restated
    }

    /// The tail of a `modelevents.data_changed` about an account's state.
    ///
    /// Source: the platform's `data_changed` (eclass, operation, eid, entity0, entity).
    /// - Parameter position: of the event that brought it about, or of the snapshot.
    public static func tail(
        of state: AccountState, _ notice: StateNotice, domain: DomainName, position: Position, timestamp: Int64
    ) -> [UInt8] {
        var json = JSONWriter(reserving: 384)
        json.raw(#""domain":"#)
        json.string(domain.rawValue)
        json.raw(#","epoch":"#)
        json.unsigned(position.epoch)
        json.raw(#","seq":"#)
        json.unsigned(position.seq)
        if notice == .restated { json.raw(#","replay":true"#) }
        json.raw(#","event":{"class":"modelevents","type":"data_changed","data":{"eclass":"#)
        json.string(state.account.kind.statesView)
        json.raw(notice == .restated ? #","operation":1,"eid":"# : #","operation":2,"eid":"#)
        json.string(state.account.name)
        json.raw(#","entity0":"#)
        switch notice {
        case .changed: json.state(AccountState(state.account, isOnline: !state.isOnline))
        case .restated: json.raw("null")
        }
        json.raw(#","entity":"#)
        json.state(state)
        json.raw(#"},"eventts":"#)
        json.integer(timestamp)
        json.raw("}}]")
        return json.bytes
    }
}
