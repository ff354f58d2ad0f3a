import ClusterRuntime
import RegistrarEvents

/// The topology that the cluster goes by: activating another one, telling every node, and letting go of the domains
/// that it has no more.
///
/// Invariant: only what was stored at the coordinator is acted upon, and only an activated topology (a version above 0)
/// ends a domain: a router's own file may be any old one.
extension RouterMachine {
    /// Domains whose owners are asked to end everything at one time.
    static let retirementLimit = 64
    /// Retired domains that are remembered for the sake of their epochs.
    static let retiredLimit = 50_000
    /// How long to wait for a node to show that it has the topology before it is sent again.
    static let topologyInterval = Duration.seconds(1)

    /// A topology on its way to the coordinator.
    struct Activation: Sendable {
        let topology: ActiveTopology
        let layout: ClusterLayout
        /// Of the operator who waits to hear of it; nil when nobody does.
        let id: UInt64?
        var isUnderWay = false
    }

    // MARK: Activating

    mutating func activate(_ new: ActiveTopology, _ layout: ClusterLayout, id: UInt64) {
        guard let leadership, let book = leadership.book else { return emit(.answer(id, .notLeading)) }
        // Asked for again, by somebody who has not heard what became of it.
        if new.version == topology.version, new.text == topology.text { return emit(.answer(id, .accepted)) }
        guard leadership.activation == nil else { return emit(.answer(id, .tooManyWaiting)) }
        guard new.version == topology.version + 1 else {
            return emit(
                .answer(
                    id,
                    .refused(
                        "the active topology is version \(topology.version), and not \(new.version - 1) any more; "
                            + "compare with that one")))
        }
        if let objection = objection(to: layout, leadership, book) { return emit(.answer(id, .refused(objection))) }
        self.leadership?.activation = Activation(topology: new, layout: layout, id: id)
    }

    /// An sr node may go once it has nothing and will get nothing; somebody has to lead; and what is remembered of
    /// removed domains has a limit.
    private func objection(
        to new: ClusterLayout, _ leadership: Leadership, _ book: AssignmentBook
    ) -> String? {
        let kept = Set(new.nodes.map(\.name))
        for node in layout.nodes(of: .sr) where !kept.contains(node.name) {
            let holds = book.all.count { assignment in
                assignment.owner?.name == node.name || assignment.standbys.contains { $0.node.name == node.name }
            }
            guard holds == 0 else { return "\(node.name) still serves \(holds) domains; drain it first" }
            guard leadership.wishes.isDrained(node.name) || membership[node.name]?.standing == .down else {
                return "\(node.name) may be given domains at any moment; drain it first"
            }
        }
        if let objection = objectionToRouters(of: new) { return objection }
        let served = Set(new.domains.map(\.name))
        guard layout.domains.contains(where: { !served.contains($0.name) }),
            book.all.count(where: \.isRetired) > Self.retiredLimit
        else { return nil }
        return "more than \(Self.retiredLimit) domains were removed over time, and are remembered for their epochs; "
            + "none can be removed any more, though others can be added and changed"
    }

    /// This router leads until the topology is stored, and then one has to be there that the topology has.
    private func objectionToRouters(of new: ClusterLayout) -> String? {
        let stays = new.routers.contains { name in
            name == node.name || layout.routers.contains(name) && membership[name]?.isAlive ?? false
        }
        if stays { return nil }
        return "no router that is up would stay, so that nobody could lead; add one in a step of its own, and remove "
            + "\(node.name) when that one is up"
    }

    /// Brings what waits on its way. One store at a time.
    /// - Returns: whether one is under way.
    mutating func storeActivation() -> Bool {
        guard let leadership, let book = leadership.book, let activation = leadership.activation else { return false }
        if !activation.isUnderWay {
            // What was being stored when it was given may have brought a node something.
            if let id = activation.id, let objection = objection(to: activation.layout, leadership, book) {
                self.leadership?.activation = nil
                emit(.answer(id, .refused(objection)))
                return false
            }
            self.leadership?.activation?.isUnderWay = true
            emit(.activate(activation.topology, term: leadership.term))
        }
        return true
    }

    mutating func activated(_ result: Result<StoreOutcome, CoordinatorError>, term: UInt64, at now: Moment) {
        guard let leadership, leadership.term == term, let activation = leadership.activation else { return }
        switch result {
        case .success(.stored):
            coordinatorAnswered()
            self.leadership?.activation = nil
            self.leadership?.due = .everything
            if let id = activation.id { emit(.answer(id, .accepted)) }
            adopt(activation.topology, activation.layout, at: now)
            forgetDrained()
            sendRetirements(at: now)
        case .success(.conflict):
            coordinatorAnswered()
            self.leadership?.activation?.isUnderWay = false
            load()
        case .success(.deposed):
            coordinatorAnswered()
            stepDown("the coordinator knows a later term", at: now)
        case .failure(let error):
            note(error, at: now)
            stepDown("whether the topology was stored is unknown", at: now)
            emit(.resign(term: term))
        }
    }

    /// Nodes that are gone need not be kept empty; should one come back under the same name, it is a new one. The
    /// router that activated their removal may not have come to that.
    mutating func forgetDrained() {
        guard topology.version > 0, let drained = leadership?.wishes.drained else { return }
        let names = Set(layout.nodes.map(\.name))
        for node in drained where !names.contains(node) {
            leadership?.orders.append(WaitingOrder(id: Self.nobody, order: .undrain(node)))
        }
    }

    /// What is stored says whether the activation under way came through.
    mutating func resolveActivation() {
        guard let activation = leadership?.activation, let id = activation.id,
            activation.topology.version <= topology.version
        else { return }
        leadership?.activation = nil
        let isStored = activation.topology.text == topology.text && activation.topology.version == topology.version
        emit(
            .answer(
                id,
                isStored ? .accepted : .refused("version \(topology.version) of the topology came in between")))
    }

    /// No operator's id.
    static let nobody: UInt64 = 0

    // MARK: Going by it

    /// What was stored is in force, here from now on.
    /// - Returns: false when this version cannot read it, so that this router must not lead by what it knows.
    mutating func adopt(stored: ActiveTopology?, at now: Moment) -> Bool {
        if let stored, stored.version > topology.version {
            guard let layout = layoutOf(stored.text) else {
                emit(.log(.topologyUnreadable(version: stored.version)))
                return false
            }
            adopt(stored, layout, at: now)
        } else if topology.version > stored?.version ?? 0, leadership?.activation == nil {
            // The coordinator was set back, or lost what it had.
            leadership?.activation = Activation(topology: topology, layout: layout, id: nil)
        }
        return true
    }

    mutating func adopt(_ new: ActiveTopology, _ layout: ClusterLayout, at now: Moment) {
        guard new.version > topology.version else { return }
        topology = new
        let former = membership
        self.layout = layout
        membership.change(to: layout)
        copies.keep(Set(layout.nodes.map(\.name)))
        refreshPlanner()
        emit(.log(.topology(version: new.version)))
        leadership?.due = .everything
        guard leadership != nil else { return }
        // Those that are no more are told as well, this once.
        for member in former.members where member.isAlive { sendTopology(to: member.life, at: now.monotonic) }
        guard !isMember, let term = leadership?.term else { return }
        stepDown("the topology has no router \(node.name) any more", at: now)
        emit(.resign(term: term))
    }

    /// Whether the topology has this router.
    var isMember: Bool { layout.routers.contains(node.name) }

    /// Plans for the domains of the topology, and for those that are still to be let go of.
    mutating func refreshPlanner() {
        closing = []
        if topology.version > 0, let book = leadership?.book {
            let kept = Set(layout.domains.map(\.name))
            closing = book.all.filter { !kept.contains($0.domain) && !$0.isRetired }.map { assignment in
                ClusterLayout.Domain(
                    name: assignment.domain, replicas: max(1, assignment.standbys.count + 1), isClosing: true)
            }
        }
        hasRetired = false
        planner = Planner(layout.closing(closing), restartGrace: periods.restartGrace)
    }

    mutating func sendTopology(to life: NodeID, at now: MonotonicInstant) {
        guard let leadership, topology.version > 0 else { return }
        if let sent = leadership.topologySent[life], now - sent < Self.topologyInterval { return }
        self.leadership?.topologySent[life] = now
        for part in topology.parts(term: leadership.term) { emit(.send(.topology(part), to: life.name)) }
    }

    // MARK: Letting go of domains

    /// Asks the owners of domains that are no more to end everything, and again until they are retired.
    mutating func sendRetirements(at now: Moment) {
        guard let leadership, let book = leadership.book, !closing.isEmpty else { return }
        var sent: [DomainName: MonotonicInstant] = [:]
        for domain in closing.prefix(Self.retirementLimit) {
            guard let assignment = book[domain.name], let owner = assignment.owner else { continue }
            let last = leadership.retirementsSent[domain.name] ?? .distantPast
            guard now.monotonic - last >= periods.heartbeat else {
                sent[domain.name] = last
                continue
            }
            sent[domain.name] = now.monotonic
            let order = Retire(
                domain: domain.name, epoch: assignment.epoch, revision: assignment.revision,
                topology: topology.version)
            emit(.send(.retire(order), to: owner.name))
        }
        self.leadership?.retirementsSent = sent
    }

    /// Forgets what is not needed of domains that are retired.
    mutating func tookRetired(_ assignments: [Assignment]) {
        let retired = assignments.filter(\.isRetired)
        guard !retired.isEmpty else { return }
        for assignment in retired {
            history[assignment.domain] = nil
            emit(.log(.retired(assignment.domain)))
        }
        let names = Set(retired.map(\.domain))
        closing.removeAll { names.contains($0.name) }
        hasRetired = true
        if closing.isEmpty { refreshPlanner() }
    }

    /// A planner ranks all nodes for all domains, so that it is not made anew for each of thousands that are removed.
    /// It passes over those that are retired.
    mutating func forgetRetired(at now: Moment) {
        guard hasRetired, now.monotonic - lastForgetting >= Self.forgettingInterval else { return }
        lastForgetting = now.monotonic
        refreshPlanner()
    }

    private static let forgettingInterval = Duration.seconds(1)
}
