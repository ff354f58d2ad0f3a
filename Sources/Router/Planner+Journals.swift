import ClusterRuntime
import RegistrarEvents

/// Nodes that cannot write their journals, most often because the disk is full.
///
/// What such a node holds ends with its process. While another node holds it too, nothing is wrong with that: the owner
/// acknowledges what its standbys have. So it keeps what it owns, and nobody moves a domain there: a planned move waits
/// until there is another node for it, or room on the disk. Of several standbys in sync one that can write is promoted;
/// of equally advanced copies one that can is taken. A new domain and a new copy go there only where nobody else is
/// left. A copy that is there already is replaced when that has lasted for `Periods.restartGrace`. The last copy in
/// sync that is in a journal is not dropped, be its node drained, while the others are in memory alone.
///
/// Routers know it from heartbeats, and so up to a heartbeat late.
extension Planner {
    func hasFailedJournal(_ node: NodeName, _ facts: Facts, for time: Duration = .zero) -> Bool {
        guard let since = facts.failedJournals[node] else { return false }
        return facts.now.monotonic - since >= time
    }

    /// Those that can write first, each kind in the order given.
    func writableFirst(_ lives: [NodeID], _ facts: Facts) -> [NodeID] {
        guard !facts.failedJournals.isEmpty else { return lives }
        return lives.filter { !hasFailedJournal($0.name, facts) } + lives.filter { hasFailedJournal($0.name, facts) }
    }

    /// Whether a standby would be chosen last for the sake of its journal.
    func isLastChoice(_ standby: NodeID, isPresent: Bool, _ facts: Facts) -> Bool {
        hasFailedJournal(standby.name, facts, for: isPresent ? restartGrace : .zero)
    }

    /// Of the standbys that are not wanted any more those that have to stay, since what they hold is in no other
    /// journal.
    func indispensable(_ next: Assignment, desired: [NodeID], _ facts: Facts) -> [NodeID] {
        let staying = (next.owner.map { [$0] } ?? []) + next.inSync.filter(desired.contains)
        guard staying.allSatisfy({ hasFailedJournal($0.name, facts) }) else { return [] }
        return next.inSync.filter {
            !desired.contains($0) && facts.membership.isAlive($0) && !hasFailedJournal($0.name, facts)
        }
    }

    /// When a journal will have failed for long enough that copies are made elsewhere.
    func journalWait(_ facts: Facts) -> MonotonicInstant? {
        facts.failedJournals.values.map { $0 + restartGrace }.filter { facts.now.monotonic < $0 }.min()
    }
}
