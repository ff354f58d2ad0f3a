package import ClusterRuntime
import NIOCore
import NIOHTTP1
import RegistrarEvents

/// What a node said to the order to restart.
package enum RestartAnswer: Hashable, Sendable {
    case accepted
    /// The life that was meant is over already.
    case anotherLife
    /// With the reason.
    case refused(String)
    /// It could not be asked, or did not say.
    case unanswered(String)
}

extension ClusterClient {
    /// Asks one life of a node to end, so that whoever started it starts it again. May be asked again: a later life
    /// takes no notice.
    package func restart(
        _ node: NodeSpec, incarnation: UInt64, timeout: Duration = .seconds(2)
    ) async -> RestartAnswer {
        let answer: Answer
        do throws(Failure) {
            answer = try await send(
                .POST, "/rest/v1/node/restart", to: node,
                body: ByteBuffer(string: #"{"incarnation":\#(incarnation)}"#), timeout: timeout)
        } catch {
            return .unanswered("\(error)")
        }
        let message = answer.message
        switch answer.status {
        case 200..<300: return .accepted
        case 412: return .anotherLife
        case 404: return .refused("its version cannot be asked to restart; let what started it do that")
        case 500...: return .unanswered("HTTP \(answer.status) \(message)")
        default: return .refused(message)
        }
    }

    /// What the health addresses of nodes complain of, in the order of the topology. Silence counts.
    package func ailments(of nodes: [NodeSpec]) async -> [String] {
        await withTaskGroup(of: (Int, String?).self) { group in
            for (index, node) in nodes.enumerated() {
                group.addTask {
                    switch await self.health(of: node, timeout: .seconds(2)) {
                    case .healthy: (index, nil)
                    case .unhealthy(let reasons): (index, "\(node.name) is not healthy: \(reasons)")
                    case .silent: (index, "\(node.name) does not answer on port \(node.adminPort)")
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.compactMap(\.1)
        }
    }
}
