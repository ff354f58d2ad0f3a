import ClusterRuntime
import RegistrarEvents

extension RouterMachine {
    mutating func received(_ heartbeat: Heartbeat, from life: NodeID, at now: Moment) {
        let before = membership[life.name]
        guard let changed = membership.heard(heartbeat, from: life, at: now.monotonic) else { return }
        if changed {
            if before?.incarnation != life.incarnation { buryEarlierLives(of: life) }
            emit(.log(.nodeUp(life)))
            leadership?.needsPlan = true
        }
        answer(heartbeat, of: life)
    }

    /// Lives that are over never ask for a lease again.
    private mutating func buryEarlierLives(of life: NodeID) {
        guard let mustKnow = leadership?.mustKnow else { return }
        leadership?.mustKnow = mustKnow.filter { $0.key.name != life.name || $0.key == life }
    }

    /// Tells the node what it has missed, and that it was heard, if it may have a lease for that.
    private mutating func answer(_ heartbeat: Heartbeat, of life: NodeID) {
        guard let leadership, let book = leadership.book else { return }
        if heartbeat.revision < book.revision {
            emit(.send(.assignments(book.update(since: heartbeat.revision, term: leadership.term)), to: life.name))
        }
        let mustKnow = max(leadership.baseline, leadership.mustKnow[life] ?? 0)
        guard heartbeat.revision >= mustKnow, !isBeingDeposed(life) else { return }
        emit(.send(.lead(Lead(term: leadership.term, echo: heartbeat.sentAt)), to: life.name))
    }

    private func isBeingDeposed(_ life: NodeID) -> Bool {
        guard let leadership, let book = leadership.book, let storing = leadership.storing else { return false }
        return storing.changes.contains { change in
            book[change.assignment.domain]?.owner == life && change.assignment.owner != life
        }
    }

    /// Sends every living node what it has missed, as far as is known.
    mutating func push() {
        guard let leadership, let book = leadership.book else { return }
        for member in membership.members where member.isAlive {
            guard let known = member.heartbeat?.revision, known < book.revision else { continue }
            emit(.send(.assignments(book.update(since: known, term: leadership.term)), to: member.node.name))
        }
    }

    mutating func received(_ reports: CopyReports, from life: NodeID) {
        guard membership[life.name]?.node.role == .sr else { return }
        copies.take(reports, from: life)
        if let leadership, leadership.isWaiting || !leadership.isSettled { self.leadership?.needsPlan = true }
    }

    mutating func received(_ change: ReplicaChange, from life: NodeID) {
        guard let leadership, let book = leadership.book, let assignment = book[change.domain] else { return }
        guard assignment.revision == change.revision, assignment.owner == life else {
            // The owner goes by an assignment that is no more; most likely the news were lost on the way.
            if change.revision < assignment.revision, membership.isAlive(life) {
                let known = min(change.revision, membership[life.name]?.heartbeat?.revision ?? 0)
                emit(.send(.assignments(book.update(since: known, term: leadership.term)), to: life.name))
            }
            return
        }
        let request = Planner.ReplicaRequest(sender: life, change: change)
        var requests = leadership.requests[change.domain] ?? []
        guard !requests.contains(request), requests.count < Self.requestLimit else { return }
        requests.append(request)
        self.leadership?.requests[change.domain] = requests
        self.leadership?.needsPlan = true
    }

    mutating func refused(_ name: NodeName, at now: Moment) {
        guard membership.refused(name, at: now.monotonic), let member = membership[name] else { return }
        if member.incarnation > 0 { emit(.log(.nodeDown(member.life, why: "its process is gone"))) }
        leadership?.needsPlan = true
    }

    mutating func judgeSilence(at now: Moment) {
        let before = membership.members
        guard membership.sweep(at: now.monotonic) else { return }
        leadership?.needsPlan = true
        for (old, new) in zip(before, membership.members) where old.standing != new.standing && new.incarnation > 0 {
            switch new.standing {
            case .up, .unknown: break
            case .suspect: emit(.log(.nodeSilent(new.life)))
            case .down: emit(.log(.nodeDown(new.life, why: "not heard for \(periods.down.milliseconds) ms")))
            }
        }
    }
}
