package import ClusterRuntime
import RegistrarEvents

/// What keeps a cluster from bearing the loss of a node: decided from a router's status alone.
package enum ClusterReadiness {
    /// Of domains: the others are counted.
    static let maximumNamed = 3

    /// In sentences; empty when every node is there, every domain has its owner and all of its standbys in sync, and
    /// nothing moves.
    /// - Parameters:
    ///   - absent: the node that is away on purpose: drained, and perhaps between two lives.
    ///   - drained: nodes that an operator keeps drained. They must be there, and serve nothing.
    package static func complaints(
        of status: ClusterStatus, _ topology: Topology, absent: NodeName? = nil, drained: Set<NodeName> = []
    ) -> [String] {
        var complaints = [status.coordinator?.complaint].compactMap(\.self)
        if !status.routers.contains(where: { $0.state == .active }) { complaints.append("no router leads") }
        let nodes = Dictionary(status.nodes.map { ($0.name, $0) }) { first, _ in first }
        complaints += topology.nodes.compactMap { node in
            guard node.name != absent else { return nil }
            return complaint(of: node, nodes[node.name.rawValue], isDrained: drained.contains(node.name))
        }
        let needs = StandbyNeeds(topology).standbys(without: drained.union([absent].compactMap(\.self)))
        let entries = Dictionary(status.domains.map { ($0.name, $0) }) { first, _ in first }
        let domains = topology.domains.compactMap { domain in
            let name = domain.name.rawValue
            return complaint(of: domain, entries[name], standbys: needs[name] ?? 0)
        }
        complaints += domains.prefix(maximumNamed)
        if domains.count > maximumNamed {
            complaints.append("\(domains.count - maximumNamed) more domains are not as they should be")
        }
        return complaints
    }

    private static func complaint(of node: NodeSpec, _ entry: ClusterStatus.Node?, isDrained: Bool) -> String? {
        guard let entry else {
            return "the routers do not know \(node.name): their topology is another one"
        }
        switch entry.status {
        case .up: return nil
        case .suspect, .down: return "\(node.name) is \(entry.status.rawValue)"
        case .draining: return "\(node.name) is being drained"
        case .drained: return isDrained ? nil : "\(node.name) is drained"
        }
    }

    private static func complaint(
        of domain: DomainSpec, _ entry: ClusterStatus.Domain?, standbys: Int
    ) -> String? {
        guard let entry, entry.owner != nil else { return "nobody owns \(domain.name)" }
        if let target = entry.movingTo { return "\(domain.name) is being moved to \(target)" }
        if let standby = entry.standbys.first(where: { !$0.inSync }) {
            return "\(domain.name)'s standby \(standby.name) is not in sync"
        }
        let inSync = entry.standbys.count(where: \.inSync)
        return inSync >= standbys ? nil : "\(domain.name) has \(inSync) of \(standbys) standbys in sync"
    }
}
