public import RegistrarEvents

/// The shell of `RequestMachine`: gives requests ids, puts them on the transport and wakes whoever waits for a reply.
///
/// Requests that come in one after the other leave together: what is to be sent is kept until every call that was
/// already waiting for this actor has had its turn.
public actor RequestRouter: RegistrarClient {
    private var machine: RequestMachine
    private let transport: any Transport
    private let counters: RequestCounters
    private let now: @Sendable () -> Moment
    private var nextID: UInt64
    private var calls: [UInt64: CheckedContinuation<Reply.Result, Never>] = [:]
    private var outbox = Outbox()
    private var isTicking = false

    /// - Parameters:
    ///   - node: this node. Its incarnation makes the ids of requests unlike those of earlier lives.
    ///   - metrics: where requests, repeats and refusals are counted.
    ///   - maximumPending: requests that may be unfinished; more are refused as overload.
    public init(
        node: NodeID, transport: any Transport, metrics: MetricsRegistry = MetricsRegistry(),
        maximumPending: Int = RequestMachine.defaultMaximumPending,
        now: @escaping @Sendable () -> Moment = { SystemClock.now() }
    ) {
        machine = RequestMachine(seed: node.incarnation, maximumPending: maximumPending)
        self.transport = transport
        self.now = now
        counters = RequestCounters(in: metrics)
        // Incarnations are milliseconds: a million requests in each would have to be made for ids to meet.
        nextID = node.incarnation &<< 20 | 1
    }

    /// How many requests are unfinished.
    public var pendingCount: Int { machine.pendingCount }

    public func perform(
        _ operation: Request.Operation, on domain: DomainName, deadline: Duration
    ) async -> Reply.Result {
        let id = nextID
        nextID &+= 1
        counters.requests.add()
        return await withCheckedContinuation { continuation in
            calls[id] = continuation
            handle(.perform(id: id, operation, on: domain, deadline: deadline))
        }
    }

    /// Takes in replies, as they came in one frame. Those to unknown ids are ignored.
    public func receive(_ replies: [Reply], from node: NodeID) { handle(.replied(replies, from: node)) }

    /// Takes in new assignments.
    public func assigned(_ assignments: [Assignment]) { handle(.assigned(assignments)) }

    private func handle(_ event: RequestMachine.Event) {
        for directive in machine.handle(event, at: now()) {
            switch directive {
            case .send(let request, let peer, let attempt):
                if attempt > 1 { counters.repeats.add() }
                send(request, to: peer)
            case .finish(let id, let result):
                if case .refused(let refusal) = result { counters.count(refusal) }
                calls.removeValue(forKey: id)?.resume(returning: result)
            }
        }
        watchTheTime()
    }

    // MARK: Sending together

    private func send(_ request: Request, to peer: NodeName) {
        if outbox.isEmpty {
            Task { flush() }
        }
        outbox.append(.request(request), for: peer)
    }

    private func flush() {
        for (peer, messages) in outbox.empty() { transport.send(messages, to: peer) }
    }

    // MARK: Time

    /// Ticks for as long as something is pending, so an idle node does not wake for this.
    private func watchTheTime() {
        guard !isTicking, machine.pendingCount > 0 else { return }
        isTicking = true
        Task { await tick() }
    }

    private func tick() async {
        while machine.pendingCount > 0 {
            // Only cancellation ends a sleep early, and nobody cancels this task.
            try? await Task.sleep(for: RequestMachine.tickPeriod)
            handle(.tick)
        }
        isTicking = false
    }
}

/// What is to be sent, by peer in the order of their first messages.
private struct Outbox {
    private var batches: [(peer: NodeName, messages: [Message])] = []

    var isEmpty: Bool { batches.isEmpty }

    mutating func append(_ message: Message, for peer: NodeName) {
        // Owners are few, and mostly the last one is asked again.
        if let index = batches.lastIndex(where: { $0.peer == peer }) {
            batches[index].messages.append(message)
        } else {
            batches.append((peer, [message]))
        }
    }

    mutating func empty() -> [(peer: NodeName, messages: [Message])] {
        defer { batches = [] }
        return batches
    }
}
