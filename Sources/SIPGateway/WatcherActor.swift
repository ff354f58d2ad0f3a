import ClusterRuntime
import Logging
import Synchronization

/// Runs the watchers of one domain: takes what has arrived in one turn, and carries out what the machine decides, in
/// order. Not on an event loop, since a domain's list may be long.
actor WatcherActor {
    private var machine: Watchers
    private let transport: any Transport
    private let lanes: LaneDirectory
    private let log: Logger
    /// Messages of owners: one that finds it full is dropped, and the owner sends again.
    private let inbound = Mailbox<Watchers.Event>(limit: 4_096)
    /// What event loops hand over. Requests are few, as each loop has a limit of its own; responses are sent again.
    private let control = Mailbox<Watchers.Event>(limit: 65_536)
    private let isActiveNow = Atomic<Bool>(false)

    init(_ machine: Watchers, transport: any Transport, lanes: LaneDirectory, log: Logger) {
        self.machine = machine
        self.transport = transport
        self.lanes = lanes
        self.log = log
    }

    /// Whether it wants to be told that time goes by.
    nonisolated var isActive: Bool { isActiveNow.load(ordering: .relaxed) }

    /// Hands over what owners say, in order, and returns at once.
    nonisolated func receive(_ events: [Watchers.Event]) {
        guard inbound.post(events) else { return }
        Task { await self.turn() }
    }

    /// Hands over anything else.
    /// - Parameter isVital: for what nobody would send again, or what has to be answered.
    nonisolated func post(_ event: Watchers.Event, isVital: Bool) {
        guard control.post(CollectionOfOne(event), isVital: isVital) else { return }
        Task { await self.turn() }
    }

    /// Tells every watcher that it is over here.
    func stop() {
        turn()
        perform(machine.handle(.stop, at: SystemClock.now()))
    }

    private func turn() {
        while true {
            let asked = control.take()
            let arrived = inbound.take()
            guard asked != nil || arrived != nil else { return }
            let now = SystemClock.now()
            for event in asked ?? [] { perform(machine.handle(event, at: now)) }
            for event in arrived ?? [] { perform(machine.handle(event, at: now)) }
            perform(machine.handle(.turnEnded, at: now))
            isActiveNow.store(machine.isActive, ordering: .relaxed)
        }
    }

    private func perform(_ directives: [Watchers.Directive]) {
        for directive in directives {
            switch directive {
            case .send(let message, let peer): transport.send(message, to: peer)
            case .answer(let watch, let answer): lanes.post(.watched(watch, answer), to: watch.way.lane)
            case .notify(let bytes, let way): lanes.post(.notify(bytes, way.route), to: way.lane)
            case .alarm(let text): log.error("\(machine.domain): \(text)")
            }
        }
    }
}
