import ClusterRuntime
import Logging
import RegistrarEvents
import Synchronization

/// The watchers of all domains of a node, and the way to them from its event loops.
final class WatcherTable: Sendable {
    private let actors: [DomainName: WatcherActor]
    let lanes = LaneDirectory()

    /// How often time goes by.
    private static let tickInterval = Duration.milliseconds(100)

    init(_ settings: SIPSettings, counters: SIPCounters, life: NodeID, transport: any Transport, log: Logger) {
        var actors: [DomainName: WatcherActor] = [:]
        for (index, domain) in settings.domains.keys.sorted().enumerated() {
            let machine = Watchers(
                domain: domain, settings: WatcherSettings(settings), counters: counters,
                seed: life.incarnation &+ UInt64(index))
            actors[domain] = WatcherActor(machine, transport: transport, lanes: lanes, log: log)
        }
        self.actors = actors
    }

    func subscribe(_ watch: WatchRequest) { actors[watch.domain]?.post(.subscribe(watch), isVital: true) }

    func answered(_ answer: NotifyAnswer, of domain: DomainName) {
        actors[domain]?.post(.answered(answer), isVital: false)
    }

    func assigned(_ assignments: [Assignment]) {
        for assignment in assignments { actors[assignment.domain]?.post(.assigned(assignment), isVital: true) }
    }

    func removed(_ account: String, of domain: DomainName) {
        actors[domain]?.post(.removed(account: account), isVital: true)
    }

    /// Takes what owners say to followers out of what arrived.
    func receive(_ messages: [Message], from sender: NodeID) {
        for message in messages {
            switch message {
            case .append(let append): actors[append.domain]?.receive([.append(append, from: sender)])
            case .chunk(let chunk): actors[chunk.domain]?.receive([.chunk(chunk, from: sender)])
            case .heartbeat, .lead, .assignments, .copies, .replicaChange, .request, .reply, .follow,
                .handOver:
                break
            }
        }
    }

    /// Lets time go by for those that follow a domain, until cancelled.
    func run() async {
        while !Task.isCancelled {
            for actor in actors.values where actor.isActive { actor.post(.tick, isVital: false) }
            try? await Task.sleep(for: Self.tickInterval)  // ends early only when cancelled, which the loop sees
        }
    }

    /// Tells every watcher that it is over here.
    func stop() async {
        for actor in actors.values { await actor.stop() }
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
        case .watched, .assigned: true
        case .notify, .replies: false
        }
    }
}
