public import ClusterRuntime
public import Logging
public import RegistrarEvents

/// A `wssubscr` node's followers: one for each domain of the topology, from the start, so that every subscriber finds
/// its domain's list here.
public final class WSSubscrNode: Sendable {
    /// Where subscriptions are delivered to.
    public let lanes = LaneTable()
    /// By domain name.
    public let domains: [DomainName]
    private let followers: [DomainName: FollowerActor]

    /// How often followers are told that time goes by.
    private static let tickInterval = Duration.milliseconds(100)

    public init(
        domains: [DomainName], transport: any Transport, settings: FollowerSettings = FollowerSettings(), log: Logger
    ) {
        self.domains = domains.sorted()
        var followers: [DomainName: FollowerActor] = [:]
        for domain in domains {
            followers[domain] = FollowerActor(
                machine: Follower(domain: domain, settings: settings), transport: transport, lanes: lanes, log: log)
        }
        self.followers = followers
    }

    public func serves(_ domain: DomainName) -> Bool { followers[domain] != nil }

    // MARK: What arrives

    /// Hands what concerns followers to them. Returns soon.
    public func receive(_ event: TransportEvent) {
        guard case .received(let messages, let sender) = event else { return }
        receive(messages, from: sender)
    }

    /// Hands messages to their domains; runs of messages for one domain in one go.
    public func receive(_ messages: [Message], from sender: NodeID) {
        var run: (domain: DomainName, events: [Follower.Event])?
        for message in messages {
            guard let (domain, event) = Self.event(message, from: sender) else { continue }
            if run?.domain == domain {
                run?.events.append(event)
            } else {
                if let run { followers[run.domain]?.receive(run.events) }
                run = (domain, [event])
            }
        }
        if let run { followers[run.domain]?.receive(run.events) }
    }

    private static func event(_ message: Message, from sender: NodeID) -> (DomainName, Follower.Event)? {
        switch message {
        case .append(let append): (append.domain, .append(append, from: sender))
        case .chunk(let chunk): (chunk.domain, .chunk(chunk, from: sender))
        case .heartbeat, .lead, .assignments, .copies, .replicaChange, .request, .reply, .follow,
            .handOver:
            nil
        }
    }

    /// Assignments changed.
    public func assigned(_ assignments: [Assignment]) {
        for assignment in assignments { followers[assignment.domain]?.post(.assigned(assignment)) }
    }

    // MARK: What sockets ask

    /// Begins, changes or renews a subscription. The answer comes to its lane.
    /// - Precondition: the domain is served here.
    public func subscribe(_ request: SubscribeRequest, on domain: DomainName) {
        guard let follower = followers[domain] else { preconditionFailure("no follower of \(domain)") }
        follower.post(.subscribe(request))
    }

    /// The subscription's socket has room for more.
    public func ready(_ id: SubscriberID, lostAfter: Position?, on domain: DomainName) {
        followers[domain]?.post(.ready(id, lostAfter: lostAfter))
    }

    /// The subscription is over.
    public func cancel(_ id: SubscriberID, on domain: DomainName) {
        followers[domain]?.post(.cancel(id))
    }

    // MARK: What is told

    /// What every follower holds, by domain name: for `verify`, health and metrics.
    public var reports: [FollowerReport] { domains.compactMap { followers[$0]?.report } }

    public func report(of domain: DomainName) -> FollowerReport? { followers[domain]?.report }

    /// A contact of each account of a kind that is online.
    /// - Returns: nil while the domain's list is not whole here, or when it is not served here.
    public func onlineAccounts(of domain: DomainName, _ kind: AccountKind) async -> [PackedContact]? {
        await followers[domain]?.onlineAccounts(kind)
    }

    /// Events that found a follower's mailbox full.
    public var dropped: UInt64 { followers.values.reduce(0) { $0 + $1.dropped } }

    /// Alarms that followers have raised.
    public var alarms: UInt64 { followers.values.reduce(0) { $0 + $1.alarms } }

    /// Lets time go by for the followers until cancelled.
    public func run() async {
        while !Task.isCancelled {
            for domain in domains { followers[domain]?.post(.tick) }
            try? await Task.sleep(for: Self.tickInterval)  // ends early only when cancelled, which the loop sees
        }
    }
}
