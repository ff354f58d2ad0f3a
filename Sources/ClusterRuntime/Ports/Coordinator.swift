/// Where routers agree on who of them leads, and where assignments outlive them all.
///
/// What an implementation promises:
/// - At most one router holds an unexpired lease, and every lease that follows another holder's, or one that ran out,
///   has a higher term.
/// - A store happens entirely or not at all, and only in the latest term.
/// - What was stored, and the terms that were granted, survive a crash.
public protocol Coordinator: Sendable {
    /// Asks to lead for `lease` from now on, or to go on leading. Keeps the term while the router's lease lasts.
    /// A higher incarnation of the holder takes over at once, since the earlier life is gone.
    /// - Parameter floor: the highest term that the router has heard of. A lower one is not kept, and the next one is
    ///   above it: what is stored may be older than what nodes know.
    func campaign(
        as router: NodeID, lease: Duration, above floor: UInt64
    ) async throws(CoordinatorError) -> Campaign

    /// Gives up the leadership of this term, so that another router need not wait for the lease to end.
    /// Does nothing when the term is not the latest one.
    func resign(term: UInt64) async throws(CoordinatorError)

    /// Everything that is stored.
    func load() async throws(CoordinatorError) -> StoredAssignments

    /// Stores all changes and the wishes, or nothing. Revisions are given out in the order of the changes.
    /// - Parameters:
    ///   - changes: of different domains, at most `AssignmentChange.storeLimit`.
    ///   - wishes: in place of those stored; nil leaves them as they are.
    ///   - floor: a revision that nodes know already; those given out are above it.
    ///   - term: in which the caller leads.
    /// - Throws: when the outcome is unknown or nothing was stored.
    func store(
        _ changes: [AssignmentChange], wishes: MovementWishes?, above floor: UInt64, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome

    /// Stores the topology that the cluster is to go by, in place of the one stored, or nothing.
    /// - Parameters:
    ///   - topology: of a version above 0, and of at most `ActiveTopology.maximumBytes`. Which version may follow which
    ///     is for the caller to see to, who is the only one in its term.
    ///   - term: in which the caller leads.
    /// - Returns: `stored([])`; `conflict` when another one came in between, of which an earlier attempt may be the
    ///   cause; `deposed`.
    /// - Throws: when the outcome is unknown or nothing was stored.
    func activate(_ topology: ActiveTopology, term: UInt64) async throws(CoordinatorError) -> StoreOutcome

    /// Runs until cancelled, and calls `vacant` when the leadership may have become free, so that a standby router need
    /// not wait for its turn to campaign. A hint: it may come late, more than once, or not at all.
    func watch(vacant: @escaping @Sendable () -> Void) async
}

extension Coordinator {
    public func campaign(as router: NodeID, lease: Duration) async throws(CoordinatorError) -> Campaign {
        try await campaign(as: router, lease: lease, above: 0)
    }

    public func store(
        _ changes: [AssignmentChange], wishes: MovementWishes? = nil, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        try await store(changes, wishes: wishes, above: 0, term: term)
    }

    /// Ends at once: where nothing can be watched, routers find out when they campaign.
    public func watch(vacant: @escaping @Sendable () -> Void) async {}
}

/// How a campaign went.
public enum Campaign: Hashable, Sendable {
    case leading(term: UInt64)
    /// Another router leads.
    case standby(leader: NodeID?)
}

/// What a coordinator holds: all assignments, by domain name, the highest revision given out, what operators want
/// moved, and the topology that was activated last.
public struct StoredAssignments: Hashable, Sendable {
    public var revision: UInt64
    public var assignments: [Assignment]
    public var wishes: MovementWishes
    /// Nil as long as none was activated: then every node goes by its own file.
    public var topology: ActiveTopology?

    public init(
        revision: UInt64, assignments: [Assignment], wishes: MovementWishes = MovementWishes(),
        topology: ActiveTopology? = nil
    ) {
        self.revision = revision
        self.assignments = assignments
        self.wishes = wishes
        self.topology = topology
    }
}

/// An assignment to be stored in place of the one with the expected revision.
public struct AssignmentChange: Hashable, Sendable {
    /// Its own revision is not looked at: the coordinator gives it a new one.
    public var assignment: Assignment
    /// The revision of the assignment that it replaces; 0 when there must be none.
    public var expected: UInt64

    /// Most changes in one store: an etcd transaction has 128 operations at most, of which each change is one, and the
    /// term's record and the count of revisions are two.
    public static let storeLimit = 120

    public init(assignment: Assignment, expected: UInt64) {
        self.assignment = assignment
        self.expected = expected
    }
}

/// How a store went.
public enum StoreOutcome: Hashable, Sendable {
    /// All changes, with their new revisions, in the order in which they were given.
    case stored([Assignment])
    /// An assignment was not at the expected revision. Nothing was stored.
    case conflict
    /// The term is not the latest, or was resigned. Nothing was stored.
    case deposed
}

/// Why a coordinator could not be asked. Worth another try, after an operator has looked when it is `damaged`.
public enum CoordinatorError: Error, Hashable, Sendable, CustomStringConvertible {
    case unavailable(String)
    case damaged(String)

    /// What is wrong, where it goes without saying that it is about the coordinator.
    public var reason: String {
        switch self {
        case .unavailable(let what): what
        case .damaged(let what): "its data cannot be used: \(what)"
        }
    }

    public var description: String {
        switch self {
        case .unavailable(let what): "the coordinator cannot be reached: \(what)"
        case .damaged(let what): "the coordinator's data cannot be used: \(what)"
        }
    }
}
