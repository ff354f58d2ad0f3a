public import ClusterRuntime
public import RegistrarEvents

/// Why a domain is where it is.
extension RouterMachine {
    /// Nil unless this router leads and the layout has the domain.
    public func explanation(of name: DomainName, at now: Moment) -> DomainExplanation? {
        guard let leadership, let book = leadership.book,
            let place = planner.places[name]
        else { return nil }
        let assignment = book[name]
        let owned = book.ownedCounts.reduce(into: [NodeName: Int]()) { $0[$1.key.name, default: 0] += $1.value }
        let candidates = planner.ranks[place].map { rank in
            candidate(planner.nodes[rank], assignment, owns: owned[planner.nodes[rank].name] ?? 0, at: now)
        }
        return DomainExplanation(
            name: name.rawValue, epoch: assignment?.epoch ?? 0, owner: assignment?.owner?.description,
            since: assignment?.since ?? 0, cause: assignment?.cause.name,
            replicas: planner.layout.domains[place].replicas,
            standbys: (assignment?.standbys ?? []).map {
                ClusterStatus.Standby(name: $0.node.name.rawValue, inSync: $0.inSync)
            },
            movingTo: leadership.successors[name]?.name.rawValue, candidates: candidates,
            reasons: reasons(for: assignment, candidates, replicas: planner.layout.domains[place].replicas, leadership),
            changes: ownerChanges(of: name))
    }

    private func candidate(
        _ node: ClusterLayout.Node, _ assignment: Assignment?, owns: Int, at now: Moment
    ) -> DomainExplanation.Candidate {
        let isStandby = assignment?.standbys.contains { $0.node.name == node.name } ?? false
        return DomainExplanation.Candidate(
            name: node.name.rawValue, site: node.site, server: node.server, order: node.order, weight: node.weight,
            status: membership[node.name].map { describe($0, at: now).status } ?? .down, owns: owns,
            part: assignment?.owner?.name == node.name ? .owner : isStandby ? .standby : .none)
    }

    private func reasons(
        for assignment: Assignment?, _ candidates: [DomainExplanation.Candidate], replicas: Int,
        _ leadership: Leadership
    ) -> [String] {
        if closing.contains(where: { $0.name == assignment?.domain }) {
            return ["the topology has it no more: its registrations are being ended, and then nobody serves it"]
        }
        guard let assignment, !assignment.isRetired else {
            return ["it has not been served yet: the router waits for sr nodes to come up"]
        }
        guard let owner = assignment.owner, !leadership.lostSince.keys.contains(assignment.domain) else {
            return [
                "its owner is lost and no standby in sync lives: the router waits for a node that held everything, "
                    + "for \(periods.restartGrace.milliseconds) ms at least, before it takes the best copy there is"
            ]
        }
        var reasons = ["\(owner.name) owns it because \(Self.text(assignment.cause))"]
        if let first = candidates.first(where: { $0.status == .up }), first.part != .owner {
            reasons.append(
                "\(first.name) comes first in rank, but an owner stays where it is until it is lost or moved")
        }
        if let successor = leadership.successors[assignment.domain] {
            let wish = leadership.wishes.isDrained(owner.name) ? "\(owner.name) is drained" : "an operator asked for it"
            let state = assignment.inSync.contains(successor) ? "has everything and takes over" : "is being filled"
            reasons.append(
                "it moves to \(successor.name), because \(wish); \(successor.name) \(state)")
        }
        if assignment.inSync.count < replicas - 1 {
            reasons.append("it has \(assignment.inSync.count) of \(replicas - 1) standbys in sync")
        }
        return reasons
    }

    private static func text(_ cause: ClearReason) -> String {
        switch cause {
        case .failover: "the owner before was lost"
        case .restart: "the domain was started, or restored from a copy on disk"
        case .moved: "it was moved there as planned"
        case .storageCleared: "its list was emptied on request, which begins an epoch"
        case .snapshot, .resync: preconditionFailure("no epoch begins with \(cause.name)")
        }
    }
}
