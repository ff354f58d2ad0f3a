import ClusterRuntime
import Router

/// What a router asks of the coordinator.
enum CoordinatorQuestion {
    case campaign(above: UInt64)
    case load(term: UInt64)
    case store([AssignmentChange], wishes: MovementWishes?, above: UInt64, term: UInt64)
    case activate(ActiveTopology, term: UInt64)
}

/// The coordinator. What routers ask comes to it late or not at all, whatever becomes of the router, and so do its
/// answers: what was carried out may look as if it had failed.
extension World {
    /// The coordinator as the end of links that may be cut.
    static let coordinatorEnd = NodeName("coordinator")
    private static let failure = CoordinatorError.unavailable("simulated outage")

    mutating func ask(_ question: CoordinatorQuestion, from life: NodeID) {
        queue.add(.coordinator(question, from: life), at: now + random.duration(1...options.coordinatorDelay))
    }

    /// Whether nothing of what a router says comes to the coordinator.
    func isMute(_ router: NodeName) -> Bool {
        isCoordinatorAway || blocked.contains(Link(from: router, to: Self.coordinatorEnd))
    }

    /// Whether nothing of what the coordinator says comes to a router.
    func isDeaf(_ router: NodeName) -> Bool {
        isCoordinatorAway || blocked.contains(Link(from: Self.coordinatorEnd, to: router))
    }

    mutating func answer(_ question: CoordinatorQuestion, of life: NodeID) {
        noteLeader()
        defer { noteLeader() }
        let (isMute, isDeaf) = (isMute(life.name), isDeaf(life.name))
        func heard<Value>(_ answer: () -> Value) -> Result<Value, CoordinatorError> {
            guard !isMute else { return .failure(Self.failure) }
            let value = answer()
            return isDeaf ? .failure(Self.failure) : .success(value)
        }
        let event: RouterMachine.Event =
            switch question {
            case .campaign(let floor):
                .campaigned(
                    heard { coordinator.campaign(as: life, lease: periods.leadership, above: floor, at: now) })
            case .load(let term):
                .loaded(isReadLost() ? Self.compactedAmidReading : heard { coordinator.load() }, term: term)
            case .store(let changes, let wishes, let floor, let term):
                .stored(
                    heard {
                        leaderRecord.revision += 1
                        return stored(changes, wishes: wishes, above: floor, term: term)
                    }, term: term)
            case .activate(let topology, let term):
                .activated(heard { coordinator.activate(topology, term: term) }, term: term)
            }
        queue.add(
            .step(life.name, .answered(event, life: life)), at: now + random.duration(1...options.coordinatorDelay))
    }

    /// A router lets go of the leadership.
    mutating func resign(_ router: NodeName, term: UInt64) {
        if !isMute(router) { coordinator.resign(term: term) }
        noteLeader()
    }

    /// A hint that comes late, more than once, or not at all.
    mutating func tellVacancy() {
        queue.add(.vacant, at: now + clocks.duration(50...500))
        guard !isCoordinatorAway, coordinator.leadership.holder == nil || now >= coordinator.leadership.until
        else { return }
        for router in routers where clocks.chance(0.7) && !isDeaf(router) {
            if nodes[router]!.isRunning, !nodes[router]!.isPaused { route(.vacant, at: router) }
        }
    }
}
