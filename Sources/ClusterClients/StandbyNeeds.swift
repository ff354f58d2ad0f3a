package import ClusterRuntime
import RegistrarEvents

/// How many standbys in sync the domains of a topology can be asked to have: what their `replicas` say, as far as the
/// nodes that may serve them allow.
package struct StandbyNeeds: Sendable {
    private let nodes: [ClusterLayout.Node]
    private let domains: [String: ClusterLayout.Domain]

    package init(_ topology: Topology) {
        let layout = ClusterLayout(topology)
        nodes = layout.nodes(of: .sr)
        domains = Dictionary(layout.domains.map { ($0.name.rawValue, $0) }) { first, _ in first }
    }

    /// By domain.
    /// - Parameter idle: nodes that take no copies, such as drained ones.
    package func standbys(without idle: Set<NodeName> = []) -> [String: Int] {
        let serving = Dictionary(grouping: nodes.filter { !idle.contains($0.name) }, by: \.group).mapValues(\.count)
        return domains.mapValues { max(0, min($0.replicas, serving[$0.group] ?? 0) - 1) }
    }

    /// Domains with fewer standbys in sync than their topology asks for, whatever nodes there are.
    package func shortOfReplicas(_ status: ClusterStatus) -> [String] {
        status.domains(lacking: domains.mapValues { $0.replicas - 1 })
    }

    /// Domains with fewer standbys in sync than the nodes allow that are there and take copies.
    package func shortOfAvailable(_ status: ClusterStatus) -> [String] {
        let withoutQuorum = Set((status.sites ?? []).filter { !$0.hasQuorum }.map(\.name))
        let idle = status.nodes.filter { node in
            switch node.status {
            case .down, .draining, .drained: true
            case .up, .suspect: withoutQuorum.contains(node.site)
            }
        }
        return status.domains(lacking: standbys(without: Set(idle.map { NodeName($0.name) })))
    }
}

extension ClusterStatus {
    /// Those with fewer standbys in sync than is asked for.
    fileprivate func domains(lacking needs: [String: Int]) -> [String] {
        domains.filter { $0.standbys.count(where: \.inSync) < needs[$0.name] ?? 0 }.map(\.name)
    }
}
