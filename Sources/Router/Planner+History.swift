import ClusterRuntime
import RegistrarEvents

/// Assignments that are not what nodes go by, because the coordinator lost what was stored after them.
///
/// It shows in a copy of a later epoch, or in a holder that goes by a later revision. Of such an assignment neither the
/// owner nor the standbys in sync can be relied on:
/// 1. While the router is new, the node that serves the domain in the latest epoch is its owner: it has every
///    acknowledged write.
/// 2. Otherwise an owner that lives goes on in a new epoch, above all that anybody holds: what it acknowledged since
///    must not make way for what was there before.
/// 3. Otherwise the domain is as good as without assignment: when everybody has been heard, the most advanced whole
///    copy counts.
extension Planner {
    /// A life that says it owns a domain.
    struct Claim {
        let life: NodeID
        let epoch: UInt64
        let revision: UInt64
    }

    /// Whether the assignment has to be stored anew, since nodes know higher revisions than the coordinator did.
    func isOutdated(_ assignment: Assignment?, _ facts: Facts) -> Bool {
        assignment.map { $0.revision <= facts.outdated } ?? false
    }

    /// Whether nodes show that it is not what they go by.
    func isContradicted(_ assignment: Assignment, _ facts: Facts) -> Bool {
        if facts.contradicted.contains(assignment.domain) { return true }
        guard isOutdated(assignment, facts), let owner = assignment.owner, facts.membership.isAlive(owner),
            facts.copies.hasReported(owner)
        else { return false }
        // It has been told of a later owner, or was never told that it is one.
        return facts.copies.report(of: assignment.domain, by: owner).map { !$0.isOwner } ?? true
    }

    /// The next assignment in place of one that is contradicted; nil when its owner must be waited for.
    func correct(_ current: Assignment, isLost: Bool, at place: Int, _ round: inout Round) -> Assignment? {
        // Whoever serves it may not have said so yet. A router that is not new has waited for that.
        guard round.facts.hasHeardEveryone else { return nil }
        if !isLost, !isOutdone(current, round) {
            var next = current
            next.cause = .restart
            for index in next.standbys.indices { next.standbys[index].inSync = false }
            beginEpoch(of: &next, round)
            return next
        }
        return settle(place, &round, after: current)
    }

    /// Whether another node than the owner serves the domain by right.
    private func isOutdone(_ current: Assignment, _ round: Round) -> Bool {
        guard round.facts.heedsClaims, let claim = claim(to: current.domain, round) else { return false }
        return claim.life != current.owner
            && (claim.epoch, claim.revision) > (current.epoch, current.revision)
    }

    /// The latest of those living that say they own the domain.
    func claim(to domain: DomainName, _ round: Round) -> Claim? {
        var latest: Claim?
        for case let life? in round.lives {
            guard let report = round.facts.copies.report(of: domain, by: life), report.isOwner else { continue }
            let claim = Claim(life: life, epoch: report.position.epoch, revision: report.revision)
            if latest.map({ ($0.epoch, $0.revision) < (claim.epoch, claim.revision) }) ?? true { latest = claim }
        }
        return latest
    }
}
