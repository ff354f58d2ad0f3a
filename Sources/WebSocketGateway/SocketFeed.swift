import RegistrarEvents
import WSSubscrActor

/// How far one subscription's events have got towards a socket, and what its follower has to be told.
///
/// Legal transitions: `flowing` -> `lost` when a pushed batch does not fit; -> `asked` when the follower was asked for
/// what is missing, or for the next slice; -> `flowing` with the slice that ends it.
struct SocketFeed {
    enum State: Hashable {
        /// Pushed events go to the socket.
        case flowing
        /// Pushed events are dropped from this position on.
        case lost(after: Position)
        /// The socket has taken a slice, and wants the next when it has room.
        case hungry
        /// Slices come; pushed events are in them.
        case asked
    }

    enum Action {
        case write
        case drop
    }

    /// The subscription's number.
    let number: UInt32
    /// `EventJSON.head` for it.
    let head: [UInt8]
    private(set) var state = State.flowing

    init(number: UInt32, head: [UInt8]) {
        self.number = number
        self.head = head
    }

    /// - Parameter fits: whether the socket is within its budget with it.
    mutating func received(_ batch: EventBatch, _ flow: Delivery.Flow, fits: Bool) -> Action {
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
    mutating func subscribed(anew: Bool) {
        if anew, case .lost = state { state = .asked }
    }

    enum Request {
        case ready(lostAfter: Position?)
        case none
    }

    /// The socket has room again.
    mutating func drained() -> Request {
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

/// A socket's feeds, in the order of their numbers. Most sockets have one or two.
struct SocketFeeds {
    private var feeds: [SocketFeed] = []

    var indices: Range<Int> { feeds.indices }

    /// The only one.
    var single: SocketFeed? { feeds.count == 1 ? feeds.first : nil }

    subscript(index: Int) -> SocketFeed {
        get { feeds[index] }
        _modify { yield &feeds[index] }
    }

    /// Where a subscription's feed is; nil when it has none.
    func index(of number: UInt32) -> Int? {
        let place = place(of: number)
        return place < feeds.count && feeds[place].number == number ? place : nil
    }

    private func place(of number: UInt32) -> Int {
        var (low, high) = (0, feeds.count)
        while low < high {
            let middle = (low + high) / 2
            if feeds[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// - Returns: where the subscription's feed is now, new or not.
    mutating func insert(_ number: UInt32, head: @autoclosure () -> [UInt8]) -> Int {
        let place = place(of: number)
        if place == feeds.count || feeds[place].number != number {
            feeds.insert(SocketFeed(number: number, head: head()), at: place)
        }
        return place
    }

    mutating func remove(_ number: UInt32) {
        if let index = index(of: number) { feeds.remove(at: index) }
    }
}
