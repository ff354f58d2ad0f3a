import ClusterRuntime
import Router

/// What the coordinator keeps for those that watch the leader's record.
struct WatchedRecord {
    struct Change {
        let revision: Int64
        let isVacant: Bool
    }

    /// Of the coordinator: counts whatever is changed there.
    var revision: Int64 = 1
    var isVacant = true
    /// The term that the record was written in last.
    var term: UInt64 = 0
    /// At which revision it was changed last.
    var changed: Int64 = 0
    /// Its changes that were not compacted away.
    var log: [Change] = []
    /// Up to here changes are forgotten.
    var compacted: Int64 = 0
    /// Whether no watch can be had.
    var isAway = false
}

/// A router's watch: the production machine, and what its shell keeps beside it.
struct WatchTwin {
    var machine = VacancyWatch()
    /// Counts what was asked: what comes of anything earlier does not count any more.
    var ticket: UInt64 = 0
    var isOpen = false
    /// Changes on their way to it, and when the last of them arrives.
    var underWay = 0
    var lastArrival = MonotonicInstant.distantPast
    /// Up to which revision it has told the router of a vacancy.
    var told: Int64 = 0
}

/// Routers that watch the coordinator for a vacant leadership, as they watch etcd: what they are told comes late,
/// watches break, and what the coordinator compacts meanwhile they are not told at all and have to read.
extension World {
    private static let promise = "a vacancy is told"
    private static let longPause = Duration.milliseconds(500)
    private static let shortPause = Duration.milliseconds(100)

    // MARK: The router's side

    mutating func watch(_ event: VacancyWatch.Event, ticket: UInt64, of life: NodeID) {
        guard let node = nodes[life.name], node.life == life, node.watch?.ticket == ticket,
            let directives = node.watch?.machine.handle(event)
        else { return }
        if case .changed = event { node.watch?.underWay -= 1 }
        if event == .refused { trace.note(now, "\(life.name)'s watch is refused: what it asks for is compacted") }
        for directive in directives {
            switch directive {
            case .look, .follow:
                let ticket = renew(node)
                queue.add(.watch(directive, ticket: ticket, life: life), at: now + watchDelay())
            case .pause(let isLong):
                let step = Step.watch(.begin, ticket: renew(node), life: life)
                queue.add(.step(life.name, step), at: now + (isLong ? Self.longPause : Self.shortPause))
            case .vacant:
                let revision = node.watch?.machine.revision ?? 0
                node.watch?.told = revision
                trace.note(now, "\(life.name)'s watch tells that nobody leads")
                route(.vacant, at: life.name)
            }
        }
    }

    private func renew(_ node: SimulatedNode) -> UInt64 {
        node.watch?.ticket += 1
        node.watch?.isOpen = false
        node.watch?.underWay = 0
        return node.watch?.ticket ?? 0
    }

    private mutating func watchDelay() -> Duration {
        watchChance.duration(1...(isLossy ? options.watchDelay : min(options.watchDelay, 10)))
    }

    // MARK: The coordinator's side

    /// A question arrives.
    mutating func ask(_ question: VacancyWatch.Directive, ticket: UInt64, of life: NodeID) {
        guard let node = nodes[life.name], node.life == life, node.watch?.ticket == ticket else { return }
        noteLeader()
        guard !isMute(life.name), !isDeaf(life.name), !leaderRecord.isAway else {
            return answer(.failed, to: node, ticket)
        }
        switch question {
        case .look: answer(.looked(revision: leaderRecord.revision, isVacant: leaderRecord.isVacant), to: node, ticket)
        case .follow(let revision):
            guard revision >= leaderRecord.compacted || has(.goesOnAfterCompaction) else {
                return answer(.refused, to: node, ticket)
            }
            node.watch?.isOpen = true
            for change in leaderRecord.log where change.revision > revision { tell(change, to: node) }
        case .vacant, .pause: break
        }
    }

    private mutating func answer(_ event: VacancyWatch.Event, to node: SimulatedNode, _ ticket: UInt64) {
        let step = Step.watch(event, ticket: ticket, life: node.life)
        queue.add(.step(node.name, step), at: now + watchDelay())
    }

    private mutating func tell(_ change: WatchedRecord.Change, to node: SimulatedNode) {
        guard let twin = node.watch else { return }
        let arrival = max(now + watchDelay(), twin.lastArrival)
        node.watch?.lastArrival = arrival
        node.watch?.underWay += 1
        let event = VacancyWatch.Event.changed(revision: change.revision, isVacant: change.isVacant)
        queue.add(.step(node.name, .watch(event, ticket: twin.ticket, life: node.life)), at: arrival)
    }

    /// Sees whether the leader's record has changed: to be called before and after whatever changes it. Like etcd, it
    /// forgets nobody's lease while it is away.
    mutating func noteLeader() {
        guard options.hasWatches, !isCoordinatorAway else { return }
        let leader = coordinator.leadership
        let isVacant = leader.holder == nil || now >= leader.until
        guard isVacant ? !leaderRecord.isVacant : leader.term != leaderRecord.term else { return }
        leaderRecord.revision += 1
        (leaderRecord.isVacant, leaderRecord.changed) = (isVacant, leaderRecord.revision)
        if !isVacant { leaderRecord.term = leader.term }
        let change = WatchedRecord.Change(revision: leaderRecord.revision, isVacant: isVacant)
        leaderRecord.log.append(change)
        for name in routers where nodes[name]!.watch?.isOpen == true { tell(change, to: nodes[name]!) }
    }

    /// Whether what a router reads is compacted before it has read everything.
    mutating func isReadLost() -> Bool { options.hasWatches && isLossy && watchChance.chance(0.2) }

    static let compactedAmidReading = Result<StoredAssignments, CoordinatorError>.failure(
        .unavailable("what is being read was compacted"))

    /// Everything up to now is forgotten.
    mutating func compact() {
        guard options.hasWatches, !isCoordinatorAway else { return }
        noteLeader()
        leaderRecord.compacted = leaderRecord.revision
        leaderRecord.log = []
        trace.note(now, "the coordinator compacts")
    }

    /// No watch goes on; whether they were told everything nobody knows.
    mutating func breakWatches() {
        for name in routers { breakWatch(of: name) }
    }

    mutating func breakWatch(of name: NodeName) {
        guard let node = nodes[name], let twin = node.watch, twin.isOpen else { return }
        answer(.failed, to: node, renew(node))
    }

    // MARK: Checks and plans

    /// Whoever has been told everything knows whether somebody leads, and has told the router when nobody does.
    mutating func checkWatch(of name: NodeName) {
        noteLeader()
        guard let twin = nodes[name]!.watch, twin.isOpen, twin.underWay == 0, !isCoordinatorAway else { return }
        if twin.machine.revision < leaderRecord.changed {
            history.violate(
                Self.promise,
                "\(name), told everything, knows revision \(twin.machine.revision) of \(leaderRecord.changed)")
        } else if twin.machine.isVacant != leaderRecord.isVacant {
            let (seen, truth) = twin.machine.isVacant ? ("nobody", "somebody") : ("somebody", "nobody")
            history.violate(
                Self.promise, "\(name), told everything, holds that \(seen) leads, when \(truth) does")
        } else if leaderRecord.isVacant, twin.told < leaderRecord.changed {
            history.violate(Self.promise, "\(name) was not told of the vacancy at revision \(leaderRecord.changed)")
        }
    }

    /// Plans over the faulty time when the coordinator compacts and when watches break. Drawn from a generator of its
    /// own, so that histories without it are as they were before there was any.
    mutating func planWatches(until end: MonotonicInstant, seed: UInt64) {
        guard options.hasWatches else { return }
        var random = SplitMix64(seed: seed ^ 0x636f_6d70_6163_7421)
        var time = now + .seconds(2)
        while time < end {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4: queue.add(.act(.compact), at: time)
            case 4..<7: queue.add(.act(.fault(.watchOutage, for: random.duration(50...2_000))), at: time)
            default:
                // A leader that goes while nobody watches, and is forgotten before anybody does again.
                let router = routers[Int.random(in: 0..<routers.count, using: &random)]
                let crash = Fault.crash([router], withDisk: true, torn: 0)
                queue.add(.act(.fault(.watchOutage, for: .milliseconds(3_000))), at: time)
                queue.add(.act(.fault(crash, for: random.duration(100...3_000))), at: time + .milliseconds(50))
                queue.add(.act(.compact), at: time + random.duration(2_000...2_900))
            }
            time += random.duration(200...1_500)
        }
    }
}
