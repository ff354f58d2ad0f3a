import ClusterRuntime
public import RegistrarEvents

/// What a socket asks of a follower: a new subscription, or a change or renewal of one that it has.
public struct SubscribeRequest: Sendable, Hashable {
    public var id: SubscriberID
    /// What to match; nil keeps what the subscription has.
    public var matcher: SubscriptionMatcher?
    /// How long it holds from now.
    public var expires: Duration
    /// Where to begin; nil keeps an existing subscription where it is, and begins a new one with the next event.
    public var start: Start?

    public enum Start: Sendable, Hashable {
        /// With `clear` and everything live.
        case snapshot
        /// With what came after this position.
        case after(Position)
    }

    public init(id: SubscriberID, matcher: SubscriptionMatcher?, expires: Duration, start: Start? = nil) {
        self.id = id
        self.matcher = matcher
        self.expires = expires
        self.start = start
    }
}

/// A follower's answer. Requests of one subscription are answered in their order.
public enum SubscribeAnswer: Sendable, Hashable {
    /// Accepted; the subscription's next live event is the one after this position.
    case accepted(Position)
    case refused(SubscribeRefusal)
}

public enum SubscribeRefusal: Sendable, Hashable {
    /// The domain's list has not reached this node in time.
    case unavailable
    /// Too many subscriptions wait for the domain's list, or too much for the follower.
    case overloaded
    /// As many filters are in use as may be.
    case tooManyFilters(limit: Int)
    /// A renewal of a subscription that has ended.
    case unknown
}

/// A subscription as the follower holds it.
struct Subscription: Sendable {
    var matcher: SubscriptionMatcher
    var deadline: MonotonicInstant
    var state: State
    /// Whether a slice is out and the socket has not yet asked for the next.
    var isSliceOut = false
    /// Where it last became live by a slice: everything up to there was told.
    var liveSince = Position.start

    /// Legal transitions: `waiting` -> any other; between `live`, `snapshot` and `catchingUp` in any direction, and the
    /// same for subscriptions to states with those that are named after them.
    enum State: Sendable {
        /// Until the domain's list is whole: where it will begin, how many requests to answer then, and since when.
        case waiting(SubscribeRequest.Start, answers: Int, since: MonotonicInstant)
        /// Gets each event as it comes.
        case live
        /// Is being sent what was live at the snapshot's position, from this contact on; the `clear` comes first.
        case snapshot(ListSnapshot, next: Int, opening: ClearReason?)
        /// Is being sent the recent events from this place on.
        case catchingUp(RecentEvents.Place)
        /// Is being sent who was online at the snapshot's position, from this account on; the `clear` comes first.
        case statesSnapshot(StatesSnapshot, next: Int, opening: ClearReason?)
        /// Is being sent the recent changes of states after this position.
        case catchingUpWithStates(after: Position)
    }
}
