/// Carries messages between nodes. No correctness rests on it: a message may be lost whenever a connection breaks,
/// and nobody is told. What it does promise: a message arrives whole or not at all, at most once, from the node life it
/// names, and the messages of one sender arrive in the order in which they were sent.
public protocol Transport: Sendable {
    /// Queues messages for a peer, or for this node itself, and returns at once. Messages to an unknown or unreachable
    /// peer are dropped, over the outbox's limit the newest are; both are counted.
    func send(_ messages: [Message], to peer: NodeName)

    /// Runs until cancelled or the address turns out unusable, handing over what arrives.
    /// - Parameter deliver: called from one thread at a time; must return soon.
    func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws
}

extension Transport {
    public func send(_ message: Message, to peer: NodeName) { send([message], to: peer) }
}

/// What a transport hands over.
public enum TransportEvent: Sendable {
    /// Messages that arrived in one frame.
    case received([Message], from: NodeID)
    /// A connection to the peer broke and the peer's machine refused a new one: the process that listened there is
    /// gone.
    case refused(NodeName)
}
