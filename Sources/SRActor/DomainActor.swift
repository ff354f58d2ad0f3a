public import ClusterRuntime
public import Logging
import RegistrarEvents
import Synchronization

/// Runs one domain's machine on an `sr` node: takes what has arrived in one turn, carries out what the machine decides
/// in order (disk before network), and wakes it when it asks.
public actor DomainActor {
    private var machine: DomainMachine
    private let transport: any Transport
    private let journal: any Journal
    private let routers: RouterNames
    private let lease: LeaseHolder
    private let progress: StoreProgress
    private let outlet: (any DestinationOutlet)?
    private let log: Logger
    private let onRetired: @Sendable () -> Void
    private let mailbox: Mailbox<DomainMachine.Event>
    /// What destinations have told and no turn has taken up.
    private let notices = Mutex<[DestinationNotice]>([])
    private let latestReport: Mutex<CopyReport>
    private var wake: (at: MonotonicInstant, task: Task<Void, Never>)?
    private var checkpointedGeneration: UInt64
    /// Nil unless the copy is being written anew.
    private var checkpoint: Checkpoint?

    /// - Parameters:
    ///   - checkpointedGeneration: of the journal that holds the copy; nil for a copy that begins empty, of which the
    ///     journal has nothing yet.
    ///   - progress: of what all domains of the node have the disk keep.
    ///   - onRetired: called when nobody is to serve the domain any more, and nothing of it is kept here; more
    ///   than once, perhaps.
    public init(
        machine: DomainMachine, transport: any Transport, journal: any Journal, routers: RouterNames,
        lease: LeaseHolder, outlet: (any DestinationOutlet)? = nil, mailboxLimit: Int,
        checkpointedGeneration: UInt64? = nil, progress: StoreProgress = StoreProgress(), log: Logger,
        onRetired: @escaping @Sendable () -> Void = {}
    ) {
        self.onRetired = onRetired
        self.machine = machine
        self.transport = transport
        self.journal = journal
        self.routers = routers
        self.lease = lease
        self.progress = progress
        self.outlet = outlet
        self.log = log
        mailbox = Mailbox(limit: mailboxLimit)
        latestReport = Mutex(machine.report)
        self.checkpointedGeneration = checkpointedGeneration ?? journal.generation
    }

    deinit { wake?.task.cancel() }

    /// What the copy was like at the end of the last turn.
    public nonisolated var report: CopyReport { latestReport.withLock { $0 } }

    /// How many events found the mailbox full.
    public nonisolated var dropped: UInt64 { mailbox.dropped }

    /// Hands over events, in order, and returns at once.
    /// - Parameter isVital: for assignments, which must not be lost to a full mailbox; whatever else is, is sent again.
    public nonisolated func post(_ events: [DomainMachine.Event], isVital: Bool = false) {
        guard mailbox.post(events, isVital: isVital) else { return }
        Task { await self.turn() }
    }

    /// Hands over what a destination tells, however full the mailbox is, since a destination waits for what it has
    /// asked for. Of each destination one notice of each kind waits at most: a later one says all that is to be said.
    public nonisolated func post(_ notice: DestinationNotice) {
        let isFirst = notices.withLock { notices in
            if let index = notices.firstIndex(where: { $0.isSuperseded(by: notice) }) {
                notices[index] = notice
                return false
            }
            notices.append(notice)
            return notices.count == 1
        }
        if isFirst { post([.tick], isVital: true) }
    }

    private func takeNotices() -> [DomainMachine.Event] {
        notices.withLock { notices in
            defer { notices = [] }
            return notices.map { .destination($0) }
        }
    }

    /// How long a turn may keep its thread, and leave what only time brings on undone.
    private static let longestTurn = Duration.milliseconds(5)

    private func turn() async {
        var began = SystemClock.monotonic()
        while let arrived = mailbox.take() {
            let events = arrived + takeNotices()
            let now = SystemClock.now()
            var directives = machine.handle(.lease(until: lease.until), at: now)
            directives += machine.handle(.lapsed(lease.lapsed), at: now)
            directives += machine.handle(.journal(isWritable: journal.isWritable), at: now)
            for event in events { directives += machine.handle(event, at: now) }
            directives += machine.handle(.turnEnded, at: now)
            store(directives)
            // Whether the disk took it decides what a lone owner may acknowledge, and the disk may have taken long.
            let after = SystemClock.now()
            directives += machine.handle(.journal(isWritable: journal.isWritable), at: after)
            directives += machine.handle(.stored, at: after)
            perform(directives)
            checkpointIfAsked(at: after)
            latestReport.withLock { $0 = machine.report }
            guard after.monotonic - began >= Self.longestTurn else { continue }
            // However much goes on arriving: others have their turns, and the machine its ticks.
            setWake()
            await Task.yield()
            began = SystemClock.monotonic()
        }
        if machine.isRetired { onRetired() }
        setWake()
    }

    private func store(_ directives: [DomainMachine.Directive]) {
        let records = directives.compactMap { if case .store(let record) = $0 { record } else { nil } }
        guard !records.isEmpty else { return }
        keep(records)
        if let begun = checkpoint, !begun.goesOn(after: records) { checkpoint = nil }
    }

    private func keep(_ records: [JournalRecord]) {
        progress.begin()
        journal.append(records, of: machine.domain)
        progress.end()
    }

    private func perform(_ directives: [DomainMachine.Directive]) {
        var outgoing = Outgoing()
        var publications: [Publication] = []
        for directive in directives {
            switch directive {
            case .store: break  // done, before anything leaves the node
            case .send(let message, let peer): outgoing.add(message, for: peer)
            case .askRouters(let change):
                for router in routers.all { outgoing.add(.replicaChange(change), for: router) }
            case .publish(let publication): publications.append(publication)
            case .alarm, .becameOwner, .becameStandby, .deposed, .handingOver, .replayEnded, .retiring: note(directive)
            }
        }
        for (peer, messages) in outgoing.byPeer { transport.send(messages, to: peer) }
        for publication in publications { outlet?.publish(publication, of: machine.domain) }
    }

    private func note(_ directive: DomainMachine.Directive) {
        let domain = machine.domain
        switch directive {
        case .alarm(let text): log.error("\(domain): \(text)")
        case .becameOwner(let epoch, let cause, let contacts):
            log.notice("\(domain): owner of epoch \(epoch) (\(cause.name)) with \(contacts) contacts to restate")
        case .becameStandby(let epoch, let owner): log.info("\(domain): standby of \(owner) in epoch \(epoch)")
        case .deposed(let epoch): log.notice("\(domain): deposed by epoch \(epoch); nothing is acknowledged any more")
        case .handingOver(let node): log.info("\(domain): takes on nothing new, so that \(node) can be the owner")
        case .retiring: log.notice("\(domain): the topology has it no more, so everything in it ends")
        case .replayEnded(let position): log.info("\(domain): everything restated by \(position)")
        case .store, .send, .askRouters, .publish: break
        }
    }

    /// Writes the copy into the journal's new generation, a part each turn: a standby must not keep its owner waiting.
    private func checkpointIfAsked(at now: Moment) {
        // The journal is about to forget it.
        guard !machine.isRetired else { return }
        let generation = journal.generation
        guard generation != checkpointedGeneration else { return }
        var current = checkpoint ?? Checkpoint(generation: generation)
        if current.generation != generation { current = Checkpoint(generation: generation) }
        // One by one: other domains' records come in between, however large this copy is.
        for record in current.next(machine.replica, at: now) { keep([record]) }
        guard current.isOver else {
            checkpoint = current
            // Not at once: others come first.
            Task { self.post([.tick]) }
            return
        }
        checkpoint = nil
        checkpointedGeneration = generation
        journal.checkpointed(machine.domain, in: generation)
    }

    /// One task sleeps for the actor; it is replaced only by an earlier one.
    private func setWake() {
        guard let next = machine.nextWake(at: SystemClock.now()) else { return }
        if next <= SystemClock.monotonic() { return post([.tick]) }
        if let wake, wake.at <= next, wake.at > SystemClock.monotonic() { return }
        wake?.task.cancel()
        let task = Task { [weak self] in
            let wait = next - SystemClock.monotonic()
            do {
                if wait > .zero { try await Task.sleep(for: wait, tolerance: .zero) }
            } catch {
                return  // replaced by an earlier one
            }
            await self?.woken()
        }
        wake = (next, task)
    }

    private func woken() {
        wake = nil
        post([.tick])
    }
}

/// Messages of one turn, by peer, peers and messages in the order in which they came up.
private struct Outgoing {
    private(set) var byPeer: [(NodeName, [Message])] = []

    mutating func add(_ message: Message, for peer: NodeName) {
        if let index = byPeer.firstIndex(where: { $0.0 == peer }) {
            byPeer[index].1.append(message)
        } else {
            byPeer.append((peer, [message]))
        }
    }
}

/// The routers that there are; written by the node, read by every domain.
public final class RouterNames: Sendable {
    private let names: Mutex<[NodeName]>

    public init(_ names: [NodeName]) { self.names = Mutex(names) }

    public var all: [NodeName] { names.withLock { $0 } }

    public func replace(with names: [NodeName]) { self.names.withLock { $0 = names } }
}

/// Until when the node's lone owners may acknowledge, and for how long they might not; written by the agent, read by
/// every domain.
public final class LeaseHolder: Sendable {
    private let state = Mutex((until: MonotonicInstant(nanoseconds: 0), lapsed: Duration.zero))

    public init() {}

    public var until: MonotonicInstant { state.withLock { $0.until } }

    /// For how long altogether there has been no lease, from the first one on.
    public var lapsed: Duration { state.withLock { $0.lapsed } }

    /// An earlier end than the one known changes nothing.
    public func extend(to until: MonotonicInstant, at now: MonotonicInstant = SystemClock.monotonic()) {
        state.withLock { state in
            guard until > state.until else { return }
            if state.until.nanoseconds > 0, now > state.until { state.lapsed += now - state.until }
            state.until = until
        }
    }
}
