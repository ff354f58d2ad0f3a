public import ClusterRuntime
import RegistrarEvents

/// What a router decides: whether it leads, who is there, and who serves each domain.
///
/// Transitions: standby -> (campaign granted) leading, loading -> (loaded) leading, planning -> standby, when the lease
/// ends, another router leads, or the outcome of a store is unknown. A term that was left is never led in again, so
/// whatever it left behind at the coordinator is fenced.
///
/// Invariants:
/// - It leads only until the lease that it asked for would end if it had been granted the moment it was asked for.
/// - One store at a time; the next plan is made from what was stored, not from what was wished. A plan of more than a
///   store takes is stored in pieces; when anything changes that concerns more than single domains, what is left of it
///   is dropped and planned anew.
/// - *No lease for the deposed.* A lone owner may acknowledge until `ownerLease` after a heartbeat that was answered
///   with `Lead`. So `Lead` goes only to a life that is not down, whose ownership the plan being stored does not take
///   away, and whose heartbeat shows that it knows every change by which it lost a domain: those made in this term,
///   and, since this router cannot tell which of the earlier ones did, all that were stored before.
/// - It stores nothing in a term below the highest one that a node has heard of, and grants no lease while the
///   coordinator knows less than nodes do (`RouterMachine+History.swift`).
/// - Nobody is down by silence before this router has listened for `Periods.down` since it took the lead: until then
///   a lease that the former leader granted may last.
///
/// What it does not know: the wire, the coordinator's kind, and how owners replicate.
public struct RouterMachine: Sendable {
    /// What happens to the machine.
    public enum Event: Sendable {
        /// Time has passed. To be sent about every half heartbeat.
        case tick
        /// Of messages it takes heartbeats, copy reports and replica changes, and passes over all others.
        case received(Message, from: NodeID)
        /// The process that listened there is gone.
        case refused(NodeName)
        case campaigned(Result<Campaign, CoordinatorError>)
        case loaded(Result<StoredAssignments, CoordinatorError>, term: UInt64)
        case stored(Result<StoreOutcome, CoordinatorError>, term: UInt64)
        /// The coordinator says that nobody may be leading any more. Nothing rests on it.
        case vacant
        /// An operator's order; answered with `answer` under the same id.
        case ordered(MovementOrder, id: UInt64)
        /// An operator's wish that the cluster go by this topology, which has this layout; answered in the same way.
        case activate(ActiveTopology, ClusterLayout, id: UInt64)
        case activated(Result<StoreOutcome, CoordinatorError>, term: UInt64)
        /// The active router has told of a newer topology.
        case learned(ActiveTopology, ClusterLayout)
    }

    /// What the shell is to do, in order.
    public enum Directive: Hashable, Sendable {
        case send(Message, to: NodeName)
        /// Ask the coordinator for `Periods.leadership`, in a term above this one; answer with `campaigned`. At most
        /// one is under way.
        case campaign(above: UInt64)
        /// Before any later campaign. Nothing is answered.
        case resign(term: UInt64)
        /// Answer with `loaded`.
        case load(term: UInt64)
        /// With revisions above this one. Answer with `stored`.
        case store([AssignmentChange], wishes: MovementWishes?, above: UInt64, term: UInt64)
        /// Answer with `activated`.
        case activate(ActiveTopology, term: UInt64)
        /// Tell the operator who gave the order what became of it.
        case answer(UInt64, OrderOutcome)
        case log(RouterNotice)
    }

    /// What a leading router keeps.
    struct Leadership: Sendable {
        let term: UInt64
        let began: MonotonicInstant
        var until: MonotonicInstant
        /// Nil until loaded.
        var book: AssignmentBook?
        var isLoading = true
        /// Up to this revision assignments are to be stored anew; 0 when none are.
        var outdated: UInt64 = 0
        /// Whether nodes knew of more than was stored.
        var hasForgotten = false
        /// Whether no assignment at all was stored.
        var beganEmpty = false
        /// Domains of which a node holds more than is stored.
        var contradicted: Set<DomainName> = []
        /// Lives that have said what they hold since it was found that the coordinator has forgotten something.
        var reported: Set<NodeID> = []
        var hasMetHigherTerm = false
        /// What must be known before any life gets a lease, and for some lives more.
        var baseline: UInt64 = 0
        var mustKnow: [NodeID: UInt64] = [:]
        /// What each node was sent of the assignments.
        var told: [NodeName: Told] = [:]
        /// The store under way.
        var storing: Store?
        /// What is left of the plan, to be stored piece by piece.
        var rest: ArraySlice<AssignmentChange> = []
        /// Whom the plan, as far as it is not stored, takes a domain away from.
        var losers: Set<NodeID> = []
        var wishes = MovementWishes()
        /// Orders in the order of arrival; those of a store under way stay until it has come through.
        var orders: [WaitingOrder] = []
        var movements: [DomainName: OrderedMovement] = [:]
        /// The next owners of domains that are to move.
        var successors: [DomainName: NodeID] = [:]
        var requests: [DomainName: [Planner.ReplicaRequest]] = [:]
        /// A topology that waits to be stored, or is being stored.
        var activation: Activation?
        /// When each life was last sent the active topology.
        var topologySent: [NodeID: MonotonicInstant] = [:]
        var retirementsSent: [DomainName: MonotonicInstant] = [:]
        var lostSince: [DomainName: Moment] = [:]
        /// How long domains without owner have waited for those that may hold more of them.
        var waits: [DomainName: GraceWait] = [:]
        /// Domains with copies that are dropped once their owners are heard.
        var droppable: [DomainName: Planner.Droppable] = [:]
        /// What owners asked for and the plan grants, until that is stored.
        var granted: [DomainName: [Planner.ReplicaRequest]] = [:]
        var isSettled = false
        var due = Due.everything
        /// When to plan again, though nothing happens till then.
        var nextLook: MonotonicInstant?
        /// Domains that wait for reports, for their grace to end or for their owners to be heard, so that plans are to
        /// be made again.
        var waiting: Set<DomainName> = []
        /// Since when standbys have been filled, and how many there are at each node that take too long.
        var fills: [DomainName: [NodeID: MonotonicInstant]] = [:]
        var stuckFills: [NodeName: Int] = [:]
        /// When it was last looked at what waits and what moves.
        var lastLook = MonotonicInstant.distantPast
        /// Whether standbys are left to a later plan.
        var isPostponing = false
        /// When it was last looked whether nodes have their shares.
        var lastWeighing = MonotonicInstant.distantPast
    }

    /// What may need another plan.
    enum Due: Sendable {
        case domains(Set<DomainName>)
        /// Who is there, or what operators wish, has changed. What is left of an earlier plan is void.
        case everything

        static let nothing = Due.domains([])

        mutating func add(_ domain: DomainName) {
            guard case .domains(var domains) = self else { return }
            // Not copied: this is called for each request of each owner.
            self = .nothing
            domains.insert(domain)
            self = .domains(domains)
        }

        mutating func add(_ more: Set<DomainName>) {
            guard case .domains(let domains) = self else { return }
            self = .domains(domains.union(more))
        }
    }

    /// What a node was sent of the assignments.
    struct Told: Sendable {
        let life: NodeID
        /// What it last said it knows.
        let known: UInt64
        /// Up to where it was sent everything.
        let revision: UInt64
        /// Since when it has not shown that it knows more than that.
        let waitingSince: MonotonicInstant
    }

    /// What the coordinator was asked to store.
    struct Store: Sendable {
        let changes: [AssignmentChange]
        let wishes: MovementWishes?
        /// So many of the waiting orders are in the wishes.
        let orders: Int
    }

    public let node: NodeID
    /// What the cluster goes by, as far as this router knows.
    public internal(set) var topology: ActiveTopology
    var layout: ClusterLayout
    /// What a topology's text means; nil when this version cannot read it.
    let layoutOf: @Sendable (String) -> ClusterLayout?
    let periods: Periods
    var planner: Planner
    /// Domains that are served until everything in them has ended.
    var closing: [ClusterLayout.Domain] = []
    /// Whether the planner still knows domains that are retired, and when such were forgotten last.
    var hasRetired = false
    var lastForgetting = MonotonicInstant.distantPast
    var membership: Membership
    var copies = CopyCatalogue()
    var leadership: Leadership?
    var known = KnownHistory()
    /// The highest term that this router led in and left.
    var abandoned: UInt64 = 0
    /// When the campaign under way was issued.
    var campaignIssued: MonotonicInstant?
    var nextCampaign: MonotonicInstant
    /// When it left its last term or was refused a new one, it lets others try first until then.
    var restsUntil: MonotonicInstant = .distantPast
    var coordinator = ClusterStatus.Coordinator(state: .unknown)
    /// Whether the coordinator answers, and what is stored there could not be had the last time. Then nobody is told
    /// that all is well because a campaign succeeds.
    var hasFailedToLoad = false
    /// The leader that was last logged.
    var leaderSeen: NodeID??
    var lastTick: MonotonicInstant?
    var history: [DomainName: [OwnerChange]] = [:]
    /// Sites whose quorum was said to be lost.
    var sitesWithoutQuorum: Set<String> = []
    private var directives: [Directive] = []

    /// Owner changes kept of each domain.
    static let historyLimit = 16
    /// Replica changes of one domain that may wait for a store. The owner sends again what is not granted.
    static let requestLimit = 8
    /// How long the first placement waits at most for nodes that are still starting.
    static let settlingTime: Duration = .milliseconds(1500)
    /// Owner changes of one store that are logged one by one.
    static let noticeLimit = 16

    /// - Parameters:
    ///   - layout: of `topology`.
    ///   - layoutOf: a pure function.
    public init(
        node: NodeID, layout: ClusterLayout, periods: Periods, at now: Moment,
        topology: ActiveTopology = ActiveTopology(version: 0, text: "", since: 0),
        layoutOf: @escaping @Sendable (String) -> ClusterLayout? = { _ in nil }
    ) {
        self.node = node
        self.topology = topology
        self.layout = layout
        self.layoutOf = layoutOf
        self.periods = periods
        planner = Planner(layout, restartGrace: periods.restartGrace)
        membership = Membership(layout, periods: periods, listeningFrom: now.monotonic)
        // Routers that start together campaign in their order.
        nextCampaign = now.monotonic + periods.heartbeat * Self.turn(of: node, layout)
    }

    /// Its place among the routers.
    var turn: Int { Self.turn(of: node, layout) }

    private static func turn(of node: NodeID, _ layout: ClusterLayout) -> Int {
        layout.routers.firstIndex(of: node.name) ?? layout.routers.count
    }

    public mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        endLeadershipIfLeaseIsOver(at: now)
        switch event {
        case .tick: tick(at: now)
        case .received(.heartbeat(let heartbeat), let sender): received(heartbeat, from: sender, at: now)
        case .received(.copies(let reports), let sender): received(reports, from: sender)
        case .received(.replicaChange(let change), let sender): received(change, from: sender, at: now.monotonic)
        case .received(.lead, _), .received(.assignments, _), .received(.request, _), .received(.reply, _),
            .received(.follow, _), .received(.append, _), .received(.chunk, _), .received(.handOver, _),
            .received(.topology, _), .received(.retire, _):
            break
        case .refused(let name): refused(name, at: now)
        case .campaigned(let result): campaigned(result, at: now)
        case .loaded(let result, let term): loaded(result, term: term, at: now)
        case .stored(let result, let term): stored(result, term: term, at: now)
        case .vacant: leadershipIsVacant(at: now)
        case .ordered(let order, let id): take(order, id: id, at: now)
        case .activate(let topology, let layout, let id): activate(topology, layout, id: id)
        case .activated(let result, let term): activated(result, term: term, at: now)
        case .learned(let topology, let layout): adopt(topology, layout, at: now)
        }
        planIfNeeded(at: now)
        defer { directives.removeAll() }
        return directives
    }

    /// The term in which this router leads; 0 while it does not.
    public func leadingTerm(at now: Moment) -> UInt64 {
        guard let leadership, now.monotonic < leadership.until else { return 0 }
        return leadership.term
    }

    mutating func emit(_ directive: Directive) { directives.append(directive) }

    private mutating func tick(at now: Moment) {
        let pause = now.monotonic - (lastTick ?? now.monotonic)
        lastTick = now.monotonic
        if pause >= periods.heartbeat * 2 {
            // What nodes said meanwhile may still wait to be read.
            membership.listen(from: now.monotonic)
            emit(.log(.heldUp(pause)))
        }
        judgeSilence(at: now)
        campaignIfDue(at: now)
        if let leadership, leadership.book == nil, !leadership.isLoading { load() }
        sendRetirements(at: now)
        forgetRetired(at: now)
        lookAgain(at: now)
        planAgainIfPostponed(free: 1)
        planAgainIfLopsided(at: now)
    }

    /// What only time may bring on is looked at once a heartbeat, and never in place of what is being stored: a plan of
    /// all domains takes its time, and many would keep this router from hearing and renewing.
    private mutating func lookAgain(at now: Moment) {
        guard let leadership, now.monotonic - leadership.lastLook >= periods.heartbeat else { return }
        self.leadership?.lastLook = now.monotonic
        self.leadership?.due.add(leadership.waiting)
        judgeFills(at: now.monotonic)
        guard leadership.rest.isEmpty else { return }
        let isTime = leadership.nextLook.map { now.monotonic >= $0 } ?? false
        if isTime || !leadership.movements.isEmpty || !leadership.successors.isEmpty {
            self.leadership?.due = .everything
        }
    }
}
