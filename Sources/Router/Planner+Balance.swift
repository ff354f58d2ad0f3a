import ClusterRuntime
import RegistrarEvents

/// Moving owners to nodes that have been there for long and own much less than their share: such as joined lately, or
/// came back after what they owned had gone to others.
///
/// As little as possible moves: nothing while every node has nine tenths of its share, and then only from nodes that
/// have more than theirs, so that no move is ever undone by another. What goes first is what needs no filling. Shares
/// are those of a group's domains among its nodes, and an order of nodes is heeded: only those of the lowest one that
/// is there have shares; the others stand in for them, and give everything back. A domain that is pinned stays out of
/// it.
///
/// A node that comes and goes, or is cut off now and then, is given nothing: it has to have been heard for
/// `Periods.rebalanceAfter` without ever being down.
extension Planner {
    /// Whether a plan would begin to move owners for the sake of balance.
    func isLopsided(_ facts: Facts) -> Bool {
        guard facts.isSettled else { return false }
        let round = Round(facts, nodes)
        guard scales(round) != nil else { return false }
        let planned = layout.domains.indices.compactMap { place in
            facts.book[layout.domains[place].name].map { Planned(place: place, current: $0, next: $0) }
        }
        return !balancing(planned, round).isEmpty
    }

    /// What nodes have too much of, and too little, by their places.
    private struct Scales {
        var givesAnything = false
        /// Owned beyond the share; of those that stand in for others, everything.
        var surplus: [Int: Int] = [:]
        var standIns: Set<Int> = []
        /// What is missing up to nine tenths of the share.
        var deficit: [Int: Int] = [:]
        /// What is missing up to the whole share. Only those that stand in give so much.
        var room: [Int: Int] = [:]

        func allows(from giver: Int, to taker: Int) -> Bool {
            let wanted = standIns.contains(giver) ? room[taker] : deficit[taker]
            return surplus[giver, default: 0] > 0 && (wanted ?? 0) > 0
        }

        mutating func move(from giver: Int, to taker: Int) {
            surplus[giver, default: 0] -= 1
            deficit[taker, default: 0] -= 1
            room[taker, default: 0] -= 1
        }
    }

    /// Nil when nothing has to move.
    private func scales(_ round: Round) -> Scales? {
        guard layout.pace.movingDomains > 0 else { return nil }
        let there = nodes.indices.filter { round.lives[$0] != nil && mayTakeOn($0, round.facts) }
        var scales = Scales()
        for (group, members) in Dictionary(grouping: there, by: { nodes[$0].group }) {
            weigh(members, of: groupSizes[group] ?? 0, round, &scales)
        }
        return scales.givesAnything ? scales : nil
    }

    /// Weighs the nodes of one group that are there.
    private func weigh(_ members: [Int], of domains: Int, _ round: Round, _ scales: inout Scales) {
        guard let order = members.map({ nodes[$0].order }).min() else { return }
        let peers = members.filter { nodes[$0].order == order }
        let weights = peers.reduce(0) { $0 + max(1, nodes[$1].weight) }
        for place in members where nodes[place].order != order && round.ownedCount(place) > 0 {
            scales.standIns.insert(place)
            scales.surplus[place] = round.ownedCount(place)
        }
        for place in peers {
            let portion = domains * max(1, nodes[place].weight)
            let (least, most) = (portion / weights, (portion + weights - 1) / weights)
            let owned = round.ownedCount(place)
            if owned > most { scales.surplus[place] = owned - most }
            guard isSteady(place, round) else { continue }
            scales.deficit[place] = least - max(1, least / 10) - owned
            scales.room[place] = most - owned
        }
        scales.givesAnything =
            scales.givesAnything
            || members.contains { giver in peers.contains { scales.allows(from: giver, to: $0) } }
    }

    private func isSteady(_ place: Int, _ round: Round) -> Bool {
        guard round.facts.isPatient else { return true }
        guard let since = round.facts.membership[nodes[place].name]?.upSince else { return false }
        return round.facts.now.monotonic - since >= layout.pace.rebalanceAfter
    }

    /// Next owners by the places of their domains in the layout.
    func balancing(_ planned: [Planned], _ round: Round) -> [Int: NodeID] {
        guard let scales = scales(round) else { return [:] }
        // One after the other, since what comes from those that stand in is part of what others need not give.
        let fromStandIns = balancing(planned, round, scales) { scales.standIns.contains($0) }
        return fromStandIns.isEmpty
            ? balancing(planned, round, scales) { !scales.standIns.contains($0) } : fromStandIns
    }

    /// What has begun goes on before anything else begins.
    private func balancing(
        _ planned: [Planned], _ round: Round, _ scales: Scales, from givers: (Int) -> Bool
    ) -> [Int: NodeID] {
        var scales = scales
        var found: [Int: NodeID] = [:]
        take { domain, taker in round.facts.successors[domain.next.domain] == round.lives[taker] }
        take { domain, taker in domain.next.inSync.contains { $0 == round.lives[taker] } }
        take { domain, taker in domain.next.standbys.contains { $0.node == round.lives[taker] } }
        take { _, _ in true }
        return found

        func mayBeFilled(_ domain: Planned, _ taker: Int) -> Bool {
            !isStuck(nodes[taker].name, round.facts) || domain.next.inSync.contains { $0 == round.lives[taker] }
        }

        func take(where isEasy: (Planned, Int) -> Bool) {
            for domain in planned where found[domain.place] == nil {
                guard found.count < layout.pace.movingDomains else { return }
                guard let giver = giver(of: domain, round), givers(giver) else { continue }
                let taker = ranks[domain.place].first {
                    scales.allows(from: giver, to: $0) && isEasy(domain, $0) && mayBeFilled(domain, $0)
                }
                guard let taker, let life = round.lives[taker] else { continue }
                scales.move(from: giver, to: taker)
                found[domain.place] = life
            }
        }
    }

    /// Whether a hand-over that was ordered for the sake of balance still serves it.
    func isBalancing(_ current: Assignment, to node: NodeID, at place: Int, _ round: Round) -> Bool {
        let domain = Planned(place: place, current: current, next: current)
        guard let giver = giver(of: domain, round), let taker = round.place(of: node), ranks[place].contains(taker)
        else { return false }
        return scales(round)?.allows(from: giver, to: taker) ?? false
    }

    /// The node that might give the domain away, unless somebody has said where it is to be, or it ends.
    private func giver(of domain: Planned, _ round: Round) -> Int? {
        guard let owner = domain.next.owner, !layout.domains[domain.place].isClosing,
            layout.domains[domain.place].pin.isEmpty, mayServe(owner.name, at: domain.place),
            round.facts.wishes.moves[domain.next.domain].map({ $0 == owner.name }) ?? true,
            let place = round.place(of: owner), round.lives[place] == owner
        else { return nil }
        return place
    }
}
