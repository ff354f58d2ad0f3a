import ClusterRuntime
import RegistrarEvents

/// What subscribers that want net changes are told where the log does not say what changed.
extension Follower {
    /// Hands an event to the receiver, and notices when that begins to replace a whole list.
    mutating func receive(_ event: ReplicaReceiver.Event, at now: Moment) -> [ReplicaReceiver.Directive] {
        let wasServing = isServing
        let directives = receiver.handle(event, at: now)
        if wasServing, !receiver.replica.isComplete { isReplacing = true }
        return directives
    }

    /// Everything live has been restated after a `clear`, but for these: they are over.
    mutating func tell(void: [PackedContact], at now: Moment) -> [Directive] {
        let differences = void.map { contact in
            LogEntry(
                seq: recent.last.seq, timestamp: now.wall, change: .unregistered(contact, RecentEvents.voidReason))
        }
        return recent.append(differences: differences) ? [] : restartChanges(at: now)
    }

    /// What changed cannot be listed: everyone who wants net changes begins anew.
    mutating func restartChanges(at now: Moment) -> [Directive] {
        recent.loseChanges()
        // It has what is over now.
        shared = nil
        let ids = subscriptions.keys.filter { id in
            subscriptions[id].map { $0.matcher.changes && !$0.isWaiting } ?? false
        }
        return ids.sorted().flatMap { id -> [Directive] in
            guard let subscription = subscriptions[id] else { return [] }
            if subscription.isLive { audience.remove(id, subscription.matcher) }
            return resynchronise(id, subscription, at: now)
        }
    }
}
