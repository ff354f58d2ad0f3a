public import ClusterRuntime
public import RegistrarEvents

/// Planned movement: which domains are to leave their owners, where they go, and which of them can go now.
///
/// A domain moves in steps, each of them safe by itself, so that whoever leads next can go on from any of them: the
/// successor becomes a standby (if it is none) and is filled; when it is in sync the owner is ordered to hand over;
/// when the owner says that nothing is under way any more, a new epoch begins with the successor as owner. The former
/// owner stays as a standby in sync until the right standbys are, so that there is never a copy too few.
extension Planner {
    /// Domains that are handed over at one time, and thus serve nobody for a moment.
    public static let handOverLimit = 16
    /// The same for those that nobody wishes to move, which only their nodes' shares do.
    public static let gentleHandOverLimit = 4

    /// A domain on its way.
    public struct Movement: Hashable, Sendable {
        public var domain: DomainName
        public var owner: NodeID
        /// Its next owner.
        public var successor: NodeID
        /// The order to hand it over; nil while the successor is not in sync, or others go first.
        public var order: HandOver?
    }

    /// Where domains are to move, by their places in the layout. What operators and the topology wish comes first, and
    /// balance after it.
    /// - Parameter isWhole: whether all domains are planned, without which balance cannot be told.
    func successors(_ planned: [Planned], isWhole: Bool, _ round: inout Round) -> [Int: NodeID] {
        guard round.facts.isSettled else { return [:] }
        let mayWish = isGrouped || isPinned || !layout.sites.isEmpty || !round.facts.wishes.isEmpty
        let wished = mayWish ? wishedSuccessors(planned, &round) : [:]
        return wished.isEmpty && isWhole ? balancing(planned, round) : wished
    }

    private func wishedSuccessors(_ planned: [Planned], _ round: inout Round) -> [Int: NodeID] {
        var found: [Int: NodeID] = [:]
        var absent: [Planned] = []
        var filling = 0
        for domain in planned {
            guard let successor = plannedSuccessor(of: domain.next, at: domain.place, &round) else { continue }
            if domain.next.standbys.contains(where: { $0.node == successor }) {
                found[domain.place] = successor
                let isFilled = domain.next.inSync.contains(successor) || isStuck(successor.name, round.facts)
                filling += isFilled ? 0 : 1
            } else {
                absent.append(domain)
            }
        }
        for domain in absent.prefix(max(0, layout.pace.fills - filling)) {
            guard let successor = plannedSuccessor(of: domain.next, at: domain.place, &round) else { continue }
            // So that the next ones go elsewhere when this one has enough.
            round.count(successor)
            found[domain.place] = successor
        }
        return found
    }

    /// The node that an operator's wish or the topology makes the next owner; nil when the domain may stay where it is.
    private func plannedSuccessor(of current: Assignment, at place: Int, _ round: inout Round) -> NodeID? {
        guard let owner = current.owner else { return nil }
        let wishes = round.facts.wishes
        if let wanted = wishes.moves[current.domain], wanted != owner.name, !wishes.isDrained(wanted) {
            return ranks[place].first { nodes[$0].name == wanted && mayTakeOn($0, round.facts) }
                .flatMap(round.upLife)
        }
        guard mustLeave(owner.name, at: place, round.facts) else {
            return preferred(to: owner, at: place, &round)
        }
        if let pinned = pinned(at: place, round) { return pinned }
        let open = ranks[place].filter { mayTakeOn($0, round.facts) && round.upLife($0) != nil }
        let standbys = current.standbys.filter { standby in
            (standby.inSync || !isStuck(standby.node.name, round.facts))
                && open.contains { round.lives[$0] == standby.node }
        }
        // One that has everything needs no time, one that is being filled less than one that is not.
        let present = standbys.filter(\.inSync).isEmpty ? standbys : standbys.filter(\.inSync)
        return round.byRank(present.map(\.node), ranks[place]).first
            ?? ranked(notStuckFirst(open, round.facts), place, round)
    }

    /// Without those where copies get nowhere, unless there is nobody else.
    private func notStuckFirst(_ places: [Int], _ facts: Facts) -> [Int] {
        guard !facts.stuckFills.isEmpty else { return places }
        let others = places.filter { !isStuck(nodes[$0].name, facts) }
        return others.isEmpty ? places : others
    }

    /// What is on its way once the plan is carried out.
    func movements(_ planned: [Planned], _ round: Round) -> [Movement] {
        guard !round.successors.isEmpty else { return [] }
        var ordered = 0
        return planned.compactMap { domain in
            let next = domain.next
            guard let successor = round.successors[domain.place], let owner = next.owner else { return nil }
            var movement = Movement(domain: next.domain, owner: owner, successor: successor)
            let limit =
                isWished(next, to: successor, at: domain.place, round) ? Self.handOverLimit : Self.gentleHandOverLimit
            // An order under an assignment that is about to change would be void.
            if !domain.isChanged, next.inSync.contains(successor), ordered < limit,
                round.facts.membership.standing(of: successor) == .up
            {
                ordered += 1
                movement.order = HandOver(
                    domain: next.domain, epoch: next.epoch, revision: next.revision, node: successor)
            }
            return movement
        }
    }

    /// Whether it is an operator or the topology that wants the domain there.
    private func isWished(_ current: Assignment, to node: NodeID, at place: Int, _ round: Round) -> Bool {
        let facts = round.facts
        if let wanted = facts.wishes.moves[current.domain] { return wanted == node.name }
        guard let owner = current.owner?.name else { return false }
        return mustLeave(owner, at: place, facts)
            || (outranking(owner, at: place, facts) == node.name && returnTime(of: node.name, facts) == nil)
    }

    /// The wishes less the moves that are fulfilled, or cannot be fulfilled any more.
    func openWishes(_ facts: Facts) -> MovementWishes {
        var open = facts.wishes
        for (domain, node) in facts.wishes.moves {
            let isWanted = places[domain].map { mayServe(node, at: $0) && !isOutranked(node, at: $0, facts) } ?? false
            let isThere = facts.book[domain]?.owner?.name == node
            let isPossible =
                !facts.wishes.isDrained(node) && facts.membership[node]?.standing != .down
                && !hasLostQuorum(node, facts, for: .zero)
            if !isWanted || isThere || !isPossible { open.settle(domain) }
        }
        return open
    }

    /// Carries out a hand-over that the owner has asked for, if it is still wanted.
    func handOver(_ next: inout Assignment, to node: NodeID, at place: Int, _ round: inout Round) {
        guard let owner = next.owner, let standby = next.standbys.firstIndex(where: { $0.node == node }),
            next.standbys[standby].inSync, round.facts.membership.standing(of: node) == .up,
            mayServe(node.name, at: place), round.place(of: node).map({ mayTakeOn($0, round.facts) }) ?? false,
            isWished(next, to: node, at: place, round) || isBalancing(next, to: node, at: place, round)
        else { return }
        next.standbys.remove(at: standby)
        // It has everything that was acknowledged, and took on nothing since.
        next.standbys.append(Assignment.Standby(node: owner, inSync: true))
        next.owner = node
        next.cause = .moved
        beginEpoch(of: &next, round)
        next.revision = 0
        round.count(owner, -1)
        round.count(node)
    }
}

extension Planner.Round {
    /// The life of one of the planner's nodes, if it is heard regularly.
    func upLife(_ place: Int) -> NodeID? {
        lives[place].flatMap { facts.membership.standing(of: $0) == .up ? $0 : nil }
    }

    /// Those that are not drained; all of them when nobody else is there, since somebody has to serve.
    func open(_ ranks: [Int], _ nodes: [ClusterLayout.Node]) -> [Int] {
        guard !facts.wishes.drained.isEmpty else { return ranks }
        let open = ranks.filter { lives[$0] != nil && !facts.wishes.isDrained(nodes[$0].name) }
        return open.isEmpty ? ranks : open
    }
}
