public import RegistrarEvents

/// What an operator can order the active router to move.
public enum MovementOrder: Hashable, Sendable {
    /// Move every domain away from the node, and give it nothing until it is undrained.
    case drain(NodeName)
    case undrain(NodeName)
    case move(DomainName, to: NodeName)
}

/// What became of an order.
public enum OrderOutcome: Hashable, Sendable {
    /// It is stored: whoever leads carries it out. What was so already counts as well.
    case accepted
    /// There is no such node or domain.
    case unknown(String)
    /// It cannot be carried out as things are, for this reason.
    case refused(String)
    /// This router does not lead, or lost the lead before the order was stored: ask the one that does.
    case notLeading
    case tooManyWaiting
}

extension MovementOrder {
    public func apply(to wishes: inout MovementWishes) {
        switch self {
        case .drain(let node): wishes.drain(node)
        case .undrain(let node): wishes.undrain(node)
        case .move(let domain, let node): wishes.move(domain, to: node)
        }
    }
}
