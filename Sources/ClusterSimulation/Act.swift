import ClusterRuntime
import RegistrarEvents

/// One thing that is done to a simulated cluster from outside: all that a history does not leave to chance.
enum Act: Hashable {
    /// A client asks, through a gateway.
    case ask(Wish, through: NodeName)
    /// A SIP account registers its devices, through an `sg` node.
    case bind(DeviceWish, through: NodeName)
    /// Somebody follows a domain, or goes on with it at another node.
    case follow(SubscriberWish, at: NodeName)
    /// The subscriber of this number hangs up.
    case leave(Int)
    case fault(World.Fault, for: Duration)
    /// An operator orders a movement.
    case order(MovementOrder)
    /// The coordinator forgets how what it has came about.
    case compact
    /// An operator activates a topology.
    case serve(ServedTopology)
}

/// An act, and when it begins, counted from the beginning of the history.
struct TimedAct: Hashable {
    var at: Duration
    var act: Act
}

/// What a client wants of a contact.
struct Wish: Hashable {
    let domain: DomainName
    let key: ContactKey
    let kind: ClientOperation.Kind
}
