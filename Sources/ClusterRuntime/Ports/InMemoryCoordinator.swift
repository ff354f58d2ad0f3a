import Synchronization

/// The coordinator's in-memory twin: one process long, and it can be made unreachable.
public final class InMemoryCoordinator: Coordinator {
    private struct Guarded {
        var state = CoordinatorState()
        var isReachable = true
        var watchers: [Int: @Sendable () -> Void] = [:]
        var watchersSeen = 0
    }

    private let guarded = Mutex(Guarded())
    private let now: @Sendable () -> MonotonicInstant

    /// - Parameter now: the clock on which leases end.
    public init(now: @escaping @Sendable () -> MonotonicInstant = { SystemClock.monotonic() }) {
        self.now = now
    }

    /// While unreachable every call throws, and nothing is stored.
    public func setReachable(_ isReachable: Bool) { guarded.withLock { $0.isReachable = isReachable } }

    public func campaign(
        as router: NodeID, lease: Duration, above floor: UInt64
    ) async throws(CoordinatorError) -> Campaign {
        let now = now()
        return try access { $0.campaign(as: router, lease: lease, above: floor, at: now) }
    }

    public func resign(term: UInt64) async throws(CoordinatorError) {
        try access { $0.resign(term: term) }
        let (watchers, isVacant) = guarded.withLock { ($0.watchers.values, $0.state.leadership.holder == nil) }
        if isVacant { for vacant in watchers { vacant() } }
    }

    public func load() async throws(CoordinatorError) -> StoredAssignments {
        try access { $0.load() }
    }

    public func store(
        _ changes: [AssignmentChange], wishes: MovementWishes?, above floor: UInt64, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        try access { $0.store(changes, wishes: wishes, above: floor, term: term) }
    }

    public func activate(
        _ topology: ActiveTopology, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        try access { $0.activate(topology, term: term) }
    }

    /// Tells of resignations; a lease that ends is found out by campaigning.
    public func watch(vacant: @escaping @Sendable () -> Void) async {
        let number = guarded.withLock { guarded in
            guarded.watchersSeen += 1
            guarded.watchers[guarded.watchersSeen] = vacant
            return guarded.watchersSeen
        }
        // Ends when cancelled.
        for await _ in AsyncStream<Never>.makeStream().stream {}
        guarded.withLock { $0.watchers[number] = nil }
    }

    private func access<Answer: Sendable>(
        _ body: (inout CoordinatorState) -> Answer
    ) throws(CoordinatorError) -> Answer {
        let answer: Answer? = guarded.withLock { $0.isReachable ? body(&$0.state) : nil }
        guard let answer else { throw .unavailable("switched off") }
        return answer
    }
}
