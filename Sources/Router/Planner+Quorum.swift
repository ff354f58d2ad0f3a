import ClusterRuntime
import RegistrarEvents

/// Sites that serve only with more than half of their servers.
///
/// Without a quorum, nobody of the site is given a domain: no new one, no planned move, and no promotion, were it the
/// only one that holds everything; the domain waits for the quorum then. Who owns one when the quorum is lost serves
/// on: it is alone in its epoch, quorum or not. Once the quorum has been away for `Periods.restartGrace`, what the site
/// owns moves to other sites by hand-over, as from drained nodes, so that nothing acknowledged is lost; where nobody
/// elsewhere may take it, it stays.
extension Planner {
    /// Whether a node may be given a domain, as far as its site, its journal and operators say.
    func mayTakeOn(_ node: Int, _ facts: Facts) -> Bool {
        isQuorate(node, facts: facts) && !hasFailedJournal(nodes[node].name, facts)
            && !facts.wishes.isDrained(nodes[node].name)
    }

    func isQuorate(_ node: Int, facts: Facts) -> Bool { facts.quorums[nodes[node].site]?.isHeld ?? true }

    func isQuorate(_ node: NodeID, _ round: Round) -> Bool {
        nodePlaces[node.name].map { isQuorate($0, facts: round.facts) } ?? true
    }

    /// Whether the node's site has been without its quorum for so long.
    func hasLostQuorum(_ node: NodeName, _ facts: Facts, for time: Duration) -> Bool {
        guard !facts.quorums.isEmpty, let place = nodePlaces[node],
            case .lost(let since) = facts.quorums[nodes[place].site]?.standing
        else { return false }
        return facts.now.monotonic - since >= time
    }

    /// When a site will have been without its quorum for long enough to lose its domains.
    func quorumWait(_ facts: Facts) -> MonotonicInstant? {
        facts.quorums.values.compactMap { quorum in
            guard case .lost(let since) = quorum.standing, facts.now.monotonic < since + restartGrace else {
                return nil
            }
            return since + restartGrace
        }.min()
    }
}
