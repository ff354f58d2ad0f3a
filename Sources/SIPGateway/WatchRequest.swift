import ClusterRuntime
import RegistrarEvents
import SIP

/// A SUBSCRIBE that was read and checked as far as that needs no knowledge of dialogs and contacts: what an event loop
/// hands over to the watchers of the domain, who give it back with the answer.
struct WatchRequest: Sendable {
    enum Kind: Sendable {
        /// - addressOfRecord: the Request-URI without what belongs to the request alone.
        case begin(account: String, addressOfRecord: String)
        /// Within a dialog; 0 seconds end it.
        case refresh(localTag: String)
    }

    let request: IncomingRequest
    let domain: DomainName
    let kind: Kind
    /// The account that was proven; nil when nobody asked.
    let login: String?
    /// What is granted, in seconds; 0 for the end, or for one notification.
    let expires: UInt32
    /// The parameter `id` of Event.
    let eventID: String?
    /// Where requests go, by Contact; nil when a refresh leaves it as it is.
    let target: String?
    let way: WatcherWay
}

/// How a watcher is reached: the way that its latest SUBSCRIBE came. Own decision: behind an address translator there
/// is no other, and a proxy on the way is a good first hop for requests too.
struct WatcherWay: Sendable, Equatable {
    let lane: Int
    let route: Route
    /// What follows `SIP/2.0/` in Via, up to the branch.
    let via: String
    /// The gateway's own Contact.
    let contact: String

    /// A connection of this node.
    struct Connection: Sendable, Hashable {
        let lane: Int
        /// In its lane.
        let number: UInt64
    }

    /// Nil when a watcher is sent datagrams.
    var connection: Connection? {
        guard case .stream(let number) = route.way else { return nil }
        return Connection(lane: lane, number: number)
    }

    static func == (left: Self, right: Self) -> Bool {
        left.lane == right.lane && left.route.way == right.route.way && left.contact == right.contact
    }
}

/// What becomes of a SUBSCRIBE.
enum WatchAnswer: Sendable {
    case accepted
    case refused(SIPRefusal)
}

/// A response to a NOTIFY.
struct NotifyAnswer: Sendable {
    let branch: NotifyBranch
    let status: Int
    /// Of the header Retry-After, in seconds.
    let retryAfter: UInt32?
}
