import ClusterRuntime
import Foundation
import Synchronization

/// Follows the leader's key, and tells when it is gone: the shell of `VacancyWatch`.
final class LeaderWatch: Sendable {
    /// Between a watch and the next; after one that failed it is as long as an endpoint is given to answer.
    private static let pause: Duration = .milliseconds(100)

    private let gateway: EtcdGateway
    private let key: Data
    private let patience: Duration
    private let machine: Mutex<VacancyWatch>

    /// - Parameters:
    ///   - patience: how long an endpoint is given to answer.
    ///   - revision: up to which everything is known already.
    init(_ gateway: EtcdGateway, key: Data, patience: Duration, after revision: Int64 = 0) {
        self.gateway = gateway
        self.key = key
        self.patience = patience
        machine = Mutex(VacancyWatch(after: revision))
    }

    /// Runs until cancelled.
    func run(_ vacant: @Sendable () -> Void) async {
        var event = VacancyWatch.Event.begin
        while !Task.isCancelled {
            // What is asked for comes last, and its answer is what happens next.
            for directive in handle(event) {
                do throws(EtcdFault) {
                    switch directive {
                    case .vacant: vacant()
                    case .look: event = try await look()
                    case .follow(let revision):
                        try await follow(after: revision, vacant)
                        event = .ended
                    case .pause(let isLong):
                        // Cancelled: the loop's condition sees it.
                        try? await Task.sleep(for: isLong ? patience : Self.pause)
                        event = .begin
                    }
                } catch {
                    // Campaigns fail as well then, and say so. A refusal may also be of what was asked for.
                    if case .refused = error { event = .refused } else { event = .failed }
                }
            }
        }
    }

    private func handle(_ event: VacancyWatch.Event) -> [VacancyWatch.Directive] {
        machine.withLock { $0.handle(event) }
    }

    private func look() async throws(EtcdFault) -> VacancyWatch.Event {
        let reply: Gateway.RangeReply = try await gateway.call("kv/range", Gateway.Range(key: key), within: patience)
        guard let revision = reply.header.revision?.value else { throw .foreign("an answer without a revision") }
        return .looked(revision: revision, isVacant: reply.kvs?.isEmpty ?? true)
    }

    private func follow(after revision: Int64, _ vacant: @Sendable () -> Void) async throws(EtcdFault) {
        let create = Gateway.Watch(create_request: .init(key: key, start_revision: .init(revision + 1)))
        try await gateway.watch(create, within: patience) { line throws(EtcdFault) in
            guard let result = line.result else { throw .unanswered("the watch ended") }
            guard result.canceled != true else {
                throw .refused(code: EtcdFault.Code.outOfRange, result.cancel_reason ?? "compacted")
            }
            for event in result.events ?? [] {
                // The header may name a later revision, of which not everything has been sent yet.
                let change = VacancyWatch.Event.changed(
                    revision: event.kv.mod_revision.value, isVacant: event.type == "DELETE")
                if self.handle(change).contains(.vacant) { vacant() }
            }
        }
    }
}
