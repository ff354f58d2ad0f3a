public import RegistrarEvents

/// How far one subscription's events have got towards a socket, and what its follower has to be told.
///
/// Legal transitions: `flowing` -> `lost` when a pushed batch does not fit; -> `asked` when the follower was asked for
/// what is missing, or for the next slice; -> `flowing` with the slice that ends it, or
/// when the subscription has ended.
public struct SocketFeed: Sendable {
    public enum State: Hashable, Sendable {
        /// Pushed events go to the socket.
        case flowing
        /// Pushed events are dropped from this position on.
        case lost(after: Position)
        /// The socket has taken a slice, and wants the next when it has room.
        case hungry
        /// Slices come; pushed events are in them.
        case asked
    }

    public enum Action: Sendable {
        case write
        case drop
    }

    /// The subscription's number.
    public let number: UInt32
    /// `EventJSON.head` for it.
    public let head: [UInt8]
    public private(set) var state = State.flowing

    public init(number: UInt32, head: [UInt8]) {
        self.number = number
        self.head = head
    }

    /// - Parameter fits: whether the socket is within its budget with it.
    public mutating func received(_ batch: EventBatch, _ flow: Delivery.Flow, fits: Bool) -> Action {
        switch (flow, state) {
        case (.pulled(let more), _):
            state = more ? .hungry : .flowing
            return .write
        case (.pushed, .flowing):
            guard !fits || batch.tails.isEmpty else { return .write }
            state = .lost(after: batch.after)
            return .drop
        case (.pushed, .lost), (.pushed, .asked), (.pushed, .hungry):
            return .drop
        }
    }

    /// The client subscribes.
    /// - Parameter anew: with a snapshot or from a position, and then slices will come, whatever was lost before.
    public mutating func subscribed(anew: Bool) {
        if anew, case .lost = state { state = .asked }
    }

    /// The follower's subscription is over; with a request on its way it begins anew, and nothing of before is owed.
    public mutating func ended() { state = .flowing }

    public enum Request: Sendable {
        case ready(lostAfter: Position?)
        case none
    }

    /// The socket has room again.
    public mutating func drained() -> Request {
        switch state {
        case .flowing, .asked: return .none
        case .hungry:
            state = .asked
            return .ready(lostAfter: nil)
        case .lost(let position):
            state = .asked
            return .ready(lostAfter: position)
        }
    }
}
