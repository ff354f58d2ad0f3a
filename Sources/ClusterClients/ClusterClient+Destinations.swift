package import ClusterRuntime
import Foundation
import NIOHTTP1

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

    /// Has a destination that wanted nothing any more told of everything again, at all `sr` nodes.
    /// - Returns: the names of the nodes that do, that have no such destination, and that did not answer.
    package func resume(
        _ destination: String, timeout: Duration = .seconds(2)
    ) async -> (resumed: [String], unknown: [String], silent: [String]) {
        let escaped = destination.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? destination
        var (resumed, unknown, silent): ([String], [String], [String]) = ([], [], [])
        for node in topology.nodes(of: .sr) {
            let answer = try? await send(  // a node that is down begins anew with every destination
                .POST, "/rest/v1/registrar/destinations/\(escaped)/resume", to: node, timeout: timeout)
            switch answer?.status {
            case 202: resumed.append(node.name.rawValue)
            case 404: unknown.append(node.name.rawValue)
            default: silent.append(node.name.rawValue)
            }
        }
        return (resumed, unknown, silent)
    }
}
