import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// A subscriber that asked a `wssubscr` node for net changes, and the list that it keeps by what it is told. The node's
/// part is the production follower.
struct ChangesSubscriber {
    private var follower: Follower
    private let id = SubscriberID(lane: 0, connection: 1, number: 1)
    private var isSubscribed = false
    private(set) var list: Set<ContactKey> = []
    private(set) var position = Position.start
    /// What it was told that net changes may not tell.
    private(set) var violations: [String] = []
    /// A planted bug: what was not restated after a failover stays unsaid.
    private let hidesDifferences: Bool

    init(domain: DomainName, hidesDifferences: Bool) {
        follower = Follower(domain: domain)
        self.hidesDifferences = hidesDifferences
    }

    /// Hands the node what arrives at it, and takes what comes of that.
    mutating func handle(_ event: ReplicaReceiver.Event, at now: Moment) {
        switch event {
        case .assigned(let assignment): pass(.assigned(assignment), at: now)
        case .append(let append, let sender): pass(.append(append, from: sender), at: now)
        case .chunk(let chunk, let sender): pass(.chunk(chunk, from: sender), at: now)
        case .tick: pass(.tick, at: now)
        case .turnEnded: break
        }
        if !isSubscribed {
            // Who asks for the list anew knows nothing: the one that comes may be a moment old.
            (isSubscribed, list, position) = (true, [], .start)
            let matcher = SubscriptionMatcher(.all, changes: true)
            pass(
                .subscribe(SubscribeRequest(id: id, matcher: matcher, expires: .seconds(86_400), start: .snapshot)),
                at: now)
        }
        pass(.turnEnded, at: now)
    }

    private mutating func pass(_ event: Follower.Event, at now: Moment) {
        var events = [event]
        while !events.isEmpty {
            let directives = follower.handle(events.removeFirst(), at: now)
            for case .deliver(let delivery) in directives {
                switch delivery.content {
                case .answer: break
                // The list did not come in time: it asks again.
                case .ended: isSubscribed = false
                case .events(let batch, let flow):
                    for tail in batch.tails { take(tail) }
                    if case .pulled(more: true) = flow { events.append(.ready(id, lostAfter: nil)) }
                }
            }
        }
    }

    /// Reads a notification as a client does.
    private mutating func take(_ tail: [UInt8]) {
        // Whatever is wrong with it is a violation.
        guard let message = try? JSONValue(parsing: Array("{".utf8) + tail.dropLast(), maximumDepth: 16),
            let fields = message.object, let epoch = fields["epoch"]?.integer, let seq = fields["seq"]?.integer,
            let event = fields["event"]?.object, let type = event["type"]?.text, let data = event["data"]?.object
        else {
            violations.append("a notification is not what it should be: \(String(decoding: tail, as: UTF8.self))")
            return
        }
        let place = Position(epoch: UInt64(epoch), seq: UInt64(seq))
        if place < position { violations.append("\(place) came after \(position)") }
        position = place
        let reason = data["reason"]?.text ?? ""
        guard let key = Self.key(data) else {
            if ["failover", "restart", "moved"].contains(reason) { violations.append("clear \(reason) at \(place)") }
            list = []
            return
        }
        if type.hasSuffix("_registered") {
            list.insert(key)
        } else if !(hidesDifferences && reason == "delete_contact") {
            list.remove(key)
        }
    }

    private static func key(_ data: [String: JSONValue]) -> ContactKey? {
        if let account = data["user_id"]?.text, let contact = data["connection_id"]?.text {
            return ContactKey(.user, account, contact)
        }
        guard let account = data["sipuser_id"]?.text, let contact = data["contact_id"]?.text else { return nil }
        return ContactKey(.sipuser, account, contact)
    }
}
