public import ClusterRuntime
public import Logging
public import RegistrarEvents
import Synchronization

/// A `wssubscr` node's followers: one for each domain of the topology, from the start, so that every subscriber finds
/// its domain's list here.
///
/// A domain that the topology has no more is not served to anybody new; its follower stays until its subscribers were
/// told the end.
public final class WSSubscrNode: Sendable {
    /// Where subscriptions are delivered to.
    public let lanes = LaneTable()
    private let transport: any Transport
    private let settings: FollowerSettings
    private let log: Logger
    private let table: Mutex<Table>
    private let removal = Mutex<RemovalListener?>(nil)

    /// A closure by itself would be wrapped once more by every look into the mutex.
    private struct RemovalListener: Sendable {
        let onRemoved: @Sendable (DomainName) -> Void
    }

    private struct Table {
        var followers: [DomainName: FollowerActor] = [:] { didSet { ordered = nil } }
        /// The followers by domain name; nil when that has to be found anew.
        var ordered: [(domain: DomainName, actor: FollowerActor)]?
        /// The domains of the topology.
        var served: Set<DomainName> = []
        /// Those that nobody serves any more.
        var retired: Set<DomainName> = []

        /// Whether the topology does not have the domain, and nobody serves it.
        func isOver(_ domain: DomainName) -> Bool { !served.contains(domain) && retired.contains(domain) }
    }

    /// How often followers are told that time goes by.
    private static let tickInterval = Duration.milliseconds(100)

    public init(
        domains: [DomainName], transport: any Transport, settings: FollowerSettings = FollowerSettings(), log: Logger
    ) {
        self.transport = transport
        self.settings = settings
        self.log = log
        table = Mutex(Table())
        serve(domains, assignments: [])
    }

    /// By domain name: the domains of the topology.
    public var domains: [DomainName] { table.withLock { $0.served.sorted() } }

    public func serves(_ domain: DomainName) -> Bool { table.withLock { $0.served.contains(domain) } }

    private func follower(of domain: DomainName) -> FollowerActor? { table.withLock { $0.followers[domain] } }

    /// All of them, by domain name.
    private var followers: [(domain: DomainName, actor: FollowerActor)] {
        table.withLock { table in
            if let ordered = table.ordered { return ordered }
            let ordered = table.followers.sorted { $0.key < $1.key }.map { (domain: $0.key, actor: $0.value) }
            table.ordered = ordered
            return ordered
        }
    }

    // MARK: The topology

    /// The topology has these domains now.
    /// - Parameter assignments: those known, so that followers of new domains need not wait for a change.
    public func serve(_ domains: [DomainName], assignments: [Assignment]) {
        let known = Dictionary(assignments.map { ($0.domain, $0) }) { first, _ in first }
        let over = table.withLock { table -> [DomainName] in
            table.served = Set(domains)
            for domain in domains where table.followers[domain] == nil {
                let actor = makeFollower(of: domain)
                table.followers[domain] = actor
                if let assignment = known[domain] { actor.post(.assigned(assignment)) }
            }
            return table.followers.keys.filter { table.isOver($0) }.sorted()
        }
        for domain in over { letGo(of: domain) }
    }

    /// To be told of each domain of which nothing is kept here any more, after its subscribers were told.
    public func onRemoved(_ body: @escaping @Sendable (DomainName) -> Void) {
        removal.withLock { $0 = RemovalListener(onRemoved: body) }
    }

    private func makeFollower(of domain: DomainName) -> FollowerActor {
        FollowerActor(
            machine: Follower(domain: domain, settings: settings), transport: transport, lanes: lanes, log: log,
            onRetired: { [weak self] in self?.letGo(of: domain) })
    }

    private func letGo(of domain: DomainName) {
        let isOver = table.withLock { table in
            guard table.isOver(domain), table.followers.removeValue(forKey: domain) != nil else { return false }
            table.retired.remove(domain)
            return true
        }
        guard isOver else { return }
        log.notice("\(domain) is removed; its subscriptions have ended")
        removal.withLock { $0 }?.onRemoved(domain)
    }

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
                if let run { follower(of: run.domain)?.receive(run.events) }
                run = (domain, [event])
            }
        }
        if let run { follower(of: run.domain)?.receive(run.events) }
    }

    private static func event(_ message: Message, from sender: NodeID) -> (DomainName, Follower.Event)? {
        switch message {
        case .append(let append): (append.domain, .append(append, from: sender))
        case .chunk(let chunk): (chunk.domain, .chunk(chunk, from: sender))
        case .heartbeat, .lead, .assignments, .copies, .replicaChange, .request, .reply, .follow,
            .handOver, .topology, .retire:
            nil
        }
    }

    /// Assignments changed.
    public func assigned(_ assignments: [Assignment]) {
        for assignment in assignments {
            table.withLock { table in
                guard let actor = table.followers[assignment.domain] else { return }
                if assignment.isRetired {
                    table.retired.insert(assignment.domain)
                } else {
                    table.retired.remove(assignment.domain)
                }
                actor.post(.assigned(assignment))
            }
        }
    }

    // MARK: What sockets ask

    /// Begins, changes or renews a subscription. The answer comes to its lane.
    public func subscribe(_ request: SubscribeRequest, on domain: DomainName) {
        guard let follower = follower(of: domain) else {
            // It was removed a moment ago.
            let refusal = Delivery(to: [request.id], .answer(.refused(.unknown)))
            return deliver([refusal, Delivery(to: [request.id], .ended)], to: request.id)
        }
        follower.post(.subscribe(request))
    }

    private func deliver(_ deliveries: [Delivery], to id: SubscriberID) {
        for lane in lanes.all where Int(lane.number) == id.lane { lane.deliver(deliveries) }
    }

    /// The subscription's socket has room for more.
    public func ready(_ id: SubscriberID, lostAfter: Position?, on domain: DomainName) {
        follower(of: domain)?.post(.ready(id, lostAfter: lostAfter))
    }

    /// The subscription is over, and its lane is told so.
    public func cancel(_ id: SubscriberID, on domain: DomainName) {
        guard let follower = follower(of: domain) else { return deliver([Delivery(to: [id], .ended)], to: id) }
        follower.post(.cancel(id))
    }

    // MARK: What is told

    /// What every follower holds, by domain name: for `verify`, health and metrics.
    public var reports: [FollowerReport] { followers.map(\.actor.report) }

    public func report(of domain: DomainName) -> FollowerReport? { follower(of: domain)?.report }

    /// A contact of each account of a kind that is online.
    /// - Returns: nil while the domain's list is not whole here, or when it is not served here.
    public func onlineAccounts(of domain: DomainName, _ kind: AccountKind) async -> [PackedContact]? {
        await follower(of: domain)?.onlineAccounts(kind)
    }

    /// Events that found a follower's mailbox full.
    public var dropped: UInt64 { followers.reduce(0) { $0 + $1.actor.dropped } }

    /// Alarms that followers have raised.
    public var alarms: UInt64 { followers.reduce(0) { $0 + $1.actor.alarms } }

    /// Lets time go by for the followers until cancelled.
    public func run() async {
        while !Task.isCancelled {
            let now = SystemClock.monotonic()
            for (_, actor) in followers { actor.tick(at: now) }
            try? await Task.sleep(for: Self.tickInterval)  // ends early only when cancelled, which the loop sees
        }
    }
}
