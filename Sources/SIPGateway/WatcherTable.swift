import ClusterRuntime
import Logging
import RegistrarEvents
import Synchronization

/// The watchers of all domains of a node, and the way to them from its event loops.
final class WatcherTable: Sendable {
    let lanes = LaneDirectory()
    private let settings: SIPSettings
    private let counters: SIPCounters
    private let seed: UInt64
    private let transport: any Transport
    private let log: Logger
    private let table = Mutex(Table())

    private struct Table {
        var actors: [DomainName: WatcherActor] = [:]
        /// Actors made so far, so that each has a seed of its own.
        var made: UInt64 = 0
        /// The domains of the topology.
        var served: Set<DomainName> = []
        /// Those that nobody serves any more.
        var retired: Set<DomainName> = []
    }

    /// How often time goes by.
    private static let tickInterval = Duration.milliseconds(100)

    init(_ settings: SIPSettings, counters: SIPCounters, life: NodeID, transport: any Transport, log: Logger) {
        self.settings = settings
        self.counters = counters
        self.transport = transport
        self.log = log
        seed = life.incarnation
        serve(settings.domains.keys.sorted(), assignments: [])
    }

    /// The topology has these domains now. Those that it has no more stay until their watchers were told.
    /// - Parameter assignments: those known, so that watchers of new domains need not wait for a change.
    func serve(_ domains: [DomainName], assignments: [Assignment]) {
        let known = Dictionary(assignments.map { ($0.domain, $0) }) { first, _ in first }
        table.withLock { table in
            table.served = Set(domains)
            for domain in domains where table.actors[domain] == nil {
                let machine = Watchers(
                    domain: domain, settings: WatcherSettings(settings), counters: counters,
                    seed: seed &+ table.made)
                table.made += 1
                let actor = WatcherActor(machine, transport: transport, lanes: lanes, log: log)
                table.actors[domain] = actor
                if let assignment = known[domain] { actor.post(.assigned(assignment), isVital: true) }
            }
        }
    }

    private func actor(of domain: DomainName) -> WatcherActor? { table.withLock { $0.actors[domain] } }

    func subscribe(_ watch: WatchRequest) {
        guard let actor = actor(of: watch.domain) else {
            // It was removed a moment ago.
            return lanes.post(.watched(watch, .refused(.unknownDomain)), to: watch.way.lane)
        }
        actor.post(.subscribe(watch), isVital: true)
    }

    func answered(_ answer: NotifyAnswer, of domain: DomainName) {
        actor(of: domain)?.post(.answered(answer), isVital: false)
    }

    /// A connection is no more that requests for these domains came over.
    func closed(_ connection: WatcherWay.Connection, of domains: [DomainName]) {
        for domain in domains { actor(of: domain)?.post(.closed(connection), isVital: true) }
    }

    func assigned(_ assignments: [Assignment]) {
        for assignment in assignments {
            table.withLock { table in
                guard let actor = table.actors[assignment.domain] else { return }
                if assignment.isRetired {
                    table.retired.insert(assignment.domain)
                } else {
                    table.retired.remove(assignment.domain)
                }
                actor.post(.assigned(assignment), isVital: true)
            }
        }
    }

    func removed(_ account: String, of domain: DomainName) {
        actor(of: domain)?.post(.removed(account: account), isVital: true)
    }

    /// Takes what owners say to followers out of what arrived.
    func receive(_ messages: [Message], from sender: NodeID) {
        for message in messages {
            switch message {
            case .append(let append): actor(of: append.domain)?.receive([.append(append, from: sender)])
            case .chunk(let chunk): actor(of: chunk.domain)?.receive([.chunk(chunk, from: sender)])
            case .heartbeat, .lead, .assignments, .copies, .replicaChange, .request, .reply, .follow,
                .handOver, .topology, .retire:
                break
            }
        }
    }

    /// Lets time go by for those that follow a domain, until cancelled.
    func run() async {
        while !Task.isCancelled {
            for actor in active() { actor.post(.tick, isVital: false) }
            try? await Task.sleep(for: Self.tickInterval)  // ends early only when cancelled, which the loop sees
        }
    }

    /// Those with something to do. Of domains that are no more, the others are let go of.
    private func active() -> [WatcherActor] {
        table.withLock { table in
            for domain in table.retired where !table.served.contains(domain) {
                guard table.actors[domain]?.isActive != true else { continue }
                table.actors[domain] = nil
                table.retired.remove(domain)
            }
            return table.actors.values.filter(\.isActive)
        }
    }

    /// Tells every watcher that it is over here.
    func stop() async {
        for actor in table.withLock({ Array($0.actors.values) }) { await actor.stop() }
    }
}

/// The event loops by number. They are added when they are made, after whoever posts to them.
final class LaneDirectory: Sendable {
    private let lanes = Mutex<[Int: SIPLane]>([:])

    func add(_ lane: SIPLane, _ number: Int) { lanes.withLock { $0[number] = lane } }

    func post(_ item: SIPLane.Item, to number: Int) {
        lanes.withLock { $0[number] }?.post(item, isVital: item.isVital)
    }
}

extension SIPLane.Item {
    /// Whether it would be missed: a request waits for an answer. A NOTIFY is sent again.
    fileprivate var isVital: Bool {
        switch self {
        case .watched, .assigned, .domains: true
        case .notify, .replies: false
        }
    }
}
