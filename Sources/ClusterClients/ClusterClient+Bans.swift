import ClusterRuntime
import Foundation
import NIOHTTP1

/// An address that a node turns away.
package struct HeldBan: Codable, Hashable, Sendable {
    /// Which node; not in a node's own answer.
    package var node: String?
    package var address: String
    package var failures: Int
    /// How many seconds are left.
    package var seconds: Int
}

extension ClusterClient {
    /// The nodes that clients connect to, and that may turn some away.
    private var frontiers: [NodeSpec] { topology.nodes(of: .wssubscr) + topology.nodes(of: .sg) }

    /// What all frontiers turn away, by node and address.
    /// - Returns: also the names of the nodes that did not say.
    package func bans(timeout: Duration = .seconds(2)) async -> (bans: [HeldBan], silent: [String]) {
        var bans: [HeldBan] = []
        var silent: [String] = []
        for node in frontiers {
            // A node that is down, or answers with something else, says nothing of its bans.
            if let answer = try? await get("/rest/v1/bans", from: node, timeout: timeout), answer.isOK,
                let held = try? JSONDecoder().decode([HeldBan].self, from: answer.body)
            {
                bans += held.map { ban in
                    var ban = ban
                    ban.node = node.name.rawValue
                    return ban
                }
            } else {
                silent.append(node.name.rawValue)
            }
        }
        return (bans, silent)
    }

    /// Lets an address try again at all frontiers.
    /// - Returns: the names of the nodes that had turned it away, and of those that did not answer.
    package func liftBan(
        of address: String, timeout: Duration = .seconds(2)
    ) async -> (lifted: [String], silent: [String]) {
        let escaped = address.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? address
        var lifted: [String] = []
        var silent: [String] = []
        for node in frontiers {
            let answer = try? await send(  // a node that is down has forgotten its bans
                .DELETE, "/rest/v1/bans/\(escaped)", to: node, timeout: timeout)
            switch answer?.status {
            case 200: lifted.append(node.name.rawValue)
            case 404: break
            default: silent.append(node.name.rawValue)
            }
        }
        return (lifted, silent)
    }
}
