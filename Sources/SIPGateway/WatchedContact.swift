import ClusterRuntime
import RegistrarEvents

/// A contact of an account that somebody watches, as it was last heard of.
struct WatchedContact: Sendable {
    /// Of its events as well; unique within the account, and the same at every node.
    let id: String
    let details: SIPUserDetails
    let deadline: MonotonicInstant
    /// When it was registered first; nil when that was before this node looked.
    let since: MonotonicInstant?

    /// - Returns: nil for what is no address that SIP could use: a user's connection, or what was put there over REST
    ///   without one.
    init?(_ contact: PackedContact, deadline: MonotonicInstant, since: MonotonicInstant? = nil) {
        // What cannot be read was put there by something newer.
        guard let registration = try? contact.registration(), case .sipuser(let details) = registration.details,
            !details.contactURI.isEmpty
        else { return nil }
        id = registration.key.contact
        self.details = details
        self.deadline = deadline
        self.since = since
    }

    /// How a contact that is there came to be there: by REGISTER, which has a Call-ID, or by other means.
    var origin: ContactEvent { details.callID.isEmpty ? .created : .registered }

    /// What it means that this contact is told again as the other: a device refreshed it or, without a request of a
    /// device, somebody else took time away from it.
    func renewal(as other: WatchedContact) -> ContactEvent {
        let isSameRequest = details.callID == other.details.callID && details.cseq == other.details.cseq
        return isSameRequest && other.deadline < deadline ? .shortened : .refreshed
    }
}

/// What happened to a contact. Source: RFC 3680 section 4.7.1. `probation` has no cause here.
enum ContactEvent: String, Sendable {
    case registered, created, refreshed, shortened
    case expired, deactivated, unregistered, rejected

    init(_ reason: UnregisterReason) {
        switch reason {
        case .expiredContact: self = .expired
        case .unregisterContact: self = .unregistered
        // The device may register again; with the account gone it may not.
        case .deleteContact: self = .deactivated
        case .deleteAOR: self = .rejected
        }
    }

    /// Whether the contact is no more.
    var isEnd: Bool {
        switch self {
        case .registered, .created, .refreshed, .shortened: false
        case .expired, .deactivated, .unregistered, .rejected: true
        }
    }
}

/// A contact and what happened to it last.
struct ContactChange: Sendable {
    let contact: WatchedContact
    let event: ContactEvent
}
