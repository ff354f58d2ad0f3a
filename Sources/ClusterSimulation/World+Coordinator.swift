import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

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
                        let known = coordinator.load().assignments
                        defer { forgiveLosses(since: known) }
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

    /// Where nobody that has everything came back within the grace, a domain may begin anew with less. Histories in
    /// which no fault is as long as that allow for no such thing.
    private mutating func forgiveLosses(since known: [Assignment]) {
        guard options.restartGrace < Int(Periods().restartGrace.milliseconds) else { return }
        let former = Dictionary(known.map { ($0.domain, $0) }) { first, _ in first }
        for next in coordinator.load().assignments {
            guard let current = former[next.domain], next.epoch > current.epoch, let owner = next.owner,
                owner != current.owner, !current.inSync.contains(owner), next.cause != .storageCleared
            else { continue }
            let members = (current.owner.map { [$0] } ?? []) + current.inSync
            guard members.contains(where: { isAway($0.name) }), hasAnybodyWaited(for: next.domain) else { continue }
            losses += 1
            trace.note(now, "\(next.domain) may have lost something before epoch \(next.epoch)")
            history.mayHaveEnded(next.domain, at: now)
            // An owner that waits for nobody takes nothing without a lease, which is over. But one of an earlier epoch
            // may go on with standbys that have not heard of the next one either.
            guard
                options.acceptsWithoutLease || !current.inSync.isEmpty
                    || isServed(next.domain, below: current.epoch)
            else { continue }
            history.forgive(next.domain, below: next.epoch)
        }
    }

    private func isServed(_ domain: DomainName, below epoch: UInt64) -> Bool {
        nodes.values.contains { node in
            guard node.isRunning, let report = node.domains[domain]?.report else { return false }
            return report.isOwner && report.position.epoch < epoch
        }
    }

    /// Whether a registrar that may serve the domain has been there for the whole grace.
    private func hasAnybodyWaited(for domain: DomainName) -> Bool {
        let group = Self.described(domain, options).group
        return layout.nodes.contains { place in
            guard place.role == .sr, place.group == group, let node = nodes[place.name], node.isRunning
            else { return false }
            return now - node.began >= periods.restartGrace
        }
    }

    /// Whether routers may not have heard a node as it is.
    private func isAway(_ name: NodeName) -> Bool {
        guard let node = nodes[name], node.isRunning, !node.isPaused else { return true }
        let isCut = blocked.contains { $0.from == name || $0.to == name }
        return isCut || slowness[name] != nil || (lastAway[name].map { now - $0 < .seconds(3) } ?? false)
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
