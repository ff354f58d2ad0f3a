package import ClusterRuntime
import Foundation

/// A destination, and at which node it fares so.
package struct HeldDestination: Encodable, Sendable {
    package let node: String
    package let status: DestinationStatus

    private enum CodingKeys: String, CodingKey { case node }

    package func encode(to encoder: any Encoder) throws {
        try status.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(node, forKey: .node)
    }
}

extension ClusterClient {
    /// What all `sr` nodes deliver, by node.
    /// - Returns: also the names of the nodes that did not say.
    package func destinations(
        timeout: Duration = .seconds(2)
    ) async -> (destinations: [HeldDestination], silent: [String]) {
        var destinations: [HeldDestination] = []
        var silent: [String] = []
        for node in topology.nodes(of: .sr) {
            // A node that is down, or answers with something else, says nothing of its destinations.
            if let answer = try? await get("/rest/v1/registrar/destinations", from: node, timeout: timeout),
                answer.isOK, let held = try? JSONDecoder().decode([DestinationStatus].self, from: answer.body)
            {
                destinations += held.map { HeldDestination(node: node.name.rawValue, status: $0) }
            } else {
                silent.append(node.name.rawValue)
            }
        }
        return (destinations, silent)
    }
}
