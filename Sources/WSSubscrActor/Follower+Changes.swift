import ClusterRuntime
import RegistrarEvents

/// What subscribers that want net changes are told where the log does not say what changed: when the list is replaced
/// by a snapshot, and of what was not restated after a `clear`.
extension Follower {
    /// A list that is being replaced, and where it was.
    struct Held: Sendable {
        let table: ContactTable
        let position: Position
    }

    /// Hands an event to the receiver. When that begins to replace a whole list, the list is held for the comparison.
    mutating func receive(
        _ event: ReplicaReceiver.Event, at now: Moment, _ directives: inout [Directive]
    ) -> [ReplicaReceiver.Directive] {
        guard case .chunk(let chunk, _) = event, chunk.index == 0, isServing, held == nil else {
            return receiver.handle(event, at: now)
        }
        // So that they know the list that is held, and nothing of it is dropped with the recent events.
        directives += push(at: now)
        let (before, position) = (receiver.replica.table, recent.last)
        let outcome = receiver.handle(event, at: now)
        let isReplaced = outcome.contains { directive in
            if case .resynced = directive { return true }
            return false
        }
        if isReplaced || !receiver.replica.isComplete {
            if audience.changesCount > 0 {
                held = Held(table: before, position: position)
            } else {
                recent.loseChanges()
            }
        }
        return outcome
    }

    /// Everything live has been restated after a `clear`, but for these.
    mutating func tell(_ void: [PackedContact], at now: Moment) -> [Directive] {
        tell(void.map { ended($0, told: recent.last, at: now) }, at: now)
    }

    /// Tells differences or, when there are too many, everything.
    mutating func tell(_ differences: [Difference], at now: Moment) -> [Directive] {
        guard !recent.append(differences: differences) else { return [] }
        let ids = subscriptions.keys.filter { id in
            subscriptions[id].map { $0.isLive && $0.matcher.changes } ?? false
        }
        return ids.sorted().flatMap { id -> [Directive] in
            guard let subscription = subscriptions[id] else { return [] }
            audience.remove(id, subscription.matcher)
            return resynchronise(id, subscription, at: now)
        }
    }

    /// How the list differs from the one that was held, which is let go. The differences are told with the position of
    /// that one: whoever is cut off amid them goes on from there, at whatever node.
    /// - Returns: nil when none was.
    mutating func takeDifferences(at now: Moment) -> [Difference]? {
        guard let held else { return nil }
        self.held = nil
        let table = receiver.replica.table
        var differences: [Difference] = []
        for slot in 0..<held.table.slotCount {
            guard let contact = held.table.contact(inSlot: slot)?.contact, !table.contains(key: contact.keyBytes)
            else { continue }
            differences.append(ended(contact, told: held.position, at: now))
        }
        receiver.replica.forEachLive(at: now) { contact, ttl in
            let replaced = held.table.contact(key: contact.keyBytes)
            if let replaced, contact.restates(replaced) { return }
            let change = LogEntry.Change.registered(contact, ttl: max(ttl, 1), replay: false)
            differences.append(difference(change, replaced, told: held.position, at: now))
        }
        return differences
    }

    private func ended(_ contact: PackedContact, told position: Position, at now: Moment) -> Difference {
        difference(.unregistered(contact, Difference.reason), nil, told: position, at: now)
    }

    private func difference(
        _ change: LogEntry.Change, _ replaced: PackedContact?, told position: Position, at now: Moment
    ) -> Difference {
        Difference(
            epoch: position.epoch, entry: LogEntry(seq: position.seq, timestamp: now.wall, change: change),
            replaced: replaced)
    }
}
