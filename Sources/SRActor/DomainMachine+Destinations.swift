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

    mutating func take(_ notice: DestinationNotice) {
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
            owner!.replays.append(DestinationReplay(to: name))
        case .goOn(let name):
            guard let index = current.replays.firstIndex(where: { $0.destination == name }) else { return }
            owner!.replays[index].goOn()
        }
    }

    /// Hands over what has been committed since, then parts of replays that it makes whole.
    mutating func publish(at now: Moment) -> [Directive] {
        guard hasDestinations, let current = owner else { return [] }
        var directives: [Directive] = []
        if current.committed > current.published {
            // What is not committed never leaves the ring, and this is called at each commit.
            let entries = current.ring.entries(
                from: current.published + 1, through: current.committed, limit: policy.ringEntries, bytes: .max)
            directives.append(.publish(.entries(entries, epoch: current.epoch)))
            owner!.published = current.committed
        }
        for index in current.replays.indices {
            let part = owner!.replays[index].next(
                of: receiver.replica, epoch: current.epoch, committed: owner!.published, last: current.ring.lastSeq,
                at: now)
            guard let part else { continue }
            directives.append(.publish(.replay(part, to: current.replays[index].destination)))
        }
        let over = directives.compactMap { directive in
            if case .publish(.replay(let part, let name)) = directive, part.isLast { name } else { nil }
        }
        if !over.isEmpty { owner!.replays.removeAll { over.contains($0.destination) } }
        return directives
    }
}
