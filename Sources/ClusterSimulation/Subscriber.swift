import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// What somebody who follows a domain wants.
struct SubscriberWish: Hashable {
    /// Its name is `f` and this; 0 for those that stay at a node.
    let number: Int
    let domain: DomainName
    let view: Consumer.View
    /// Whether it reads slowly.
    let isSlow: Bool
}

/// Somebody who follows a domain over a websocket: the socket, with the production machine of its flow, and the client
/// that reads what comes.
final class Subscriber {
    let wish: SubscriberWish
    var consumer: Consumer
    var socket: Socket?

    init(_ wish: SubscriberWish, plantedBug: PlantedBug?) {
        self.wish = wish
        consumer = Consumer(wish.view, plantedBug: plantedBug)
    }

    /// Whether it stays at one node as long as that lives.
    var isResident: Bool { wish.number == 0 }

    struct Socket {
        let node: NodeID
        let id: SubscriberID
        var feed: SocketFeed
        /// What was written and not read yet.
        var unread: [Unread] = []
        var unreadBytes = 0
        /// Whether what it asked for at first has all come.
        var isServed = false

        enum Unread {
            case event([UInt8])
            /// A list, or what was missed, ends: everything up to here was told.
            case end(Position)

            var byteCount: Int { if case .event(let tail) = self { tail.count } else { 0 } }
        }

        init(node: NodeID, id: SubscriberID) {
            self.node = node
            self.id = id
            feed = SocketFeed(number: id.number, head: [])
        }
    }

    var matcher: SubscriptionMatcher {
        switch wish.view {
        case .all: .everything
        case .changes: SubscriptionMatcher(.all, changes: true)
        case .accounts(let accounts): SubscriptionMatcher(.all, objects: accounts)
        case .states: SubscriptionMatcher([.userStates, .sipuserStates])
        }
    }

    /// Whether nothing is under way to it, as far as its node knows.
    var isCaughtUp: Bool {
        guard let socket else { return false }
        return socket.isServed && socket.unread.isEmpty && socket.feed.state == .flowing && consumer.isWhole
    }
}

/// What a `wssubscr` node keeps of one domain: the production follower, and who is connected.
final class FollowerTwin {
    var machine: Follower
    var sockets: [SubscriberID: Subscriber] = [:]
    /// What has arrived since the last turn.
    var waiting: [Follower.Event] = []
    /// Deliveries on their way to sockets, when the last of them arrives, and when the last does that sockets ask.
    var underWay = 0
    var lastArrival = MonotonicInstant.distantPast
    var lastAsked = MonotonicInstant.distantPast
    /// Those that are connected as long as the node lives: one to everything, one to net changes.
    let residents: [Subscriber]

    init(machine: Follower, residents: [Subscriber]) {
        self.machine = machine
        self.residents = residents
    }
}
