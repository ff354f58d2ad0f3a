public import ClusterRuntime
public import Logging
public import RegistrarEvents
import Synchronization

/// An `sr` node: one `DomainActor` for each domain it owns, stands by for, or keeps a copy of.
///
/// Sorts what arrives to the domains, creates their actors as assignments come, and reports to the routers what is
/// held here.
public final class SRNode: Sendable {
    private let node: NodeID
    private let transport: any Transport
    private let journal: any Journal
    private let routers: RouterNames
    private let limits: Limits
    private let log: Logger
    private let policy: @Sendable (DomainName) -> DomainPolicy
    private let lease = LeaseHolder()
    private let outlet: (any DestinationOutlet)?
    private let domains: Mutex<Domains>
    private let signs = Mutex(SignsOfLife())
    private let progress = StoreProgress()

    private struct Domains {
        var actors: [DomainName: DomainActor] = [:]
        /// Those of the actors whose newest assignment retires them.
        var retired: Set<DomainName> = []
        /// What came for those that the journal is forgetting.
        var forgetting: [DomainName: [Assignment]] = [:]
    }

    /// A node that parks no requests takes in what replication and its domains' requests need all the same.
    private static let smallestMailbox = 1_024
    /// How often the routers are told what is held here, for each `copiesPerInterval` or part of them.
    private static let reportInterval = Duration.seconds(1)
    private static let copiesPerInterval = 1_000
    /// How often it is looked whether another router leads, which is told at once.
    private static let lookInterval = Duration.milliseconds(200)

    /// - Parameters:
    ///   - replicas: what the journal held; each waits as a copy until the router decides what becomes of it.
    ///   - policy: what each domain allows.
    ///   - outlet: where the events of owned domains go, besides followers.
    public init(
        node: NodeID, transport: any Transport, journal: any Journal, replicas: [DomainName: DomainReplica],
        routers: [NodeName], limits: Limits, policy: @escaping @Sendable (DomainName) -> DomainPolicy,
        outlet: (any DestinationOutlet)? = nil, log: Logger
    ) {
        self.node = node
        self.transport = transport
        self.journal = journal
        self.routers = RouterNames(routers)
        self.limits = limits
        self.policy = policy
        self.outlet = outlet
        self.log = log
        domains = Mutex(Domains())
        domains.withLock { domains in
            for (domain, replica) in replicas {
                domains.actors[domain] = makeActor(domain, replica, checkpointedIn: journal.firstGeneration)
            }
        }
    }

    private func makeActor(
        _ domain: DomainName, _ replica: DomainReplica, checkpointedIn generation: UInt64? = nil
    ) -> DomainActor {
        DomainActor(
            machine: DomainMachine(domain: domain, node: node, policy: policy(domain), replica: replica),
            transport: transport, journal: journal, routers: routers, lease: lease, outlet: outlet,
            mailboxLimit: max(Self.smallestMailbox, limits.parkedRequests * 8), checkpointedGeneration: generation,
            progress: progress, log: log,
            onRetired: { [weak self] in self?.letGo(of: domain) })
    }

    // MARK: What arrives

    /// The agent's lease reached further.
    public func extendLease(to until: MonotonicInstant) { lease.extend(to: until) }

    /// Assignments changed: tell the domains that this node has to do with.
    public func assigned(_ assignments: [Assignment]) {
        let heard = signs.withLock { $0 }
        for assignment in assignments { domains.withLock { take(assignment, heard, &$0) } }
    }

    private func take(_ assignment: Assignment, _ heard: SignsOfLife, _ domains: inout Domains) {
        let domain = assignment.domain
        guard domains.forgetting[domain] == nil else {
            domains.forgetting[domain]?.append(assignment)
            return
        }
        let concerns = assignment.owner == node || assignment.standbys.contains { $0.node == node }
        if domains.actors[domain] == nil, concerns { domains.actors[domain] = makeActor(domain, DomainReplica()) }
        guard let actor = domains.actors[domain] else { return }
        if assignment.isRetired { domains.retired.insert(domain) } else { domains.retired.remove(domain) }
        // Within the lock: an actor that is let go of has been handed nothing newer.
        actor.post([.assigned(assignment, heard: heard)], isVital: true)
    }

    /// Nobody serves the domain any more: nothing of it is kept here, in memory or on disk.
    private func letGo(of domain: DomainName) {
        let isOver = domains.withLock { domains in
            // It may have come back meanwhile.
            guard domains.retired.remove(domain) != nil, domains.actors.removeValue(forKey: domain) != nil
            else { return false }
            domains.forgetting[domain] = []
            return true
        }
        guard isOver else { return }
        // Without the lock, since the disk may hang, and the agent's heartbeats must not. What the next actor of the
        // domain keeps comes after it all the same.
        journal.forget(domain)
        let heard = signs.withLock { $0 }
        domains.withLock { domains in
            for assignment in domains.forgetting.removeValue(forKey: domain) ?? [] { take(assignment, heard, &domains) }
        }
        log.notice("\(domain) is removed; nothing of it is kept here")
    }

    /// The topology changed: what each of its domains allows, and who the routers are.
    public func topologyChanged(routers: [NodeName], domains kept: Set<DomainName>) {
        self.routers.replace(with: routers)
        for (domain, actor) in domains.withLock({ $0.actors }) where kept.contains(domain) {
            actor.post([.policy(policy(domain))], isVital: true)
        }
    }

    /// Hands messages to their domains; runs of messages for one domain in one go.
    /// - Parameter revision: up to which this node knows the assignments.
    public func receive(_ messages: [Message], from sender: NodeID, knowing revision: @autoclosure () -> UInt64 = 0) {
        for case .heartbeat(let heartbeat) in messages {
            let (known, now) = (revision(), SystemClock.monotonic())
            signs.withLock { $0.heard(heartbeat, from: sender, knowing: known, at: now) }
        }
        var run: (domain: DomainName, events: [DomainMachine.Event])?
        for message in messages {
            guard let (domain, event) = Self.event(message, from: sender) else { continue }
            if run?.domain == domain {
                run?.events.append(event)
            } else {
                if let run { post(run.events, to: run.domain, from: sender) }
                run = (domain, [event])
            }
        }
        if let run { post(run.events, to: run.domain, from: sender) }
    }

    /// A destination of a domain has taken events, or has missed some.
    public func receive(_ notice: DestinationNotice, of domain: DomainName) {
        domains.withLock { $0.actors[domain] }?.post(notice)
    }

    private static func event(_ message: Message, from sender: NodeID) -> (DomainName, DomainMachine.Event)? {
        switch message {
        case .request(let request): (request.domain, .request(request, from: sender.name))
        case .follow(let follow): (follow.domain, .follow(follow, from: sender))
        case .append(let append): (append.domain, .append(append, from: sender))
        case .chunk(let chunk): (chunk.domain, .chunk(chunk, from: sender))
        case .handOver(let order): (order.domain, .handOver(order, from: sender.name))
        case .retire(let order): (order.domain, .retire(order, from: sender.name))
        case .heartbeat, .lead, .assignments, .copies, .replicaChange, .reply, .topology: nil
        }
    }

    private func post(_ events: [DomainMachine.Event], to domain: DomainName, from sender: NodeID) {
        if let actor = domains.withLock({ $0.actors[domain] }) {
            actor.post(events)
            return
        }
        // A domain of which nothing is held here: the sender's assignments are old.
        let refusals: [Message] = events.compactMap { event in
            guard case .request(let request, _) = event else { return nil }
            return .reply(Reply(id: request.id, result: .refused(.notOwner)))
        }
        if !refusals.isEmpty { transport.send(refusals, to: sender.name) }
    }

    // MARK: What is told

    /// What is held here, by domain name.
    public var reports: [CopyReport] {
        domains.withLock { $0.actors.values.map(\.report) }.sorted { $0.domain < $1.domain }
    }

    /// Whether the node may vouch for its domains: not while its disk hangs. To be asked at each tick of the agent.
    public func mayVouch() -> Bool { progress.look() }

    /// Whether the journal can be written to.
    public var isJournalWritable: Bool { journal.isWritable }

    /// Events that found a domain's mailbox full.
    public var dropped: UInt64 { domains.withLock { $0.actors.values.reduce(0) { $0 + $1.dropped } } }

    /// Reports to the routers until cancelled, and stirs quiet domains when the journal wants them written anew.
    /// - Parameter term: in which a router leads, as far as this node has heard. One that begins to lead is told what
    ///   is held here without delay, since it may have to choose among copies.
    public func run(term: @Sendable () -> UInt64 = { 0 }) async {
        var generation = journal.firstGeneration
        var told: (term: UInt64, next: MonotonicInstant) = (0, .distantPast)
        while !Task.isCancelled {
            if journal.generation != generation {
                generation = journal.generation
                for actor in domains.withLock({ Array($0.actors.values) }) { actor.post([.tick]) }
            }
            let (now, term) = (SystemClock.monotonic(), term())
            if now >= told.next || term != told.term {
                let reports = self.reports
                let copies = Message.copies(CopyReports(reports: reports))
                for router in routers.all { transport.send(copies, to: router) }
                let parts = (reports.count + Self.copiesPerInterval - 1) / Self.copiesPerInterval
                told = (term, now + Self.reportInterval * max(1, parts))
            }
            try? await Task.sleep(for: Self.lookInterval)  // ends early only when cancelled, which the loop sees
        }
    }
}
