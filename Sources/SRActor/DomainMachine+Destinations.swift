import ClusterRuntime
import RegistrarEvents

/// What a domain's destinations are told, and how far they have come.
///
/// The owner hands them what is committed and never waits for them: their cursors are told to the standbys beside the
/// log, and nothing else depends on them. A standby keeps what they have not taken, so that whoever is promoted goes on
/// from there.
extension DomainMachine {
    private var hasDestinations: Bool { !policy.destinations.isEmpty }

    /// As a standby: what was applied, and the cursors that came with it.
    mutating func keepTail(of append: Append, _ directives: [ReplicaReceiver.Directive]) {
        guard hasDestinations, append.epoch == assignment?.epoch else { return }
        let applied = directives.flatMap { directive in
            if case .store(.entries(_, let entries)) = directive { entries } else { [LogEntry]() }
        }
        tail.take(
            applied, epoch: append.epoch, cursors: append.cursors, maximumEntries: policy.ringEntries,
            maximumBytes: policy.ringBytes)
    }

    /// As the new owner: what is undelivered of the epochs before comes first.
    /// - Parameter former: the ownership before, where it was this node's as well; then that has been published
    ///   already.
    mutating func beginPublishing(after former: Ownership?) -> [Directive] {
        guard hasDestinations, let epoch = owner?.epoch else { return [] }
        let inherited = tail
        tail = LogTail()
        owner?.cursors = policy.destinations.map { name in
            let known = former?.cursors.first { $0.destination == name }?.position ?? inherited.position(of: name)
            return DestinationCursor(destination: name, position: known ?? .start)
        }
        return [.publish(.began(epoch: epoch, inherited))]
    }

    func stopPublishing() -> [Directive] { hasDestinations ? [.publish(.ended)] : [] }

    mutating func take(_ notice: DestinationNotice, at now: Moment) {
        guard let current = owner, !current.isDeposed else { return }
        switch notice {
        case .delivered(let position, let name):
            guard let index = current.cursors.firstIndex(where: { $0.destination == name }),
                position > current.cursors[index].position, position.epoch <= current.epoch
            else { return }
            owner!.cursors[index].position = position
        case .replay(let name):
            guard current.cursors.contains(where: { $0.destination == name }) else { return }
            owner!.replays.removeAll { $0.destination == name }
            owner!.replays.append(DestinationReplay(to: name, at: now.monotonic))
        case .goOn(let name):
            guard let index = current.replays.firstIndex(where: { $0.destination == name }) else { return }
            owner!.replays[index].goOn(at: now.monotonic)
        }
    }

    /// Hands over what has been committed since, and parts of replays, each right behind the last entry that it shows:
    /// what came after that entry is missing at a destination that is told of it before the part.
    mutating func publish(at now: Moment) -> [Directive] {
        guard hasDestinations, let current = owner else { return [] }
        var directives: [Directive] = []
        for index in current.replays.indices {
            guard let since = current.replays[index].wantedSince, speaksAsOwner(since: since, at: now) else { continue }
            owner!.replays[index].prepare(
                of: receiver.replica, epoch: current.epoch, last: current.ring.lastSeq, at: now)
        }
        let due = owner!.replays.enumerated().compactMap { index, replay in
            replay.due.flatMap { $0 <= current.committed ? (after: $0, index: index) : nil }
        }
        for (after, index) in due.sorted(by: { ($0.after, $0.index) < ($1.after, $1.index) }) {
            publish(through: after, into: &directives)
            guard let part = owner!.replays[index].take() else { continue }
            directives.append(.publish(.replay(part, to: current.replays[index].destination)))
        }
        owner!.replays.removeAll(where: \.isOver)
        publish(through: current.committed, into: &directives)
        return directives
    }

    private mutating func publish(through last: UInt64, into directives: inout [Directive]) {
        guard let current = owner, last > current.published else { return }
        // What is not committed never leaves the ring, and this is called at each commit.
        let entries = current.ring.entries(
            from: current.published + 1, through: last, limit: policy.ringEntries, bytes: .max)
        directives.append(.publish(.entries(entries, epoch: current.epoch)))
        owner!.published = last
    }

    /// Whether nobody else owned the domain at that time: the lease says so now, or everyone who might have been
    /// promoted has been heard since. An owner that is cut off must not begin anew at a destination, since that would
    /// shut out its successor.
    private func speaksAsOwner(since: MonotonicInstant, at now: Moment) -> Bool {
        guard let owner, now.monotonic >= leaseUntil || owner.hasAskedToBeReplaced else { return true }
        guard !owner.waitsForNobody else { return policy.acceptsWithoutLease }
        return (owner.assignment.inSync + owner.joining).allSatisfy { node in
            owner.standbyFeed(of: node).map { $0.lastHeard > since } ?? false
        }
    }
}
