import ClusterRuntime
import RegistrarEvents

/// Operators' orders, and seeing to it that they are carried out.
extension RouterMachine {
    /// Orders that may wait to be stored.
    static let orderLimit = 64

    /// An order of an operator that is not stored yet.
    struct WaitingOrder: Sendable {
        let id: UInt64
        let order: MovementOrder
    }

    /// A domain that was ordered to be handed over.
    struct OrderedMovement: Sendable {
        /// When it was ordered first, for its owner's change to be timed from.
        let since: Moment
        var lastSent: MonotonicInstant
    }

    mutating func take(_ order: MovementOrder, id: UInt64, at now: Moment) {
        guard let leadership, let book = leadership.book else { return emit(.answer(id, .notLeading)) }
        guard leadership.outdated == 0 else {
            let why = "the coordinator has forgotten something, which is being put right; ask again"
            return emit(.answer(id, .refused(why)))
        }
        guard leadership.orders.count < Self.orderLimit else { return emit(.answer(id, .tooManyWaiting)) }
        if let objection = objection(to: order, leadership, facts(leadership, book, at: now)) {
            return emit(.answer(id, objection))
        }
        self.leadership?.orders.append(WaitingOrder(id: id, order: order))
        self.leadership?.due = .everything
    }

    private func objection(
        to order: MovementOrder, _ leadership: Leadership, _ facts: Planner.Facts
    ) -> OrderOutcome? {
        switch order {
        case .undrain(let node):
            // A node that the topology has lost may still have to be taken off the list.
            let isKnown = layout.nodes.contains { $0.name == node } || leadership.wishes.isDrained(node)
            return isKnown ? nil : .unknown("there is no node \(node)")
        case .drain(let node): return objectionToTarget(node) ?? objectionToDraining(node, facts)
        case .move(let domain, let node):
            guard let place = planner.places[domain] else {
                return .unknown("there is no domain \(domain)")
            }
            if let objection = objectionToTarget(node) { return objection }
            guard planner.mayServe(node, at: place) else {
                return .refused("\(node) does not serve \(domain): \(Self.servers(of: planner.layout.domains[place]))")
            }
            guard let owner = facts.book[domain]?.owner else {
                return .refused("\(domain) has no owner at the moment; wait until it is served again")
            }
            guard owner.name != node else { return nil }
            if leadership.wishes.isDrained(node) {
                return .refused("\(node) is drained; undrain it first")
            }
            guard membership[node]?.standing == .up else { return .refused("\(node) is not up") }
            if let site = siteWithoutQuorum(of: node, facts) {
                return .refused("\(node) takes nothing on: \(site)")
            }
            if planner.hasFailedJournal(node, facts) {
                return .refused("\(node) takes nothing on: it cannot write its journal; is its disk full?")
            }
            if let pinned = planner.outranking(node, at: place, facts) {
                return .refused(
                    "\(domain) is pinned to \(pinned), which is up, and would go back there; change its pin "
                        + "(rollcall apply), or drain \(pinned)")
            }
            return nil
        }
    }

    /// Only sr nodes own domains.
    private func objectionToTarget(_ name: NodeName) -> OrderOutcome? {
        guard let node = layout.nodes.first(where: { $0.name == name }) else {
            return .unknown("there is no node \(name)")
        }
        switch node.role {
        case .sr: return nil
        case .router: return .refused("\(name) is a router, which owns no domains; stop it, and another one leads")
        case .arbiter: return .refused("\(name) is an arbiter, which owns no domains; stop it")
        case .wssubscr, .sg:
            return .refused(
                "\(name) is a \(node.role.name) node, which owns no domains; stop it, and its clients go elsewhere")
        }
    }

    /// Somebody has to take the domains.
    private func objectionToDraining(_ node: NodeName, _ facts: Planner.Facts) -> OrderOutcome? {
        let group = membership[node]?.node.group
        // It has nothing to give away.
        guard planner.groupSizes[group] != nil else { return nil }
        let others = membership.members.filter { member in
            member.node.role == .sr && member.node.name != node && member.standing == .up
                && member.node.group == group && !facts.wishes.isDrained(member.node.name)
                && facts.quorums[member.node.site]?.isHeld ?? true
        }
        if others.contains(where: { !planner.hasFailedJournal($0.node.name, facts) }) { return nil }
        let name = group.map { "sr node of group \($0)" } ?? "sr node"
        guard others.isEmpty else {
            return .refused(
                "no other \(name) can write its journal (\(others.map(\.node.name.rawValue).joined(separator: ", "))), "
                    + "so nobody could take its domains safely; are their disks full?")
        }
        return .refused("no other \(name) is up and not drained, so nobody could take its domains")
    }

    /// Who may serve a domain, in words.
    static func servers(of domain: ClusterLayout.Domain) -> String {
        domain.group.map { "group \($0) serves it" } ?? "the sr nodes without group serve it"
    }

    // MARK: Carrying out

    /// What the operators wish, the orders that wait to be stored included.
    var wishes: MovementWishes {
        guard let leadership else { return MovementWishes() }
        return leadership.orders.reduce(into: leadership.wishes) { $1.order.apply(to: &$0) }
    }

    /// Orders owners to hand over, and again until the owner has changed.
    mutating func send(_ plan: Planner.Plan, at now: Moment) {
        let known = leadership?.movements ?? [:]
        var ordered: [DomainName: OrderedMovement] = [:]
        // Those that are handed over by this very plan are timed once that is stored.
        for change in plan.changes { ordered[change.assignment.domain] = known[change.assignment.domain] }
        for movement in plan.movements {
            var state = known[movement.domain]
            if let order = movement.order, state.map({ now.monotonic - $0.lastSent >= periods.heartbeat }) ?? true {
                state = OrderedMovement(since: state?.since ?? now, lastSent: now.monotonic)
                emit(.send(.handOver(order), to: movement.owner.name))
            }
            ordered[movement.domain] = state
        }
        leadership?.movements = ordered
        leadership?.successors = Dictionary(uniqueKeysWithValues: plan.movements.map { ($0.domain, $0.successor) })
    }

    /// The store that held the first orders came through.
    mutating func answerOrders(_ count: Int) {
        guard let leadership else { return }
        for waiting in leadership.orders.prefix(count) { emit(.answer(waiting.id, .accepted)) }
        self.leadership?.orders.removeFirst(count)
    }

    /// Tells of wishes that end, and how.
    mutating func note(_ wishes: MovementWishes, after former: MovementWishes) {
        for node in wishes.drained where !former.isDrained(node) { emit(.log(.draining(node))) }
        for node in former.drained where !wishes.isDrained(node) { emit(.log(.undrained(node))) }
        for (domain, node) in former.moves.sorted(by: { $0.key < $1.key })
        where wishes.moves[domain] == nil && leadership?.book?[domain]?.owner?.name != node {
            emit(.log(.moveGivenUp(domain, to: node)))
        }
    }

    /// Whether a node is to be empty, and is.
    func drainState(of name: NodeName) -> ClusterStatus.Node.Status? {
        guard let leadership, leadership.wishes.isDrained(name), let book = leadership.book else { return nil }
        return book.concerns(name) ? .draining : .drained
    }
}
