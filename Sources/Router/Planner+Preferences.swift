import ClusterRuntime
import RegistrarEvents

/// What the topology says of where domains are to be served: by the nodes of their group alone, and by the nodes that
/// they are pinned to before all others.
///
/// An owner that is not of the domain's group gives it away as if it were drained; it keeps it while nobody of the
/// group is there, since a domain is better served by the wrong node than by none. Whoever is not of the group gets
/// nothing that it does not have. A domain that is pinned moves to the first of its nodes that is up, once that has
/// been up for as long as nodes are given to come back (`Periods.restartGrace`): one that comes and goes takes no
/// domains along.
extension Planner {
    static func ranks(_ domains: [ClusterLayout.Domain], _ nodes: [ClusterLayout.Node]) -> [[Int]] {
        let groups = Dictionary(grouping: nodes.indices) { nodes[$0].group }
        let members = groups.mapValues { places in places.map { nodes[$0] } }
        return domains.map { domain in
            guard !domain.isClosing, let places = groups[domain.group], let group = members[domain.group] else {
                return domain.isClosing ? Ranking.ranked(nodes, for: domain.name) : []
            }
            let ranked = Ranking.ranked(group, for: domain.name).map { places[$0] }
            let pinned = domain.pin.compactMap { name in ranked.first { nodes[$0].name == name } }
            return pinned.isEmpty ? ranked : pinned + ranked.filter { !pinned.contains($0) }
        }
    }

    /// All nodes, those that may serve the domain first: whoever has a copy counts where nobody else has one.
    func everybody(_ place: Int) -> [Int] {
        guard ranks[place].count < nodes.count else { return ranks[place] }
        let ranked = Set(ranks[place])
        return ranks[place] + nodes.indices.filter { !ranked.contains($0) }
    }

    func mayServe(_ node: NodeName, at place: Int) -> Bool {
        let domain = layout.domains[place]
        return nodePlaces[node].map { domain.isClosing || nodes[$0].group == domain.group } ?? false
    }

    /// Whether the domain cannot stay with the node, though that lives.
    func mustLeave(_ node: NodeName, at place: Int, _ facts: Facts) -> Bool {
        facts.wishes.isDrained(node) || !mayServe(node, at: place) || hasLostQuorum(node, facts, for: restartGrace)
    }

    /// The most wanted of the nodes that the domain is pinned to, as far as they are up; nil without one.
    func pinned(at place: Int, _ round: Round) -> NodeID? { pins(at: place, round.facts).first.flatMap(round.upLife) }

    /// The places of the nodes that the domain is pinned to, as far as they are up and not drained.
    private func pins(at place: Int, _ facts: Facts) -> [Int] {
        layout.domains[place].pin.compactMap { nodePlaces[$0] }.filter {
            let name = nodes[$0].name
            return facts.membership[name]?.standing == .up && mayServe(name, at: place) && mayTakeOn($0, facts)
        }
    }

    /// Whether the domain is pinned to a node that is up and comes before this one.
    func isOutranked(_ node: NodeName, at place: Int, _ facts: Facts) -> Bool {
        outranking(node, at: place, facts) != nil
    }

    func outranking(_ node: NodeName, at place: Int, _ facts: Facts) -> NodeName? {
        let before = layout.domains[place].pin.prefix { $0 != node }
        return pins(at: place, facts).first.flatMap { before.contains(nodes[$0].name) ? nodes[$0].name : nil }
    }

    /// The node that the domain is pinned to before its owner, once that is there to stay.
    func preferred(to owner: NodeID, at place: Int, _ round: inout Round) -> NodeID? {
        guard isPinned, let name = outranking(owner.name, at: place, round.facts), let node = nodePlaces[name] else {
            return nil
        }
        if let wait = returnTime(of: name, round.facts) {
            round.nextLook = min(round.nextLook ?? wait, wait)
            return nil
        }
        return round.upLife(node)
    }

    /// When a node that is up will have been up for long enough; nil when it has.
    func returnTime(of node: NodeName, _ facts: Facts) -> MonotonicInstant? {
        guard facts.isPatient, let since = facts.membership[node]?.upSince else { return nil }
        let time = since + restartGrace
        return facts.now.monotonic < time ? time : nil
    }
}
