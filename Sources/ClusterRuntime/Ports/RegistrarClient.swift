public import RegistrarEvents

/// Has an operation carried out by whichever node owns a domain: how gateways and the REST address reach the registrar.
/// A port; `RequestRouter` is the real thing.
public protocol RegistrarClient: Sendable {
    /// Finds the owner, asks it, and asks again as long as that can help: over lost messages, changes of owner and
    /// overload. An operation may be carried out more than once, never after a later one of this node on the same
    /// contact.
    ///
    /// - Parameter deadline: how long all attempts together may take.
    /// - Returns: what the owner answered; `.refused(.notOwner)` at once for a domain that nobody has been assigned,
    ///   `.refused(.overloaded)` at once when too much is waiting here, `.refused(.unavailable)` after the deadline.
    ///   After `.unavailable` a write may or may not have been carried out.
    func perform(_ operation: Request.Operation, on domain: DomainName, deadline: Duration) async -> Reply.Result
}
