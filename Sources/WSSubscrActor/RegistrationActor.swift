public import ClusterRuntime
public import RegistrarEvents

/// Runs the `RegistrationKeeper` of a node: carries out its operations, and tells whoever opened a registration how the
/// first of them went.
public actor RegistrationActor {
    private var keeper: RegistrationKeeper
    private let client: any RegistrarClient
    private let deadline: Duration
    private var answers: [RegistrationKeeper.ID: CheckedContinuation<Reply.Result, Never>] = [:]
    private var idle: [CheckedContinuation<Void, Never>] = []
    private var isOver = false

    /// - Parameters:
    ///   - ttl: time to live of a registration.
    ///   - deadline: how long an operation is tried.
    ///   - seed: of the jitter of renewals.
    public init(client: any RegistrarClient, ttl: Duration, deadline: Duration, seed: UInt64) {
        self.client = client
        self.deadline = deadline
        keeper = RegistrationKeeper(ttl: ttl, seed: seed)
    }

    /// Registers a connection and keeps it registered until `close`.
    /// - Parameter id: never used before.
    /// - Returns: how the first registration went; when it was refused there is nothing to close.
    public func open(
        _ id: RegistrationKeeper.ID, _ contact: PackedContact, on domain: DomainName
    ) async -> Reply.Result {
        guard !isOver else { return .refused(.unavailable) }
        return await withCheckedContinuation { continuation in
            answers[id] = continuation
            handle(.opened(id, domain, contact))
        }
    }

    /// Unregisters a connection, in its own time.
    public nonisolated func close(_ id: RegistrationKeeper.ID) {
        Task { await self.handle(.closed(id)) }
    }

    /// Registrations that are not released yet.
    public var count: Int { keeper.count }

    /// Lets time go by until cancelled.
    public func run() async {
        while !Task.isCancelled {
            handle(.tick)
            try? await Task.sleep(for: .milliseconds(500))  // ends early only when cancelled, which the loop sees
        }
    }

    /// Waits until nothing is registered any more, but not longer than this.
    /// - Returns: how many are left.
    public func drained(within patience: Duration) async -> Int {
        isOver = true
        let timer = Task {
            try? await Task.sleep(for: patience)  // cancelled when all is done
            self.resumeIdle()
        }
        if keeper.count > 0 { await withCheckedContinuation { idle.append($0) } }
        timer.cancel()
        return keeper.count
    }

    private func handle(_ event: RegistrationKeeper.Event) {
        for directive in keeper.handle(event, at: SystemClock.monotonic()) {
            switch directive {
            case .perform(let operation, let id, let domain): perform(operation, of: id, on: domain)
            case .answered(let id, let result): answers.removeValue(forKey: id)?.resume(returning: result)
            case .released: break
            }
        }
        if keeper.count == 0 { resumeIdle() }
    }

    private func resumeIdle() {
        let waiting = idle
        idle = []
        for continuation in waiting { continuation.resume() }
    }

    private func perform(_ operation: Request.Operation, of id: RegistrationKeeper.ID, on domain: DomainName) {
        Task {
            let result = await client.perform(operation, on: domain, deadline: deadline)
            handle(.finished(id, result))
        }
    }
}
