import ClusterRuntime
import RegistrarEvents

extension Planner {
    /// Takes out standbys that are gone, adds those that are missing, and drops those that stood in for them once the
    /// right ones are in sync.
    ///
    /// Taking one out of the in-sync set lets an owner that waits for it go on. Where the domain is to move, its next
    /// owner is filled beside the others. Where it has its copies, though not at the nodes that rank first, those are
    /// for `addSpareStandbys`.
    func reviseStandbys(of domain: inout Planned, _ round: inout Round) {
        guard let owner = domain.next.owner else { return }
        let place = domain.place
        var next = domain.next
        defer { domain.next = next }
        next.standbys.removeAll { $0.node.name == owner.name || round.facts.membership.standing(of: $0.node) == .down }
        guard round.facts.isSettled else { return }
        var desired = desiredStandbys(
            at: place, owner: owner, present: next.standbys.map(\.node), inSync: next.inSync, round)
        if let successor = round.successors[place], successor != owner, !desired.contains(successor) {
            desired.append(successor)
        }
        for node in desired where !next.standbys.contains(where: { $0.node == node }) {
            // One that is to leave does not count, so that nobody waits for balance to have a node drained.
            let staying = next.standbys.count { !mustLeave($0.node.name, at: place, round.facts) }
            if staying < layout.domains[place].replicas - 1 || node == round.successors[place] {
                next.standbys.append(Assignment.Standby(node: node, inSync: false))
            } else {
                domain.spare.append(node)
            }
        }
        guard next.standbys.contains(where: { !desired.contains($0.node) }) else { return }
        if desired.allSatisfy(next.inSync.contains), desired.count >= expectedStandbys(at: place, owner, &round) {
            let kept = desired + indispensable(next, desired: desired, round.facts)
            guard kept.count >= layout.domains[place].replicas - 1 || hasOwnersCopy(at: place, owner, &round) else {
                return
            }
            next.standbys.removeAll { !kept.contains($0.node) }
        }
    }

    /// Whether the owner has been heard since copies could be dropped which nobody replaces: its process may have ended
    /// with what its disk did not take, and no router have learned of it yet.
    private func hasOwnersCopy(at place: Int, _ owner: NodeID, _ round: inout Round) -> Bool {
        let facts = round.facts
        guard facts.isPatient else { return true }
        let domain = layout.domains[place].name
        let known = facts.droppable[domain].flatMap { $0.owner == owner ? $0 : nil }
        let droppable = known ?? Droppable(owner: owner, since: facts.now.monotonic)
        if let heard = facts.membership[owner.name]?.lastHeard, heard > droppable.since { return true }
        round.droppable[domain] = droppable
        return false
    }

    /// Copies of a domain that nobody replaces and that are not wanted any more: since when, under which owner.
    struct Droppable: Hashable, Sendable {
        let owner: NodeID
        let since: MonotonicInstant
    }

    /// How many of the standbys that the domain should have there may soon be: a node that has just gone is waited for,
    /// for `Periods.restartGrace`, before a copy that stands in for it is dropped.
    private func expectedStandbys(at place: Int, _ owner: NodeID, _ round: inout Round) -> Int {
        let facts = round.facts
        var count = 0
        for node in ranks[place] where nodes[node].name != owner.name && !facts.wishes.isDrained(nodes[node].name) {
            if round.lives[node] == nil {
                let since = facts.membership[nodes[node].name]?.goneSince ?? facts.membership.listeningSince
                guard facts.now.monotonic - since < restartGrace else { continue }
                round.nextLook = min(round.nextLook ?? since + restartGrace, since + restartGrace)
            }
            count += 1
        }
        return min(layout.domains[place].replicas - 1, count)
    }

    /// Begins copies at the nodes that rank first of domains that could do without for now, as many as may be made at a
    /// time: a node that comes back is not sent everything at once.
    /// - Returns: how many are left for later.
    func addSpareStandbys(to planned: inout [Planned], _ round: Round) -> Int {
        guard round.facts.isSettled else { return 0 }
        let begun = planned.reduce(round.facts.book.catchingUp) {
            $0 + $1.next.catchingUp - ($1.current?.catchingUp ?? 0)
        }
        // Those that get nowhere hold up nobody else, and nothing more is begun where they are.
        let stuck = round.facts.stuckFills
        var (left, postponed) = (layout.pace.fills - begun + stuck.values.reduce(0, +), 0)
        for index in planned.indices where !planned[index].spare.isEmpty {
            let wanted = planned[index].spare.filter { stuck[$0.name] == nil }
            let begun = wanted.prefix(max(0, left))
            left -= begun.count
            postponed += wanted.count - begun.count
            planned[index].next.standbys += begun.map { Assignment.Standby(node: $0, inSync: false) }
        }
        return postponed
    }

    /// Whether copies that were begun at the node get nowhere.
    func isStuck(_ node: NodeName, _ facts: Facts) -> Bool { facts.stuckFills[node] != nil }

    /// Each the highest ranked of those that are furthest from the owner and from one another: on another server
    /// first, at another site next. Those of a site that has lost its quorum come last, and before them those that
    /// cannot write their journals, or where copies do not come into sync.
    private func desiredStandbys(
        at place: Int, owner: NodeID, present: [NodeID], inSync: [NodeID], _ round: Round
    ) -> [NodeID] {
        // A present standby that was not heard yet is not passed over for another: it has done nothing wrong.
        let candidates = ranks[place].filter {
            nodes[$0].name != owner.name && !round.facts.wishes.isDrained(nodes[$0].name)
        }
        var pool = candidates.compactMap { node in
            (round.lives[node] ?? present.first { $0.name == nodes[node].name }).map { (node: node, life: $0) }
        }
        var taken = nodes.filter { $0.name == owner.name }
        var desired: [NodeID] = []
        while desired.count < layout.domains[place].replicas - 1, let nearest = pool.indices.first {
            func closeness(_ candidate: Int) -> (Int, Int, Int, Int, Int) {
                let (node, life) = (nodes[pool[candidate].node], pool[candidate].life)
                let isNear = taken.contains { $0.site == node.site }
                return (
                    // Nobody may promote it there.
                    hasLostQuorum(node.name, round.facts, for: restartGrace) ? 1 : 0,
                    // Where the topology asks for another site, that is worth more than a journal.
                    isNear && layout.domains[place].needsOtherSite ? 1 : 0,
                    isLastChoice(life, isPresent: present.contains(life), round.facts)
                        || isStuck(node.name, round.facts) && !inSync.contains(life) ? 1 : 0,
                    taken.contains { $0.server == node.server && $0.site == node.site } ? 1 : 0,
                    isNear ? 1 : 0
                )
            }
            let best = pool.indices.reduce(nearest) { closeness($1) < closeness($0) ? $1 : $0 }
            let chosen = pool.remove(at: best)
            taken.append(nodes[chosen.node])
            desired.append(chosen.life)
        }
        // A copy at a node that is not to serve the domain is better than none, while those that are to are not there.
        let strangers = present.filter { !mayServe($0.name, at: place) && !round.facts.wishes.isDrained($0.name) }
        return desired + strangers.prefix(max(0, layout.domains[place].replicas - 1 - desired.count))
    }

    /// One planning round: the facts, the living `sr` nodes by place, and how many domains each owns by now.
    struct Round {
        let facts: Facts
        /// For each of the planner's nodes its living life.
        let lives: [NodeID?]
        /// Since when any of each group's living nodes at sites with their quorum has been up.
        let firstUp: [String?: MonotonicInstant]
        /// Where domains are to move, by their places in the layout.
        var successors: [Int: NodeID] = [:]
        /// Domains that wait for an owner, with assignments that are stored anew as they are.
        var kept: [Planned] = []
        /// How long domains without owner have waited.
        var waits: [DomainName: GraceWait] = [:]
        /// Domains with copies that are dropped once their owners are heard.
        var droppable: [DomainName: Droppable] = [:]
        /// When to look again, though nothing else happens.
        var nextLook: MonotonicInstant?
        private let nodes: [ClusterLayout.Node]
        private let places: [NodeName: Int]
        private var owned: [Int]

        init(_ facts: Facts, _ nodes: [ClusterLayout.Node]) {
            let lives = nodes.map { node in
                facts.membership[node.name].flatMap { $0.isAlive ? $0.life : nil }
            }
            let counts = facts.book.ownedCounts
            firstUp = nodes.reduce(into: [:]) { firstUp, node in
                guard let member = facts.membership[node.name], member.isAlive, let since = member.upSince,
                    facts.quorums[node.site]?.isHeld ?? true
                else { return }
                firstUp[node.group] = min(firstUp[node.group] ?? since, since)
            }
            self.facts = facts
            self.nodes = nodes
            self.lives = lives
            places = Dictionary(uniqueKeysWithValues: nodes.enumerated().map { ($1.name, $0) })
            owned = lives.map { life in life.flatMap { counts[$0] } ?? 0 }
        }

        /// The living nodes in the order of a domain's ranks.
        func living(_ ranks: [Int]) -> [NodeID] { ranks.compactMap { lives[$0] } }

        /// Those that have no rank, since they are not to serve the domain, come last.
        func byRank(_ nodes: [NodeID], _ ranks: [Int]) -> [NodeID] {
            let ranked = ranks.compactMap { place in nodes.first { $0.name == self.nodes[place].name } }
            return ranked.count == nodes.count ? ranked : ranked + nodes.filter { !ranked.contains($0) }
        }

        mutating func count(_ owner: NodeID, _ more: Int = 1) {
            if let place = places[owner.name] { owned[place] += more }
        }

        /// How many domains one of the planner's nodes owns by now.
        func ownedCount(_ place: Int) -> Int { owned[place] }

        /// Which of the planner's nodes this is a life of.
        func place(of node: NodeID) -> Int? { places[node.name] }

        /// The highest ranked living node, unless it owns much more than its share: hashing few domains onto few
        /// nodes is a matter of luck, and the next one in rank is as good an owner. Silent nodes come last, and before
        /// them those that cannot write their journals.
        func leastLopsided(_ ranks: [Int], of domains: Int) -> NodeID? {
            let living = ranks.filter { lives[$0] != nil }
            let up = living.filter { lives[$0].map(facts.membership.standing(of:)) == .up }
            let writable = up.filter { facts.failedJournals[nodes[$0].name] == nil }
            let candidates = [writable, up, living].first { !$0.isEmpty } ?? []
            guard let top = candidates.first else { return nil }
            let peers = candidates.filter { nodes[$0].order == nodes[top].order }
            let weights = peers.reduce(0) { $0 + max(1, nodes[$1].weight) }
            let chosen = peers.first { place in
                let share = (domains * max(1, nodes[place].weight) + weights - 1) / weights
                return owned[place] <= share
            }
            return lives[chosen ?? top]
        }
    }
}
