public import ClusterRuntime
public import Logging
import RegistrarEvents
import Synchronization

/// Runs one domain's follower: takes what has arrived in one turn, and carries out what the machine decides, in order.
public actor FollowerActor {
    private var machine: Follower
    private let transport: any Transport
    private let lanes: LaneTable
    private let log: Logger
    private let onRetired: @Sendable () -> Void
    /// Messages of owners: one that finds it full is dropped, and the owner sends again.
    private let inbound: Mailbox<Follower.Event>
    /// Assignments, what sockets ask, and ticks.
    private let control = Mailbox<Follower.Event>(limit: 1 << 10)
    private let latestReport: Mutex<FollowerReport>
    private let alarmCount = Atomic<UInt64>(0)
    /// When the machine wants a tick, in nanoseconds of the monotonic clock.
    private let nextTick = Atomic<Int64>(0)

    /// - Parameter onRetired: called when the domain is no more and its subscribers were told; more than once, perhaps.
    public init(
        machine: Follower, transport: any Transport, lanes: LaneTable, log: Logger,
        onRetired: @escaping @Sendable () -> Void = {}
    ) {
        self.onRetired = onRetired
        self.machine = machine
        self.transport = transport
        self.lanes = lanes
        self.log = log
        inbound = Mailbox(limit: machine.settings.mailboxMessages)
        latestReport = Mutex(machine.report)
    }

    /// What the follower held at the end of the last turn.
    public nonisolated var report: FollowerReport { latestReport.withLock { $0 } }

    /// How many events found a mailbox full.
    public nonisolated var dropped: UInt64 { inbound.dropped + control.dropped }

    /// How many alarms the machine has raised.
    public nonisolated var alarms: UInt64 { alarmCount.load(ordering: .relaxed) }

    /// Hands over what owners and routers say, in order, and returns at once.
    nonisolated func receive(_ events: [Follower.Event]) {
        guard inbound.post(events) else { return }
        Task { await self.turn() }
    }

    /// Hands over an assignment or what a socket asks, in order, and returns at once. They come in however full the
    /// mailbox is, since nobody would send them again; a socket has few subscriptions whose answers it waits for.
    nonisolated func post(_ event: Follower.Event) {
        guard control.post(CollectionOfOne(event), isVital: true) else { return }
        Task { await self.turn() }
    }

    /// Has the machine look at the time, if that matters to it and unless much else is to be done.
    nonisolated func tick(at now: MonotonicInstant) {
        guard now.nanoseconds >= nextTick.load(ordering: .relaxed), control.post(CollectionOfOne(.tick)) else {
            return
        }
        Task { await self.turn() }
    }

    /// Others get the thread, and this actor, in between, however much there is to do for one domain.
    private func turn() async {
        var begun = SystemClock.monotonic()
        while true {
            if asked.isEmpty { asked = ArraySlice(control.take() ?? []) }
            let arrived = inbound.take()
            guard !asked.isEmpty || arrived != nil else { return }
            let now = SystemClock.now()
            let next = asked.prefix(Self.longestRun)
            asked = asked.dropFirst(Self.longestRun)
            for event in next { perform(machine.handle(event, at: now)) }
            for event in arrived ?? [] { perform(machine.handle(event, at: now)) }
            perform(machine.handle(.turnEnded, at: now))
            flush()
            latestReport.withLock { $0 = machine.report }
            nextTick.store(machine.nextTick.nanoseconds, ordering: .relaxed)
            if machine.isRetired { onRetired() }
            guard SystemClock.monotonic() - begun > Self.longestTurn else { continue }
            await Task.yield()
            begun = SystemClock.monotonic()
        }
    }

    private static let longestTurn: Duration = .milliseconds(2)
    /// What sockets ask, before it is looked at what the owner says.
    private static let longestRun = 256
    /// What is left of it.
    private var asked: ArraySlice<Follower.Event> = []

    /// A contact of each account of a kind that is online; nil while the list is not whole.
    func onlineAccounts(_ kind: AccountKind) -> [PackedContact]? { machine.onlineAccounts(kind) }

    private var deliveries: [Delivery] = []
    private var pendingBytes = 0

    /// Deliveries are gathered over a turn, so that each lane is woken once; a long turn hands them over in between.
    private func perform(_ directives: [Follower.Directive]) {
        for directive in directives {
            switch directive {
            case .send(let message, let peer): transport.send(message, to: peer)
            case .deliver(let delivery):
                deliveries.append(delivery)
                if case .events(let batch, _) = delivery.content { pendingBytes += batch.byteCount }
            case .alarm(let text):
                alarmCount.add(1, ordering: .relaxed)
                log.error("\(machine.domain): \(text)")
            }
        }
        if pendingBytes > Self.flushBytes { flush() }
    }

    /// So many bytes of events go to the lanes without waiting for the end of the turn.
    private static let flushBytes = 1 << 20

    private func flush() {
        guard !deliveries.isEmpty else { return }
        for lane in lanes.all {
            let number = Int(lane.number)
            let own = deliveries.filter { $0.to.count > 1 || $0.to.first?.lane == number }
            if !own.isEmpty { lane.deliver(own) }
        }
        deliveries.removeAll(keepingCapacity: true)
        pendingBytes = 0
    }
}

/// The lanes that followers deliver to. They are added when the server starts, after the followers.
public final class LaneTable: Sendable {
    private let lanes = Mutex<[any SubscriberLane]>([])

    public init() {}

    public var all: [any SubscriberLane] { lanes.withLock { $0 } }

    public func add(_ lane: any SubscriberLane) {
        lanes.withLock { $0.append(lane) }
    }

    public func remove(_ lane: any SubscriberLane) {
        lanes.withLock { $0.removeAll { $0 === lane } }
    }
}
