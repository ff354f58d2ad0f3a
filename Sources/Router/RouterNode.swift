public import ClusterRuntime
public import Logging
public import RegistrarEvents
import Synchronization

/// A router node: feeds its machines from one mailbox and carries out what they decide, in order.
///
/// Two lanes talk to the coordinator, so that a renewal of the leadership waits for no load, and for no more than the
/// store that a coordinator in a file is at: campaigns and resignations in one, loads and stores in the other.
public actor RouterNode {
    /// Transport events that may wait; beyond it the newest are dropped and counted.
    public static let mailboxLimit = 4096

    private enum CampaignCall: Sendable {
        case campaign(above: UInt64)
        case resign(term: UInt64)
    }

    private enum StoreCall: Sendable {
        case load(term: UInt64)
        case store([AssignmentChange], wishes: MovementWishes?, above: UInt64, term: UInt64)
        case activate(ActiveTopology, term: UInt64)
    }

    public nonisolated let node: NodeID
    private let periods: Periods
    private let coordinator: any Coordinator
    private let transport: any Transport
    private let now: @Sendable () -> Moment
    private let onAssigned: @Sendable ([Assignment]) -> Void
    private let logger: Logger
    private let onTopology: @Sendable (ActiveTopology) -> Void
    private nonisolated let mailbox = RouterMailbox(limit: RouterNode.mailboxLimit)
    private nonisolated let gauges = Mutex(Gauges())
    private let campaigns = AsyncStream<CampaignCall>.makeStream()
    private let stores = AsyncStream<StoreCall>.makeStream()
    private var machine: RouterMachine
    private var agent: NodeAgent
    /// Operators who wait to hear what became of their orders.
    private var orders: [UInt64: CheckedContinuation<OrderOutcome, Never>] = [:]
    private var nextOrder: UInt64 = 1
    private var hasEnded = false

    /// - Parameters:
    ///   - node: must be a router of the layout.
    ///   - pid: told in heartbeats, for people.
    ///   - topology: what this router goes by; it has the layout.
    ///   - layoutOf: what the text of a topology means; nil when it cannot be read.
    ///   - onTopology: called with each newer version that the cluster goes by; answer with `learned`.
    ///   - onAssigned: called in order with assignments that this router has stored or been told; must return soon.
    public init(
        node: NodeID, layout: ClusterLayout, periods: Periods, pid: UInt64, coordinator: any Coordinator,
        transport: any Transport, logger: Logger,
        topology: ActiveTopology = ActiveTopology(version: 0, text: "", since: 0),
        layoutOf: @escaping @Sendable (String) -> ClusterLayout? = { _ in nil },
        onTopology: @escaping @Sendable (ActiveTopology) -> Void = { _ in },
        now: @escaping @Sendable () -> Moment = { SystemClock.now() },
        onAssigned: @escaping @Sendable ([Assignment]) -> Void = { _ in }
    ) {
        let started = now()
        self.node = node
        self.periods = periods
        self.coordinator = coordinator
        self.transport = transport
        self.now = now
        self.onAssigned = onAssigned
        self.logger = logger
        self.onTopology = onTopology
        machine = RouterMachine(
            node: node, layout: layout, periods: periods, at: started, topology: topology, layoutOf: layoutOf)
        agent = NodeAgent(
            node: node, role: .router, routers: layout.routers, pid: pid, started: started.monotonic, periods: periods,
            topologyVersion: topology.version)
    }

    /// Hands over what the transport delivers. Returns at once; may be called from any thread.
    public nonisolated func receive(_ event: TransportEvent) { mailbox.post(event) }

    /// Transport events dropped because the mailbox was full.
    public nonisolated var droppedEvents: UInt64 { mailbox.dropped }

    /// What metrics show.
    public struct Gauges: Sendable {
        /// The term in which this router leads; 0 while it does not.
        public var term: UInt64 = 0
        public var coordinatorAnswers = false
    }

    /// As of the last tick.
    public nonisolated var latestGauges: Gauges { gauges.withLock(\.self) }

    public func status() -> ClusterStatus { machine.status(following: agent.table, at: now()) }

    /// The last changes of the domain's owner that this router decided, oldest first.
    public func ownerChanges(of domain: DomainName) -> [OwnerChange] { machine.ownerChanges(of: domain) }

    /// Why a domain is where it is; nil while this router does not lead.
    public func explanation(of domain: DomainName) -> DomainExplanation? {
        machine.explanation(of: domain, at: now())
    }

    /// Has something moved.
    /// - Returns: once the order is stored, or refused; carrying it out takes longer.
    public func order(_ order: MovementOrder) async -> OrderOutcome { await give { .ordered(order, id: $0) } }

    /// Has the cluster go by another topology.
    /// - Parameters:
    ///   - topology: of the version that follows the active one.
    ///   - layout: what its text means.
    /// - Returns: once it is stored, or refused; nodes are told after that.
    public func activate(_ topology: ActiveTopology, _ layout: ClusterLayout) async -> OrderOutcome {
        await give { .activate(topology, layout, id: $0) }
    }

    private func give(_ event: (UInt64) -> RouterMachine.Event) async -> OrderOutcome {
        guard !hasEnded else { return .notLeading }
        let id = nextOrder
        nextOrder += 1
        return await withCheckedContinuation { waiting in
            orders[id] = waiting
            feed(event(id), at: now())
        }
    }

    /// Who serves a domain, as far as this router knows.
    public func assignment(of domain: DomainName) -> Assignment? { agent.table[domain] }

    /// What would become of the domains if a topology with this layout were activated; nil while this router does not
    /// lead. Worked out beside this actor, since it may take a while.
    public nonisolated func preview(of layout: ClusterLayout) async -> [PlannedMovement]? {
        let (copy, now) = await (machine, now())
        return copy.preview(of: layout, at: now)
    }

    /// What the cluster goes by; nil while this router does not lead.
    public func leadingTopology() -> ActiveTopology? {
        machine.leadingTerm(at: now()) > 0 ? machine.topology : nil
    }

    /// The topology of which `onTopology` told was read.
    /// - Parameter needsRestart: whether some of it waits for this router's next start; told in its heartbeats.
    public func learned(_ topology: ActiveTopology, _ layout: ClusterLayout, needsRestart: Bool) {
        agent.follow(routers: layout.routers)
        agent.needsRestart = needsRestart
        feed(.learned(topology, layout), at: now())
    }

    /// Who serves what, as far as this router knows.
    public func assignments() -> [Assignment] { agent.table.all }

    /// The router that leads, as far as this one has heard; nil before the first word of one.
    public func leader() -> NodeName? {
        machine.leadingTerm(at: now()) > 0 ? node.name : agent.leader
    }

    /// Runs until cancelled, then gives up the leadership. To be called once.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepTicking() }
            group.addTask { await self.runCampaigns() }
            group.addTask { await self.runStores() }
            group.addTask { [coordinator, mailbox] in await coordinator.watch { mailbox.post(answer: .vacant) } }
            for await item in mailbox.items {
                mailbox.took(item)
                take(item)
            }
            group.cancelAll()
        }
        hasEnded = true
        for (_, waiting) in orders { waiting.resume(returning: .notLeading) }
        orders = [:]
        await resign()
    }

    private func take(_ item: RouterMailbox.Item) {
        let now = now()
        switch item {
        case .tick:
            feed(.tick, at: now)
            let term = machine.leadingTerm(at: now)
            let answers = machine.coordinator.state == .reachable
            gauges.withLock { $0 = Gauges(term: term, coordinatorAnswers: answers) }
            agent.leadingTerm = term
            carryOut(agent.handle(.tick, at: now))
        case .transport(.received(let messages, let sender)):
            for message in messages { take(message, from: sender, at: now) }
        case .transport(.refused(let name)): feed(.refused(name), at: now)
        case .coordinator(let answer): feed(answer, at: now)
        case .own(let message): take(message, from: node, at: now)
        }
    }

    private func take(_ message: Message, from sender: NodeID, at now: Moment) {
        switch message {
        case .lead(let lead): carryOut(agent.handle(.lead(lead, from: sender), at: now))
        case .assignments(let update): carryOut(agent.handle(.assignments(update, from: sender), at: now))
        case .topology(let part): carryOut(agent.handle(.topology(part, from: sender), at: now))
        case .heartbeat, .copies, .replicaChange: feed(.received(message, from: sender), at: now)
        case .request, .reply, .follow, .append, .chunk, .handOver, .retire: break
        }
    }

    private func feed(_ event: RouterMachine.Event, at now: Moment) {
        for directive in machine.handle(event, at: now) {
            switch directive {
            case .send(let message, let peer): send(message, to: peer)
            case .campaign(let floor): campaigns.continuation.yield(.campaign(above: floor))
            case .resign(let term): campaigns.continuation.yield(.resign(term: term))
            case .load(let term): stores.continuation.yield(.load(term: term))
            case .store(let changes, let wishes, let floor, let term):
                stores.continuation.yield(.store(changes, wishes: wishes, above: floor, term: term))
            case .activate(let topology, let term):
                stores.continuation.yield(.activate(topology, term: term))
            case .answer(let id, let outcome): orders.removeValue(forKey: id)?.resume(returning: outcome)
            case .log(let notice): logger.log(level: notice.isWarning ? .warning : .info, "\(notice)")
            }
        }
    }

    private func carryOut(_ directives: [NodeAgent.Directive]) {
        for directive in directives {
            switch directive {
            case .send(let message, let peer): send(message, to: peer)
            case .topology(let active): onTopology(active)
            case .assigned(let assignments): onAssigned(assignments)
            case .lease: break  // A router owns no domain.
            }
        }
    }

    /// A router is a node among its own: what it tells itself does not go over the wire.
    private func send(_ message: Message, to peer: NodeName) {
        if peer == node.name { mailbox.post(own: message) } else { transport.send(message, to: peer) }
    }
}

extension RouterNode {
    private func keepTicking() async {
        while !Task.isCancelled {
            mailbox.tick()
            do { try await Task.sleep(for: periods.heartbeat / 2) } catch { return }
        }
    }

    private func runCampaigns() async {
        for await call in campaigns.stream {
            switch call {
            case .campaign(let floor):
                let result = await outcome { () async throws(CoordinatorError) in
                    try await coordinator.campaign(as: node, lease: periods.leadership, above: floor)
                }
                mailbox.post(answer: .campaigned(result))
            case .resign(let term): await resign(term)
            }
        }
    }

    private func runStores() async {
        for await call in stores.stream {
            switch call {
            case .load(let term):
                let result = await outcome { () async throws(CoordinatorError) in try await coordinator.load() }
                mailbox.post(answer: .loaded(result, term: term))
            case .store(let changes, let wishes, let floor, let term):
                let result = await outcome { () async throws(CoordinatorError) in
                    try await coordinator.store(changes, wishes: wishes, above: floor, term: term)
                }
                mailbox.post(answer: .stored(result, term: term))
            case .activate(let topology, let term):
                let result = await outcome { () async throws(CoordinatorError) in
                    try await coordinator.activate(topology, term: term)
                }
                mailbox.post(answer: .activated(result, term: term))
            }
        }
    }

    private func outcome<Answer: Sendable>(
        _ call: () async throws(CoordinatorError) -> Answer
    ) async -> Result<Answer, CoordinatorError> {
        do { return .success(try await call()) } catch { return .failure(error) }
    }

    /// Another router takes over at once instead of waiting for the lease to end.
    private func resign() async {
        let term = machine.leadingTerm(at: now())
        guard term > 0 else { return }
        // A task of its own: this one is cancelled, and a coordinator may refuse to work for it.
        await Task { await self.resign(term) }.value
    }

    private func resign(_ term: UInt64) async {
        do {
            try await coordinator.resign(term: term)
        } catch {
            logger.warning("term \(term) could not be given up: \(error)")
        }
    }
}
