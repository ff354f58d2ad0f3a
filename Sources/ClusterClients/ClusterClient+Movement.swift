package import ClusterRuntime
import Foundation
import NIOCore
import NIOHTTP1
package import RegistrarEvents

/// What became of an order to the active router.
package enum OrderAnswer: Hashable, Sendable {
    case accepted
    /// With the reason.
    case refused(String)
    /// No router that leads took it in time; what the routers said.
    case unanswered(String)
}

extension ClusterClient {
    /// How long between two tries to find the router that leads.
    static let retryInterval: Duration = .milliseconds(200)

    /// Has something moved: asks every router until one that leads takes or refuses the order.
    package func order(_ order: MovementOrder, within limit: Duration = .seconds(10)) async -> OrderAnswer {
        await askLeader(within: limit) { router async throws(Failure) in try await self.give(order, to: router) }
    }

    /// Asks every router until one that leads takes or refuses what is asked.
    func askLeader(
        within limit: Duration, _ ask: (NodeSpec) async throws(Failure) -> Answer
    ) async -> OrderAnswer {
        let deadline = SystemClock.monotonic() + limit
        var said: [String] = []
        repeat {
            said = []
            for router in topology.nodes(of: .router) {
                switch await judge(router, ask) {
                case .unanswered(let text): said.append("\(router.name): \(text)")
                case let answer: return answer
                }
            }
            try? await Task.sleep(for: Self.retryInterval)  // Cancelled: the loop's condition sees it.
        } while SystemClock.monotonic() < deadline && !Task.isCancelled
        return .unanswered(said.joined(separator: "\n"))
    }

    private func give(_ order: MovementOrder, to router: NodeSpec) async throws(Failure) -> Answer {
        switch order {
        case .drain(let node): try await send(.POST, Self.drainPath(node), to: router)
        case .undrain(let node): try await send(.DELETE, Self.drainPath(node), to: router)
        case .move(let domain, let node):
            try await send(
                .POST, "\(Self.domainPath(domain))/move", to: router,
                body: ByteBuffer(string: #"{"node":"\#(node)"}"#))
        }
    }

    private func judge(
        _ router: NodeSpec, _ ask: (NodeSpec) async throws(Failure) -> Answer
    ) async -> OrderAnswer {
        let answer: Answer
        do throws(Failure) {
            answer = try await ask(router)
        } catch {
            return .unanswered("\(error)")
        }
        switch answer.status {
        case 200..<300: return .accepted
        // Not the one that leads, or not at the moment.
        case 307, 421, 500...: return .unanswered("HTTP \(answer.status) \(answer.text)")
        default:
            return .refused(answer.message)
        }
    }

    private static func drainPath(_ node: NodeName) -> String { "/rest/v1/cluster/nodes/\(node)/drain" }
    private static func domainPath(_ domain: DomainName) -> String { "/rest/v1/cluster/domains/\(domain)" }

    /// Why a domain is where it is, by the active router, with the changes of owner that any router decided.
    /// - Returns: nil when no router that leads answers.
    package func explanation(of domain: DomainName, timeout: Duration = .seconds(2)) async -> DomainExplanation? {
        var found: DomainExplanation?
        var changes: Set<OwnerChange> = []
        for router in topology.nodes(of: .router) {
            let explanation: DomainExplanation? = await read("\(Self.domainPath(domain))/explanation", router, timeout)
            let decided: [OwnerChange]? = await read("\(Self.domainPath(domain))/changes", router, timeout)
            if let explanation { found = explanation }
            changes.formUnion(decided ?? [])
        }
        found?.changes = changes.sorted { ($0.epoch, $0.storedAt) < ($1.epoch, $1.storedAt) }
        return found
    }

    private func read<Value: Decodable>(_ path: String, _ router: NodeSpec, _ timeout: Duration) async -> Value? {
        // A router that is down or stands by has nothing to say, or cannot be understood: the others are asked as well.
        guard let answer = try? await get(path, from: router, timeout: timeout), answer.isOK else { return nil }
        // The same.
        return try? JSONDecoder().decode(Value.self, from: answer.body)
    }
}
