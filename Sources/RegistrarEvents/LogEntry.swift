/// One change of a domain's list, at its sequence number: what the owner logs, replicas apply and events are made of.
///
/// It is a *result* (who is registered now, until when), never a command, so applying it needs no policy and
/// applying it twice changes nothing.
public struct LogEntry: Hashable, Sendable {
    public let seq: UInt64
    /// `eventts`: milliseconds since 1970 on the owner's clock.
    public let timestamp: Int64
    public let change: Change

    public enum Change: Hashable, Sendable {
        /// Registered or renewed for `ttl` milliseconds from now; `replay` restates after a `clear`.
        case registered(PackedContact, ttl: UInt32, replay: Bool)
        /// Ended. Carries the contact as it was, since the event restates it.
        case unregistered(PackedContact, UnregisterReason)
        /// Everything known so far is void.
        case clear(ClearReason)
    }

    public init(seq: UInt64, timestamp: Int64, change: Change) {
        self.seq = seq
        self.timestamp = timestamp
        self.change = change
    }

    /// What the entry costs to keep, in bytes (an estimate used by bounded buffers).
    public var weight: Int {
        switch change {
        case .registered(let contact, _, _), .unregistered(let contact, _): 96 + contact.bytes.count
        case .clear: 96
        }
    }
}
