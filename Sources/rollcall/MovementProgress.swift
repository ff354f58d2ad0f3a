import ClusterClients
import ClusterRuntime
import RegistrarEvents

/// Gives an order to the active router, and watches the cluster's status until it is carried out.
struct MovementProgress: Sendable {
    let topology: Topology
    let order: MovementOrder
    /// What goes on when nobody watches any more, such as "the drain".
    let what: String
    let timeout: Duration

    static let interval: Duration = .milliseconds(100)

    /// - Parameter judge: what a status means for the order.
    /// - Returns: the status in which it was done.
    /// - Throws: `CommandFailure`: 1 when it was refused, given up, interrupted or not done in time, 3 when no router
    ///   took the order or none answers any more.
    func run(_ judge: @escaping @Sendable (ClusterStatus) -> ProgressLook) async throws -> ClusterStatus {
        let topology = topology
        let status = try await TerminationSignals.run {
            try await topology.withClient { client in
                try await give(client)
                return try await watch(client, judge)
            }
        }
        guard let status else {
            throw CommandFailure.no("interrupted; \(what) goes on: rollcall status \(topology.file)")
        }
        return status
    }

    /// Only gives the order.
    func give() async throws { try await topology.withClient { try await give($0) } }

    private func give(_ client: ClusterClient) async throws {
        switch await client.order(order) {
        case .accepted: break
        case .refused(let why): throw CommandFailure.no(why)
        case .unanswered(let said):
            throw CommandFailure.unreachable("no router of \(topology.file) that leads took the order\n\(said)")
        }
    }

    private func watch(
        _ client: ClusterClient, _ judge: (ClusterStatus) -> ProgressLook
    ) async throws -> ClusterStatus {
        let deadline = SystemClock.monotonic() + timeout
        var told: String?
        var isAnswered = true
        while SystemClock.monotonic() < deadline {
            let status = await client.status()
            isAnswered = status != nil
            // What a router that does not lead was told says nothing of what has come about.
            switch status.flatMap({ $0.isConclusive ? judge($0) : nil }) {
            case .done: if let status { return status }
            case .givenUp(let why): throw CommandFailure.no(why)
            case .underWay(let text):
                if text != told { Console.error(text) }
                told = text
            case nil: break
            }
            try await Task.sleep(for: Self.interval)
        }
        let seconds = timeout.components.seconds
        throw isAnswered
            ? CommandFailure.no("not done within \(seconds) s; \(what) goes on: rollcall status \(topology.file)")
            : CommandFailure.unreachable("no router answers any more; \(what) goes on when one leads again")
    }
}
