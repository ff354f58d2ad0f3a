/// The part of cluster membership that every node plays, whatever its role.
///
/// It tells every router that the node lives, keeps the assignments that the active router sends, and works out until
/// when a lone owner may acknowledge writes.
///
/// Invariants:
/// - The term only grows. Words of a lower one come from a router that was replaced and are ignored.
/// - The lease ends at most `ownerLease` after a heartbeat that this life sent and the router answered, counted on
///   this machine's clock. It never goes backwards: a router that takes over waits until every lease that an earlier
///   one may have granted is over.
/// - Assignments are handed on before the routers hear that this node knows them.
///
/// What it does not know: what an assignment means for the node, and whether the router still lives.
public struct NodeAgent: Sendable {
    /// What happens to the agent.
    public enum Event: Hashable, Sendable {
        /// Time has passed. To be sent about every half heartbeat.
        case tick
        case lead(Lead, from: NodeID)
        case assignments(AssignmentUpdate, from: NodeID)
        case topology(TopologyPart, from: NodeID)
    }

    /// What the shell is to do, in order.
    public enum Directive: Hashable, Sendable {
        case send(Message, to: NodeName)
        /// These assignments are new or changed, in the order of domain names.
        case assigned([Assignment])
        /// Domains that this node owns alone may be written to until then.
        case lease(until: MonotonicInstant)
        /// The cluster goes by this topology from now on; its version is higher than that of the one before.
        case topology(ActiveTopology)
    }

    public let node: NodeID
    /// Every assignment heard of.
    public private(set) var table = AssignmentTable()
    /// The router that leads in `term`, as far as this node has heard.
    public private(set) var leader: NodeName?
    /// The highest term heard of; 0 before the first word of a router.
    public private(set) var term: UInt64 = 0
    /// Until when a lone owner may acknowledge.
    public private(set) var leaseUntil: MonotonicInstant = .distantPast
    /// The version of the active topology that this node has; told in its heartbeats.
    public private(set) var topologyVersion: UInt64
    /// Whether some of that topology waits for this node's next start; told in its heartbeats.
    public var needsRestart = false
    /// Of an `sr` node: whether its journal holds all that it was given; told in its heartbeats.
    public var isJournalWritable = true
    /// Whether peers are told that this node is there. Not while it cannot serve the domains that this vouches for.
    public var vouches = true
    /// Of a router's agent: the term in which the router leads, 0 while it does not. Told in its heartbeats.
    public var leadingTerm: UInt64 = 0

    private let role: NodeRole
    private let pid: UInt64
    private let started: MonotonicInstant
    private let periods: Periods
    private var lastHeartbeat: MonotonicInstant?
    private var assembly = TopologyAssembly()
    private var routers: [NodeName]
    private var peers: [NodeName]

    /// - Parameters:
    ///   - routers: where heartbeats go. A router's own name may be among them; its shell then hands the heartbeat to
    ///     its own machine.
    ///   - peers: other nodes that are told as well that this one is there, which vouches for the domains that it owns.
    ///   - started: when the node started, on its monotonic clock.
    ///   - topologyVersion: of the active topology that the node has from an earlier life; 0 when it has none.
    public init(
        node: NodeID, role: NodeRole, routers: [NodeName], pid: UInt64, started: MonotonicInstant, periods: Periods,
        topologyVersion: UInt64 = 0, peers: [NodeName] = []
    ) {
        self.peers = peers
        self.topologyVersion = topologyVersion
        self.node = node
        self.role = role
        self.routers = routers
        self.pid = pid
        self.started = started
        self.periods = periods
    }

    public mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        switch event {
        case .tick: tick(at: now.monotonic)
        case .lead(let lead, let router): heard(lead, from: router, at: now.monotonic)
        case .assignments(let update, let router): heard(update, from: router, at: now.monotonic)
        case .topology(let part, let router): heard(part, from: router, at: now.monotonic)
        }
    }

    /// Heartbeats go to these from now on.
    public mutating func follow(routers: [NodeName], peers: [NodeName] = []) {
        self.routers = routers
        self.peers = peers
    }

    /// A tick that comes a little early counts as the heartbeat's: left to the next one it would be half a period late.
    private mutating func tick(at now: MonotonicInstant) -> [Directive] {
        if let lastHeartbeat, now - lastHeartbeat < periods.heartbeat * 3 / 4 { return [] }
        lastHeartbeat = now
        return (routers + (vouches ? peers : [])).map { .send(heartbeat(at: now), to: $0) }
    }

    private mutating func heard(_ lead: Lead, from router: NodeID, at now: MonotonicInstant) -> [Directive] {
        guard follow(router, in: lead.term) else { return [] }
        let echoed = MonotonicInstant(nanoseconds: lead.echo)
        // An echo of something this life never sent, such as an answer to an earlier life before a reboot.
        guard (started...max(started, now)).contains(echoed) else { return [] }
        let until = echoed + periods.ownerLease
        guard until > leaseUntil else { return [] }
        leaseUntil = until
        return [.lease(until: until)]
    }

    private mutating func heard(
        _ update: AssignmentUpdate, from router: NodeID, at now: MonotonicInstant
    ) -> [Directive] {
        guard follow(router, in: update.term) else { return [] }
        let known = table.revision
        let changed = table.apply(update)
        var directives: [Directive] = changed.isEmpty ? [] : [.assigned(changed)]
        // Telling at once lets the router send the rest, or its lead, without waiting for the next heartbeat.
        if table.revision > known { directives.append(.send(heartbeat(at: now), to: router.name)) }
        return directives
    }

    private mutating func heard(_ part: TopologyPart, from router: NodeID, at now: MonotonicInstant) -> [Directive] {
        guard follow(router, in: part.term), part.version > topologyVersion, let active = assembly.take(part)
        else { return [] }
        topologyVersion = active.version
        return [.topology(active), .send(heartbeat(at: now), to: router.name)]
    }

    /// Whether a word of this term still counts.
    private mutating func follow(_ router: NodeID, in newTerm: UInt64) -> Bool {
        guard newTerm >= term else { return false }
        term = newTerm
        leader = router.name
        return true
    }

    private func heartbeat(at now: MonotonicInstant) -> Message {
        .heartbeat(
            Heartbeat(
                role: role, sentAt: now.nanoseconds, revision: table.revision, pid: pid,
                uptimeMilliseconds: UInt64(max(0, (now - started).milliseconds)), term: leadingTerm,
                topology: topologyVersion, needsRestart: needsRestart, isJournalWritable: isJournalWritable,
                knownTerm: max(term, leadingTerm)))
    }
}
