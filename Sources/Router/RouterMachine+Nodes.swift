import ClusterRuntime
import RegistrarEvents

extension RouterMachine {
    mutating func received(_ heartbeat: Heartbeat, from life: NodeID, at now: Moment) {
        // Whoever hears nobody cannot tell who is there: most likely it was cut off itself, and the others are as alive
        // as the first to be heard again.
        if membership[life.name]?.node.role == .sr, hearsNoRegistrar {
            membership.listen(from: now.monotonic)
            judgeSilence(at: now)
        }
        let before = membership[life.name]
        guard let changed = membership.heard(heartbeat, from: life, at: now.monotonic) else { return }
        if changed {
            if before?.incarnation != life.incarnation { buryEarlierLives(of: life) }
            emit(.log(.nodeUp(life)))
            if !WireVersion.isUnderstood(heartbeat.wireVersion) {
                emit(.log(.foreignWire(life, version: heartbeat.wireVersion)))
            }
            leadership?.due = .everything
        }
        noteJournal(of: life, wasFailing: before.map { $0.life == life && $0.journalFailedSince != nil } ?? false)
        learn(from: heartbeat, of: life, at: now)
        answer(heartbeat, of: life, at: now.monotonic)
        if heartbeat.topology < topology.version { sendTopology(to: life, at: now.monotonic) }
    }

    private var hearsNoRegistrar: Bool {
        !membership.members.contains { $0.node.role == .sr && $0.isAlive }
    }

    /// Lives that are over never ask for a lease again.
    private mutating func buryEarlierLives(of life: NodeID) {
        guard let leadership else { return }
        func isOver(_ other: NodeID) -> Bool { other.name == life.name && other != life }
        self.leadership?.mustKnow = leadership.mustKnow.filter { !isOver($0.key) }
        self.leadership?.topologySent = leadership.topologySent.filter { !isOver($0.key) }
    }

    /// Tells the node what it has missed, and that it was heard, if it may have a lease for that.
    private mutating func answer(_ heartbeat: Heartbeat, of life: NodeID, at now: MonotonicInstant) {
        guard let leadership, let book = leadership.book else { return }
        if heartbeat.revision < book.revision { tell(life, knowing: heartbeat.revision, at: now) }
        if leadership.outdated > 0 || known.revision > book.revision {
            // Who hears that another router leads tells what it holds at once, which is what is waited for. This
            // answers no heartbeat, and so gives no lease.
            emit(.send(.lead(Lead(term: leadership.term, echo: 0)), to: life.name))
        }
        let mustKnow = max(leadership.baseline, leadership.mustKnow[life] ?? 0)
        guard leadership.outdated == 0, known.revision <= book.revision, heartbeat.revision >= mustKnow,
            !isBeingDeposed(life)
        else { return }
        emit(.send(.lead(Lead(term: leadership.term, echo: heartbeat.sentAt)), to: life.name))
    }

    private func isBeingDeposed(_ life: NodeID) -> Bool {
        leadership?.losers.contains(life) ?? false
    }

    /// Sends every living node what it has missed, as far as is known.
    mutating func push(at now: MonotonicInstant) {
        guard let revision = leadership?.book?.revision else { return }
        for member in membership.members where member.isAlive {
            guard let known = member.heartbeat?.revision, known < revision else { continue }
            tell(member.life, knowing: known, at: now)
        }
    }

    /// Sends a node the assignments that it lacks, less those that are on their way to it. When it has not shown for a
    /// heartbeat's time that it has those, they are taken for lost.
    private mutating func tell(_ life: NodeID, knowing known: UInt64, at now: MonotonicInstant) {
        guard let leadership, let book = leadership.book, book.revision > leadership.outdated else { return }
        var (since, shown, waitingSince) = (known, known, now)
        if let told = leadership.told[life.name], told.life == life, told.revision > known {
            shown = max(known, told.known)
            if known <= told.known { waitingSince = told.waitingSince }
            if now - waitingSince < periods.heartbeat { since = told.revision } else { waitingSince = now }
        }
        guard since < book.revision else { return note(since) }
        let update = book.update(since: since, term: leadership.term)
        emit(.send(.assignments(update), to: life.name))
        note(update.to)

        func note(_ revision: UInt64) {
            self.leadership?.told[life.name] = Told(
                life: life, known: shown, revision: revision, waitingSince: waitingSince)
        }
    }

    mutating func received(_ reports: CopyReports, from life: NodeID) {
        guard membership[life.name]?.node.role == .sr else { return }
        let isFirst = !copies.hasReported(life)
        if leadership?.outdated != 0 { leadership?.reported.insert(life) }
        copies.take(reports, from: life)
        compare(life)
        guard let waiting = leadership?.waiting, !waiting.isEmpty else { return }
        // That it does not hold a domain is worth knowing as well, once.
        leadership?.due.add(isFirst ? waiting : waiting.intersection(reports.reports.map(\.domain)))
    }

    mutating func received(_ change: ReplicaChange, from life: NodeID, at now: MonotonicInstant) {
        guard let assignment = leadership?.book?[change.domain] else { return }
        guard assignment.revision == change.revision, assignment.owner == life else {
            // The owner goes by an assignment that is no more; most likely the news were lost on the way.
            if change.revision < assignment.revision, membership.isAlive(life) {
                let known = min(change.revision, membership[life.name]?.heartbeat?.revision ?? 0)
                tell(life, knowing: known, at: now)
            }
            return
        }
        // In place: thousands of domains may ask at once, and a copy for each would take all the time there is.
        let request = Planner.ReplicaRequest(sender: life, change: change)
        let isNew = leadership?.requests[change.domain].map { !$0.contains(request) && $0.count < Self.requestLimit }
        guard isNew ?? true else { return }
        leadership?.requests[change.domain, default: []].append(request)
        leadership?.due.add(change.domain)
    }

    mutating func refused(_ name: NodeName, at now: Moment) {
        guard membership.refused(name, at: now.monotonic), let member = membership[name] else { return }
        if member.incarnation > 0 { emit(.log(.nodeDown(member.life, why: "its process is gone"))) }
        leadership?.due = .everything
    }

    mutating func judgeSilence(at now: Moment) {
        let before = membership.members
        guard membership.sweep(at: now.monotonic) else { return }
        leadership?.due = .everything
        for (old, new) in zip(before, membership.members) where old.standing != new.standing && new.incarnation > 0 {
            switch new.standing {
            case .up, .unknown: break
            case .suspect: emit(.log(.nodeSilent(new.life)))
            case .down: emit(.log(.nodeDown(new.life, why: "not heard for \(periods.down.milliseconds) ms")))
            }
        }
    }
}
