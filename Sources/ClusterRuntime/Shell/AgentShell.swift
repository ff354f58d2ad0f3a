import Dispatch
public import RegistrarEvents
import Synchronization

/// Runs a node's `NodeAgent`: ticks it, hands it what routers say, and passes on what it decides.
public final class AgentShell: Sendable {
    private let agent: Mutex<NodeAgent>
    private let transport: any Transport
    private let interval: Duration
    private let onAssigned: @Sendable ([Assignment]) -> Void
    private let onLease: @Sendable (MonotonicInstant) -> Void
    private let onTopology: @Sendable (ActiveTopology) -> Void
    private let isJournalWritable: @Sendable () -> Bool
    private let mayVouch: @Sendable () -> Bool

    /// - Parameters:
    ///   - onAssigned: called in order of revision with assignments that changed; must return soon.
    ///   - onLease: called when the owner lease is extended.
    ///   - onTopology: called with each newer version of the active topology; must return soon.
    ///   - isJournalWritable: of an `sr` node, for its heartbeats; must not wait for a disk.
    ///   - mayVouch: asked at each tick whether other nodes may be told that this one is there; must return soon.
    public init(
        agent: NodeAgent, transport: any Transport, heartbeat: Duration,
        onAssigned: @escaping @Sendable ([Assignment]) -> Void,
        onLease: @escaping @Sendable (MonotonicInstant) -> Void = { _ in },
        onTopology: @escaping @Sendable (ActiveTopology) -> Void = { _ in },
        isJournalWritable: @escaping @Sendable () -> Bool = { true },
        mayVouch: @escaping @Sendable () -> Bool = { true }
    ) {
        self.agent = Mutex(agent)
        self.transport = transport
        interval = heartbeat / 2
        self.onAssigned = onAssigned
        self.onLease = onLease
        self.onTopology = onTopology
        self.isJournalWritable = isJournalWritable
        self.mayVouch = mayVouch
    }

    /// The assignment of a domain as far as this node knows.
    public func assignment(of domain: DomainName) -> Assignment? { agent.withLock { $0.table[domain] } }

    /// All assignments, by domain name.
    public var assignments: [Assignment] { agent.withLock { $0.table.all } }

    /// The router that leads, as far as this node knows.
    public var leader: NodeName? { agent.withLock { $0.leader } }

    /// Up to which revision this node knows the assignments.
    public var revision: UInt64 { agent.withLock { $0.table.revision } }

    /// The highest term heard of; 0 before the first word of a router.
    public var term: UInt64 { agent.withLock { $0.term } }

    /// Heartbeats go to these routers, and to these other nodes, from now on, and say whether the node needs a restart.
    public func follow(routers: [NodeName], peers: [NodeName] = [], needsRestart: Bool) {
        agent.withLock { agent in
            agent.follow(routers: routers, peers: peers)
            agent.needsRestart = needsRestart
        }
    }

    /// Takes what concerns the agent out of what arrived.
    /// - Returns: whether it did.
    public func receive(_ message: Message, from sender: NodeID) -> Bool {
        switch message {
        case .lead(let lead): perform(.lead(lead, from: sender))
        case .assignments(let update): perform(.assignments(update, from: sender))
        case .topology(let part): perform(.topology(part, from: sender))
        case .heartbeat, .copies, .replicaChange, .request, .reply, .follow, .append, .chunk,
            .handOver, .retire:
            return false
        }
        return true
    }

    /// Sends heartbeats until cancelled, from a queue of its own: while domains wait for a disk that hangs, and hold up
    /// all threads that tasks share, the node must not be taken for dead with all that it owns.
    public func run() async {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "heartbeats"))
        timer.setEventHandler { [self] in
            let mayVouch = mayVouch()
            agent.withLock { $0.vouches = mayVouch }
            perform(.tick)
        }
        timer.schedule(deadline: .now(), repeating: .nanoseconds(Int(clamping: interval.nanoseconds)))
        timer.resume()
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(3_600))  // ends early only when cancelled, which the loop sees
        }
        timer.cancel()
    }

    /// Decisions and their effects happen under one lock, so that effects keep the order of decisions.
    private func perform(_ event: NodeAgent.Event) {
        agent.withLock { agent in
            agent.isJournalWritable = isJournalWritable()
            for directive in agent.handle(event, at: SystemClock.now()) {
                switch directive {
                case .send(let message, let peer): transport.send(message, to: peer)
                case .assigned(let assignments): onAssigned(assignments)
                case .lease(let until): onLease(until)
                case .topology(let active): onTopology(active)
                }
            }
        }
    }
}
