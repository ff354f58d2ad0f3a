public import RegistrarEvents

/// Something for sockets: to one subscription or, when many get the same events, to many at once.
public struct Delivery: Sendable {
    public enum Content: Sendable {
        case answer(SubscribeAnswer)
        case events(EventBatch, Flow)
        /// The subscription's time ran out.
        case ended
    }

    /// Who sets the pace.
    public enum Flow: Sendable, Hashable {
        /// The domain. A socket over its budget drops the batch and all that are pushed after it; once it has drained
        /// it says so by `ready(lostAfter:)`, and is sent what it missed at its own pace. An empty batch is one that
        /// was dropped on the way.
        case pushed
        /// The socket: it says `ready` when it has room for more.
        case pulled(more: Bool)
    }

    public var to: [SubscriberID]
    public var content: Content

    public init(to: [SubscriberID], _ content: Content) {
        self.to = to
        self.content = content
    }
}

/// Notifications without their heads, in order: made once, shared by every socket that gets them.
public final class EventBatch: Sendable {
    /// Everything a subscriber asked for, up to here, came before this batch.
    public let after: Position
    /// Everything it asked for, up to here, is in this batch or came before.
    public let through: Position
    /// `EventJSON.tail` of each event.
    public let tails: [[UInt8]]
    /// Size of the tails.
    public let byteCount: Int

    public init(after: Position, through: Position, tails: [[UInt8]]) {
        self.after = after
        self.through = through
        self.tails = tails
        byteCount = tails.reduce(0) { $0 + $1.count }
    }

    /// Several batches of the same subscriptions, one after the other, as one.
    /// - Precondition: there is at least one.
    public convenience init(joining batches: [EventBatch]) {
        guard let first = batches.first, let last = batches.last else {
            preconditionFailure("no batches were to be joined")
        }
        self.init(after: first.after, through: last.through, tails: batches.flatMap(\.tails))
    }

    /// What is left of a batch that nobody has room for: that it was. Pushed, it is to be taken as lost.
    public var emptied: EventBatch { EventBatch(after: after, through: through, tails: []) }
}

/// A group of sockets served by one thread.
public protocol SubscriberLane: AnyObject, Sendable {
    /// The lane's number: `SubscriberID.lane` of its subscriptions.
    var number: UInt8 { get }

    /// Takes over deliveries, in order, and returns at once. Those for other lanes are skipped.
    func deliver(_ deliveries: [Delivery])
}
