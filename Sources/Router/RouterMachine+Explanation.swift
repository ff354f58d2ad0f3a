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
        let domain = planner.layout.domains[place]
        // Others count as long as they hold it.
        let shown = planner.everybody(place).filter { rank in
            let name = planner.nodes[rank].name
            return planner.mayServe(name, at: place) || assignment?.owner?.name == name
                || assignment?.standbys.contains { $0.node.name == name } == true
        }
        let candidates = shown.map { rank in
            candidate(planner.nodes[rank], assignment, owns: owned[planner.nodes[rank].name] ?? 0, at: now)
        }
        return DomainExplanation(
            name: name.rawValue, epoch: assignment?.epoch ?? 0, owner: assignment?.owner?.description,
            since: assignment?.since ?? 0, cause: assignment?.cause.name,
            replicas: domain.replicas, group: domain.group, pin: domain.pin.isEmpty ? nil : domain.pin.map(\.rawValue),
            standbys: (assignment?.standbys ?? []).map {
                ClusterStatus.Standby(name: $0.node.name.rawValue, inSync: $0.inSync)
            },
            movingTo: leadership.successors[name]?.name.rawValue, candidates: candidates,
            reasons: reasons(for: assignment, candidates, at: place, leadership, facts(leadership, book, at: now)),
            changes: ownerChanges(of: name))
    }

    private func candidate(
        _ node: ClusterLayout.Node, _ assignment: Assignment?, owns: Int, at now: Moment
    ) -> DomainExplanation.Candidate {
        let isStandby = assignment?.standbys.contains { $0.node.name == node.name } ?? false
        return DomainExplanation.Candidate(
            name: node.name.rawValue, site: node.site, server: node.server, order: node.order, weight: node.weight,
            status: membership[node.name].map { describe($0, at: now).status } ?? .down, owns: owns,
            part: assignment?.owner?.name == node.name ? .owner : isStandby ? .standby : .none,
            journalWritable: membership[node.name]?.journalFailedSince == nil ? nil : false)
    }

    private func reasons(
        for assignment: Assignment?, _ candidates: [DomainExplanation.Candidate], at place: Int,
        _ leadership: Leadership, _ facts: Planner.Facts
    ) -> [String] {
        if closing.contains(where: { $0.name == assignment?.domain }) {
            return ["the topology has it no more: its registrations are being ended, and then nobody serves it"]
        }
        let domain = planner.layout.domains[place]
        guard let assignment, !assignment.isRetired else {
            let who = domain.group.map { "sr nodes of group \($0)" } ?? "sr nodes"
            return [
                "it has not been served yet: the router waits for \(who) to come up, and until every sr node has said "
                    + "what it holds, for \(periods.restartGrace.milliseconds) ms after the first at most"
            ]
        }
        guard let owner = assignment.owner, !leadership.lostSince.keys.contains(assignment.domain) else {
            if let waits = quorumReason(for: assignment, facts) { return [waits] }
            if let group = domain.group, !candidates.contains(where: { $0.status != .down }) {
                return ["its owner is lost, and no sr node of group \(group) is up; nobody else serves it"]
            }
            return [
                "its owner is lost and no standby in sync lives: the router waits for a node that held everything, "
                    + "for \(periods.restartGrace.milliseconds) ms at least from when somebody is there who may serve "
                    + "it, before it takes the best copy there is"
            ]
        }
        var reasons = ["\(owner.name) owns it because \(Self.text(assignment.cause))"]
        reasons += placementReasons(owner.name, at: place, leadership, facts)
        if domain.pin.isEmpty, let first = candidates.first(where: { $0.status == .up }), first.part != .owner {
            reasons.append(
                "\(first.name) comes first in rank, but an owner stays where it is until it is lost, moved, or another "
                    + "node lacks its share")
        }
        if let successor = leadership.successors[assignment.domain] {
            let wish = wish(behind: successor.name, from: owner.name, at: place, leadership, facts)
            let state = assignment.inSync.contains(successor) ? "has everything and takes over" : "is being filled"
            reasons.append(
                "it moves to \(successor.name), because \(wish); \(successor.name) \(state)")
        }
        if assignment.inSync.count < domain.replicas - 1 {
            reasons.append("it has \(assignment.inSync.count) of \(domain.replicas - 1) standbys in sync")
        }
        reasons += journalReasons(owner.name, assignment, at: place, leadership, facts)
        reasons += fillReasons(assignment, leadership, at: facts.now.monotonic)
        if domain.needsOtherSite { reasons += spreadReasons(owner.name, assignment, at: place, facts) }
        return reasons
    }

    private func wish(
        behind successor: NodeName, from owner: NodeName, at place: Int, _ leadership: Leadership,
        _ facts: Planner.Facts
    ) -> String {
        let domain = planner.layout.domains[place]
        if leadership.wishes.moves[domain.name] == successor { return "an operator asked for it" }
        if leadership.wishes.isDrained(owner) { return "\(owner) is drained" }
        if !planner.mayServe(owner, at: place) { return Self.servers(of: domain) }
        if let site = siteWithoutQuorum(of: owner, facts), domain.pin.first != successor { return site }
        return domain.pin.contains(successor)
            ? "it is pinned to \(successor)" : "\(successor) owns less than its share"
    }

    private static let turn = "it moves when its turn comes, a few domains at a time"

    /// Whether some node might take the domain now.
    private func isAnybodyOpen(at place: Int, _ facts: Planner.Facts) -> Bool {
        planner.ranks[place].contains {
            planner.mayTakeOn($0, facts) && facts.membership[planner.nodes[$0].name]?.standing == .up
        }
    }

    /// What the topology says of where it is to be, as far as it is not there.
    private func placementReasons(
        _ owner: NodeName, at place: Int, _ leadership: Leadership, _ facts: Planner.Facts
    ) -> [String] {
        let domain = planner.layout.domains[place]
        var reasons: [String] = []
        if let group = domain.group { reasons.append("group \(group) serves it") }
        if !planner.mayServe(owner, at: place), leadership.successors[domain.name] == nil {
            reasons.append(
                "\(owner) keeps it although \(Self.servers(of: domain)): "
                    + (isAnybodyOpen(at: place, facts) ? Self.turn : "none of those nodes is up and not drained"))
        }
        if let site = siteWithoutQuorum(of: owner, facts), leadership.successors[domain.name] == nil {
            let isWaiting = !planner.hasLostQuorum(owner, facts, for: periods.restartGrace)
            reasons.append(
                site
                    + (isWaiting
                        ? ": if that lasts for \(periods.restartGrace.milliseconds) ms, it moves to another site"
                        : isAnybodyOpen(at: place, facts)
                            ? ": \(Self.turn)"
                            : ": \(owner) keeps it, since no node of another site that may serve it can take it"))
        }
        guard !domain.pin.isEmpty else { return reasons }
        reasons.append("it is pinned to \(domain.pin.map(\.rawValue).joined(separator: ", "))")
        for name in domain.pin.prefix(while: { $0 != owner }) {
            if leadership.wishes.isDrained(name) {
                reasons.append("\(name) is drained, and gets it back when that is taken back")
            } else if facts.membership[name]?.standing != .up {
                reasons.append("\(name) is not up, and gets it back when it is")
            } else if let site = siteWithoutQuorum(of: name, facts) {
                reasons.append("\(name) gets it back when it has its quorum: \(site)")
            } else if let time = planner.returnTime(of: name, facts) {
                let rest = (time - facts.now.monotonic).milliseconds
                reasons.append("\(name) gets it back when it has been up for another \(rest) ms")
            }
        }
        return reasons
    }

    /// Of a domain that has to have a standby at another site.
    private func spreadReasons(
        _ owner: NodeName, _ assignment: Assignment, at place: Int, _ facts: Planner.Facts
    ) -> [String] {
        func site(_ name: NodeName) -> String? { planner.nodePlaces[name].map { planner.nodes[$0].site } }
        let away = assignment.standbys.filter { site($0.node.name) != site(owner) }
        if away.contains(where: \.inSync) { return [] }
        if let filling = away.first {
            return ["no standby in sync is at another site yet: \(filling.node.name) is being filled"]
        }
        let others = planner.ranks[place].map { planner.nodes[$0] }.filter { $0.site != site(owner) }
        let names = others.map { "\($0.name) (\(describeShortly($0.name, facts)))" }.joined(separator: ", ")
        return ["no standby is at another site than \(owner), though it has spread site: of those that may, \(names)"]
    }

    /// Nil unless the node's site asks for a quorum and does not have it.
    func siteWithoutQuorum(of node: NodeName, _ facts: Planner.Facts) -> String? {
        guard let place = planner.nodePlaces[node] else { return nil }
        let site = planner.nodes[place].site
        guard let quorum = facts.quorums[site], !quorum.isHeld else { return nil }
        return "site \(site) has \(quorum.text)"
    }

    /// Why nobody owns it although somebody could.
    private func quorumReason(for assignment: Assignment, _ facts: Planner.Facts) -> String? {
        for standby in assignment.inSync where facts.membership.isAlive(standby) {
            guard let site = siteWithoutQuorum(of: standby.name, facts) else { continue }
            return
                "its owner is lost; \(standby.name) has everything and takes over when its site has a quorum: \(site)"
        }
        return nil
    }

    private func describeShortly(_ name: NodeName, _ facts: Planner.Facts) -> String {
        if facts.wishes.isDrained(name) { return "drained" }
        switch facts.membership[name]?.standing {
        case .up: return "up"
        case .suspect: return "suspect"
        case .down, .unknown, nil: return "down"
        }
    }

    private static func text(_ cause: ClearReason) -> String {
        switch cause {
        case .failover: "the owner before was lost"
        case .restart: "the domain was started, or restored from a copy on disk"
        case .moved: "it was moved there as planned"
        case .storageCleared: "its list was emptied on request, which begins an epoch"
        // No epoch begins like that, but whoever wrote it at the coordinator may have thought so.
        case .snapshot, .resync: "its list was restated"
        }
    }
}
