public import ClusterRuntime
public import RegistrarEvents

/// Decides who should serve each domain, given who is there and who serves it now. A pure function of its facts.
///
/// An owner stays where it is for as long as it lives, no operator wishes otherwise (`Planner+Movement.swift`), the
/// topology neither gives the domain to another group nor pins it elsewhere (`Planner+Preferences.swift`), and no node
/// that has been there for long lacks its share (`Planner+Balance.swift`). When it is lost:
/// 1. An in-sync standby that lives takes over: it has every acknowledged write.
/// 2. Otherwise nobody does until every node that was a member is back and has told what it holds (the most advanced
///    whole copy among them is then the latest there is), or the restart grace is over. The assignment stays as it is
///    meanwhile, because it tells who the members were.
/// 3. After the grace the most advanced whole copy of anybody is better than nothing, and nothing is told as such.
///
/// A plan is made in three steps, each from what the one before has come to: who owns each domain, which domains are to
/// move, and who stands by for each.
///
/// Invariant: the same facts with the plan carried out give a plan without changes.
///
/// What it does not know: whether a change was stored, and whether a node that is silent has really stopped; that is
/// for the coordinator's term, the replicas' epochs and the owner lease to guard.
public struct Planner: Sendable {
    /// What a plan rests on.
    public struct Facts: Sendable {
        public var now: Moment
        public var membership: Membership {
            didSet { (quorums, failedJournals) = (membership.quorums, membership.failedJournals) }
        }
        /// Of the sites that ask for one.
        public private(set) var quorums: [String: SiteQuorum]
        /// Since when nodes have told that they cannot write their journals.
        public private(set) var failedJournals: [NodeName: MonotonicInstant]
        public var copies: CopyCatalogue
        public var book: AssignmentBook
        /// What owners ask for, in the order of arrival. Requests that do not fit the assignment are passed over.
        public var requests: [DomainName: [ReplicaRequest]] = [:]
        /// Since when an owner has been lost, where that is known from earlier plans.
        public var lostSince: [DomainName: Moment] = [:]
        /// How long domains have waited already, by earlier plans.
        var waits: [DomainName: GraceWait] = [:]
        /// Domains with copies that are dropped once their owners are heard, by earlier plans.
        var droppable: [DomainName: Droppable] = [:]
        public var wishes = MovementWishes()
        /// The next owners that earlier plans chose, of domains which have not moved yet.
        public var successors: [DomainName: NodeID] = [:]
        /// How many copies at each node have been filled for long and do not come into sync.
        public var stuckFills: [NodeName: Int] = [:]
        /// Whether this router has been leading for long enough to know who is there, so that new owners and new
        /// standbys may be chosen.
        public var isSettled: Bool
        /// Whether every `sr` node has said what it holds, or was waited for long enough, so that a domain of which
        /// nothing is known may start empty.
        public var hasHeardEveryone = true
        /// Whether every `sr` node is up and has said so.
        public var haveAllReported = true
        /// Up to this revision assignments are to be stored anew, since nodes know so many; 0 when none are.
        public var outdated: UInt64 = 0
        /// A domain without a record that nobody serves begins above this epoch; 0 unless there may have been some that
        /// nobody knows of.
        public var epochFloor: UInt64 = 0
        /// The same for a domain with a record, which may be out of date.
        public var recordedEpochFloor: UInt64 = 0
        /// Domains of which a node holds more than the book says.
        public var contradicted: Set<DomainName> = []
        /// Whether a node that owns a domain by its own word is believed rather than the book.
        public var heedsClaims = false
        /// Whether what has to be waited for is: a node that came back stays for a while before domains that are pinned
        /// to it return, and an owner is heard before the only other copies of its domain are dropped.
        public var isPatient = true

        public init(
            now: Moment, membership: Membership, copies: CopyCatalogue, book: AssignmentBook, isSettled: Bool
        ) {
            self.now = now
            self.membership = membership
            quorums = membership.quorums
            failedJournals = membership.failedJournals
            self.copies = copies
            self.book = book
            self.isSettled = isSettled
        }
    }

    /// A change that a node asked for.
    public struct ReplicaRequest: Hashable, Sendable {
        public var sender: NodeID
        public var change: ReplicaChange

        public init(sender: NodeID, change: ReplicaChange) {
            self.sender = sender
            self.change = change
        }
    }

    public struct Plan: Hashable, Sendable {
        /// What to store, changes of owners first, each kind in the order of domain names.
        public var changes: [AssignmentChange] = []
        /// Every domain without a living owner, by name, whether a new one is among the changes or not.
        public var lost: [DomainName] = []
        /// Domains that get an owner later, by name: when more is known, or time has passed.
        public var waiting: [DomainName] = []
        /// How long those have waited for the grace to end.
        var waits: [DomainName: GraceWait] = [:]
        /// Domains with copies that are dropped once their owners are heard.
        var droppable: [DomainName: Droppable] = [:]
        /// Domains that are to move, by name.
        public var movements: [Movement] = []
        /// How many standbys are left to a later plan, because as many as may be filled at a time are.
        public var postponed = 0
        /// How many assignments are stored anew for the sake of their revisions.
        var restated = 0
        /// What is left of the operators' wishes.
        public var wishes = MovementWishes()
        /// When there is more to do, though nothing happens till then but that time passes; nil for never.
        public var nextLook: MonotonicInstant?
    }

    let layout: ClusterLayout
    /// The `sr` nodes, by name.
    let nodes: [ClusterLayout.Node]
    /// For each domain of the layout the places of those `nodes` that may serve it, by rank: first those that it is
    /// pinned to.
    let ranks: [[Int]]
    /// Where the layout has each domain.
    let places: [DomainName: Int]
    let nodePlaces: [NodeName: Int]
    /// How many domains each group serves; under nil, the nodes without group.
    let groupSizes: [String?: Int]
    /// Whether there is any group, and whether any domain is pinned.
    let (isGrouped, isPinned): (Bool, Bool)
    let restartGrace: Duration

    public init(_ layout: ClusterLayout, restartGrace: Duration) {
        let nodes = layout.nodes(of: .sr)
        self.layout = layout
        self.nodes = nodes
        ranks = Self.ranks(layout.domains, nodes)
        places = Dictionary(uniqueKeysWithValues: layout.domains.enumerated().map { ($1.name, $0) })
        nodePlaces = Dictionary(uniqueKeysWithValues: nodes.enumerated().map { ($1.name, $0) })
        groupSizes = layout.domains.reduce(into: [:]) { $0[$1.group, default: 0] += 1 }
        isGrouped = nodes.contains { $0.group != nil }
        isPinned = layout.domains.contains { !$0.pin.isEmpty }
        self.restartGrace = restartGrace
    }

    /// - Parameter domains: those to look at; nil for all of them. What a plan says of a domain does not depend on
    ///   which others are looked at, except where new domains go and how many standbys are filled, nor while
    ///   operators have something moved: then all of them are to be looked at. Nothing is balanced unless they are.
    public func plan(_ facts: Facts, of domains: Set<DomainName>? = nil) -> Plan {
        var facts = facts
        facts.wishes = openWishes(facts)
        var round = Round(facts, nodes)
        round.nextLook = [quorumWait(facts), journalWait(facts)].compactMap(\.self).min()
        var plan = Plan()
        plan.wishes = facts.wishes
        let chosen = domains.map { $0.compactMap { places[$0] }.sorted() } ?? Array(layout.domains.indices)
        var planned = owners(of: chosen, &round, &plan)
        round.successors = successors(planned, isWhole: domains == nil, &round)
        for index in planned.indices { reviseStandbys(of: &planned[index], &round) }
        plan.postponed = addSpareStandbys(to: &planned, round)
        for index in planned.indices where isOutdated(planned[index].current, facts) {
            plan.restated += 1
            if !planned[index].isChanged { planned[index].next.revision = 0 }
        }
        plan.restated += round.kept.count
        plan.waits = round.waits
        plan.droppable = round.droppable
        let changed = (planned + round.kept).filter(\.isChanged)
        plan.changes = (changed.filter(\.beginsEpoch) + changed.filter { !$0.beginsEpoch }).map(\.change)
        plan.movements = movements(planned, round)
        plan.nextLook = round.nextLook
        return plan
    }

    /// A domain in the making of a plan.
    struct Planned {
        /// Where the layout has it.
        let place: Int
        let current: Assignment?
        /// The current one when all is well.
        var next: Assignment
        /// Nodes that ought to have a copy, without which the domain has as many as it should.
        var spare: [NodeID] = []

        var isChanged: Bool { next != current }
        var beginsEpoch: Bool { next.epoch != current?.epoch }
        var change: AssignmentChange { AssignmentChange(assignment: next, expected: current?.revision ?? 0) }
    }

    /// Who owns each domain next. Those that have to wait for an owner are left out.
    private func owners(of chosen: [Int], _ round: inout Round, _ plan: inout Plan) -> [Planned] {
        let facts = round.facts
        var planned: [Planned] = []
        planned.reserveCapacity(chosen.count)
        for place in chosen {
            let name = layout.domains[place].name
            let current = facts.book[name]
            let retired = current.flatMap { $0.isRetired ? $0 : nil }
            if layout.domains[place].isClosing, current == nil || retired != nil { continue }
            let served = retired == nil ? current : nil
            let isLost = served.map { facts.isLost($0) } ?? false
            if isLost { plan.lost.append(name) }
            let next =
                if let served, isContradicted(served, facts) {
                    correct(served, isLost: isLost, at: place, &round)
                } else if let served {
                    revise(served, isLost: isLost, at: place, &round)
                } else {
                    settle(place, &round, after: retired)
                }
            guard let next else {
                plan.waiting.append(name)
                if var kept = current, isOutdated(kept, facts) {
                    kept.revision = 0
                    round.kept.append(Planned(place: place, current: current, next: kept))
                }
                continue
            }
            planned.append(Planned(place: place, current: current, next: next))
        }
        return planned
    }

    /// The assignment with its next owner and what the owner asked for; nil when its new owner must be waited for.
    ///
    /// A granted request always changes the assignment, since it sets the revision to 0: the coordinator gives it a new
    /// one, and what the owner asked for under the old one is void.
    private func revise(_ current: Assignment, isLost: Bool, at place: Int, _ round: inout Round) -> Assignment? {
        var next = current
        if isLost {
            guard let successor = successor(for: current, at: place, &round) else { return nil }
            next.owner = successor.node
            next.cause = successor.cause
            beginEpoch(of: &next, round)
            round.count(successor.node)
        } else {
            grant(round.facts.requests[current.domain] ?? [], to: &next, at: place, &round)
        }
        return next
    }

    /// The first owner of a domain: whoever serves it or has a whole copy of it from before the coordinator lost its
    /// memory, else by rank.
    /// - Parameter former: of a domain that was removed and comes back: its list is empty, whatever copies of earlier
    ///   epochs say. Or an assignment that does not count any more.
    func settle(_ place: Int, _ round: inout Round, after former: Assignment?) -> Assignment? {
        let (facts, domain) = (round.facts, layout.domains[place].name)
        let isEmpty = former.map { $0.isRetired && facts.copies.highestEpoch(of: domain) <= $0.epoch } ?? false
        // Nodes of other groups, and of sites without their quorum, may have been there for long.
        let isOver = former != nil || facts.outdated > 0 || isGraceOver(at: place, awaiting: [], &round)
        guard facts.isSettled, isEmpty || facts.hasHeardEveryone else { return nil }
        let claim = isEmpty ? nil : claim(to: domain, round)?.life
        guard claim != nil || facts.haveAllReported || isOver else { return nil }
        let holder =
            isEmpty ? nil : claim ?? mostAdvanced(of: round.living(everybody(place)), at: place, round)
        let open = round.open(ranks[place].filter { isQuorate($0, facts: round.facts) }, nodes)
        guard let owner = holder ?? pinned(at: place, round) ?? ranked(open, place, round), isQuorate(owner, round)
        else { return nil }
        round.count(owner)
        var first = Assignment(
            domain: domain, epoch: former?.epoch ?? 0, revision: 0, owner: owner, standbys: [],
            cause: isEmpty ? .storageCleared : .restart, since: 0)
        if claim == nil {
            first.epoch = max(first.epoch, former == nil ? facts.epochFloor : facts.recordedEpochFloor)
        }
        beginEpoch(of: &first, round)
        return first
    }

    /// The first in rank that does not own more than its share.
    func ranked(_ candidates: [Int], _ place: Int, _ round: Round) -> NodeID? {
        round.leastLopsided(candidates, of: groupSizes[layout.domains[place].group] ?? 0)
    }

    /// Beyond every epoch that anybody holds anything of: epochs only grow, even if the coordinator was set back.
    func beginEpoch(of next: inout Assignment, _ round: Round) {
        next.epoch = max(next.epoch, round.facts.copies.highestEpoch(of: next.domain)) + 1
        next.since = round.facts.now.wall
    }

    private func grant(
        _ requests: [ReplicaRequest], to next: inout Assignment, at place: Int, _ round: inout Round
    ) {
        let asked = (epoch: next.epoch, revision: next.revision)
        for request in requests where request.sender == next.owner {
            let change = request.change
            guard (change.epoch, change.revision) == asked else { continue }
            let standby = next.standbys.firstIndex { $0.node == change.node }
            switch change.kind {
            case .add:
                guard let standby, round.facts.membership.isAlive(change.node) else { continue }
                next.standbys[standby].inSync = true
            case .remove:
                if let standby { next.standbys[standby].inSync = false }
            case .clear:
                next.cause = .storageCleared
                beginEpoch(of: &next, round)
            case .handOver:
                handOver(&next, to: change.node, at: place, &round)
                continue
            case .retire:
                guard layout.domains[place].isClosing else { continue }
                next.owner = nil
                next.standbys = []
                next.cause = .storageCleared
            }
            next.revision = 0
        }
    }
}

extension Planner.Facts {
    func isLost(_ assignment: Assignment) -> Bool {
        guard let owner = assignment.owner else { return true }
        return membership.standing(of: owner) == .down
    }
}
