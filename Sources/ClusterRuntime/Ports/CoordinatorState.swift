import RegistrarEvents

/// What a coordinator decides, as a value: the in-memory twin and the simulator keep one, and the embedded
/// coordinator takes its decisions on leadership from it.
public struct CoordinatorState: Hashable, Sendable {
    public private(set) var leadership = LeadershipRecord()
    public private(set) var revision: UInt64 = 0
    private var assignments: [DomainName: Assignment] = [:]
    private var wishes = MovementWishes()
    private var topology: ActiveTopology?

    public init() {}

    public mutating func campaign(
        as router: NodeID, lease: Duration, above floor: UInt64 = 0, at now: MonotonicInstant
    ) -> Campaign {
        leadership.campaign(as: router, lease: lease, above: floor, at: now)
    }

    public mutating func resign(term: UInt64) { leadership.resign(term: term) }

    public func load() -> StoredAssignments {
        StoredAssignments(
            revision: revision, assignments: assignments.values.sorted { $0.domain < $1.domain }, wishes: wishes,
            topology: topology)
    }

    public mutating func store(
        _ changes: [AssignmentChange], wishes: MovementWishes? = nil, above floor: UInt64 = 0, term: UInt64
    ) -> StoreOutcome {
        guard leadership.mayStore(in: term) else { return .deposed }
        var result = self
        result.revision = max(revision, floor)
        var stored: [Assignment] = []
        for change in changes {
            guard (result.assignments[change.assignment.domain]?.revision ?? 0) == change.expected else {
                return .conflict
            }
            result.revision += 1
            var assignment = change.assignment
            assignment.revision = result.revision
            result.assignments[assignment.domain] = assignment
            stored.append(assignment)
        }
        if let wishes { result.wishes = wishes }
        self = result
        return .stored(stored)
    }

    public mutating func activate(_ topology: ActiveTopology, term: UInt64) -> StoreOutcome {
        guard leadership.mayStore(in: term) else { return .deposed }
        self.topology = topology
        return .stored([])
    }
}

/// Who leads until when.
///
/// Invariant: the term grows with every new lease; only renewals of a lease that still runs keep it.
public struct LeadershipRecord: Hashable, Sendable {
    /// The latest term; 0 before the first.
    public var term: UInt64
    /// Nil when nobody has led yet, or the last leader resigned.
    public var holder: NodeID?
    /// On the coordinator's clock.
    public var until: MonotonicInstant

    public init(term: UInt64 = 0, holder: NodeID? = nil, until: MonotonicInstant = .distantPast) {
        self.term = term
        self.holder = holder
        self.until = until
    }

    /// - Parameter floor: a lower term is not kept, and the next one is above it.
    public mutating func campaign(
        as router: NodeID, lease: Duration, above floor: UInt64 = 0, at now: MonotonicInstant
    ) -> Campaign {
        if let holder, now < until {
            let isLaterLife = holder.name == router.name && holder.incarnation < router.incarnation
            guard holder == router || isLaterLife else { return .standby(leader: holder) }
            if isLaterLife || term < floor { term = max(term, floor) + 1 }
        } else {
            term = max(term, floor) + 1
        }
        holder = router
        until = now + lease
        return .leading(term: term)
    }

    public mutating func resign(term: UInt64) {
        guard term == self.term else { return }
        holder = nil
        until = .distantPast
    }

    /// A lease that ran out does no harm as long as nobody else was granted one: the term tells.
    public func mayStore(in term: UInt64) -> Bool { term == self.term && holder != nil }
}
