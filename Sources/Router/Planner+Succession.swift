import ClusterRuntime
import RegistrarEvents

/// Who comes after an owner that is lost.
extension Planner {
    /// Who owns the domain next, and why its epoch begins; nil as long as it is better to wait.
    func successor(
        for current: Assignment, at place: Int, _ round: inout Round
    ) -> (node: NodeID, cause: ClearReason)? {
        let facts = round.facts
        let inSync = round.byRank(current.inSync.filter(facts.membership.isAlive), ranks[place])
        if let promoted = promotable(inSync.filter { isQuorate($0, round) }, at: place, round) {
            return (promoted, .failover)
        }
        // What these hold is everything, and will be there when their site has its quorum again.
        guard inSync.isEmpty else { return nil }

        let members = (current.owner.map { [$0] } ?? []) + current.inSync
        let back = members.compactMap { facts.membership[$0.name] }.filter {
            $0.isAlive && facts.copies.hasReported($0.life)
        }
        // A member that is back without a copy of this epoch never took it up, or has lost its disk; either way
        // nothing more is to be expected of it, and what another member holds of an earlier epoch is the latest.
        let returned = round.byRank(back.map(\.life), ranks[place])
        if back.count == members.count, let holder = mostAdvanced(of: returned, at: place, round) {
            return isQuorate(holder, round) ? (holder, .restart) : nil
        }
        let awaited = members.filter { !returned.map(\.name).contains($0.name) }
        guard isGraceOver(at: place, awaiting: awaited, &round) else { return nil }
        if let holder = mostAdvanced(of: round.living(everybody(place)), at: place, round) {
            return isQuorate(holder, round) ? (holder, .restart) : nil
        }
        let open = writableFirst(
            round.living(round.open(ranks[place].filter { isQuorate($0, facts: facts) }, nodes)), facts)
        return (open.first { facts.membership.standing(of: $0) == .up } ?? open.first).map { ($0, .failover) }
    }

    /// Any of these in-sync standbys may be promoted. One that can write its journal keeps what it has; one that the
    /// domain is pinned to need not give it away again, nor need one that is not drained and of the right group.
    private func promotable(_ inSync: [NodeID], at place: Int, _ round: Round) -> NodeID? {
        if let pinned = pinned(at: place, round), inSync.contains(pinned) { return pinned }
        let writable = inSync.filter { !hasFailedJournal($0.name, round.facts) }
        let able = writable.isEmpty ? inSync : writable
        let staying = able.filter { !mustLeave($0.name, at: place, round.facts) }
        return furthest(staying.isEmpty ? able : staying, domain: layout.domains[place].name, round)
    }

    /// The furthest one spares the others the most. The first of equals.
    private func furthest(_ lives: [NodeID], domain: DomainName, _ round: Round) -> NodeID? {
        first(of: lives) { round.facts.copies.report(of: domain, by: $0)?.position ?? .start }
    }

    /// The life with the most advanced whole copy. Of equals one that may keep the domain, and then the first.
    func mostAdvanced(of lives: [NodeID], at place: Int, _ round: Round) -> NodeID? {
        let domain = layout.domains[place].name
        let holders = lives.filter { holds($0, domain, round.facts) }
        let able = holders.filter { isQuorate($0, round) && !mustLeave($0.name, at: place, round.facts) }
        let ordered = able.count == holders.count ? holders : able + holders.filter { !able.contains($0) }
        return furthest(writableFirst(ordered, round.facts), domain: domain, round)
    }

    /// Whether a life has a whole copy with anything in it.
    func holds(_ life: NodeID, _ domain: DomainName, _ facts: Facts) -> Bool {
        guard let report = facts.copies.report(of: domain, by: life), report.complete else { return false }
        return report.position > .start
    }

    private func first(of lives: [NodeID], position: (NodeID) -> Position) -> NodeID? {
        var best: (node: NodeID, position: Position)?
        for life in lives {
            let reached = position(life)
            if best.map({ reached > $0.position }) ?? true { best = (life, reached) }
        }
        return best?.node
    }
}
