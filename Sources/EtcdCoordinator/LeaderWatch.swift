import ClusterRuntime
import Foundation
import Synchronization

/// Follows the leader's key, and tells when it is gone.
///
/// A watch is taken up where the last one ended, so what happened while there was none is told as well. Where etcd has
/// compacted that away, the key itself is looked at.
final class LeaderWatch: Sendable {
    private struct State {
        /// Everything up to this of etcd's revisions is known; 0 before the key was first looked at.
        var revision: Int64 = 0
        var isVacant = false
    }

    /// Between a watch and the next; after one that failed it is as long as an endpoint is given to answer.
    private static let pause: Duration = .milliseconds(100)

    private let gateway: EtcdGateway
    private let key: Data
    private let patience: Duration
    private let state: Mutex<State>

    /// - Parameters:
    ///   - patience: how long an endpoint is given to answer.
    ///   - revision: up to which everything is known already.
    init(_ gateway: EtcdGateway, key: Data, patience: Duration, after revision: Int64 = 0) {
        self.gateway = gateway
        self.key = key
        self.patience = patience
        state = Mutex(State(revision: revision))
    }

    /// Runs until cancelled.
    func run(_ vacant: @Sendable () -> Void) async {
        while !Task.isCancelled {
            var pause = Self.pause
            do throws(EtcdFault) {
                if state.withLock(\.revision) == 0 { try await look(vacant) }
                try await follow(vacant)
            } catch {
                // Campaigns fail as well then, and say so. A refusal may also be of what was asked for: look anew.
                if case .refused = error { state.withLock { $0.revision = 0 } } else { pause = patience }
            }
            try? await Task.sleep(for: pause)  // Cancelled: the loop's condition sees it.
        }
    }

    private func look(_ vacant: @Sendable () -> Void) async throws(EtcdFault) {
        let reply: Gateway.RangeReply = try await gateway.call("kv/range", Gateway.Range(key: key), within: patience)
        take(reply.header.revision, isVacant: reply.kvs?.isEmpty ?? true, vacant)
    }

    private func follow(_ vacant: @Sendable () -> Void) async throws(EtcdFault) {
        let start = state.withLock(\.revision) + 1
        let create = Gateway.Watch(create_request: .init(key: key, start_revision: .init(start)))
        try await gateway.watch(create, within: patience) { line throws(EtcdFault) in
            guard let result = line.result else { throw .unanswered("the watch ended") }
            guard result.canceled != true else {
                throw .refused(code: EtcdFault.Code.outOfRange, result.cancel_reason ?? "compacted")
            }
            for event in result.events ?? [] {
                self.take(result.header.revision, isVacant: event.type == "DELETE", vacant)
            }
        }
    }

    private func take(_ revision: Gateway.Wide?, isVacant: Bool, _ vacant: @Sendable () -> Void) {
        let isNews = state.withLock { state in
            defer {
                state.isVacant = isVacant
                state.revision = max(state.revision, revision?.value ?? 0)
            }
            return isVacant && !state.isVacant
        }
        if isNews { vacant() }
    }
}
