package import ClusterRuntime

/// In which order a cluster's nodes are restarted.
package struct RestartPlan: Hashable, Sendable {
    package let nodes: [NodeSpec]

    /// Those whose loss does least come first, so that a new program that does not run is found at little cost: routers
    /// that stand by, frontiers, then `sr` nodes, the active router last. Within these by the topology's order.
    /// - Parameter only: these nodes alone; nil for all.
    package init(_ topology: Topology, _ status: ClusterStatus, only: Set<NodeName>? = nil) {
        let active = status.routers.first { $0.state == .active }?.name
        func turn(_ node: NodeSpec) -> Int {
            switch node.role {
            case .router: node.name.rawValue == active ? 4 : 0
            case .arbiter: 0
            case .wssubscr: 1
            case .sg: 2
            case .sr: 3
            }
        }
        nodes = topology.nodes.enumerated()
            .filter { only?.contains($0.element.name) ?? true }
            .sorted { (turn($0.element), $0.offset) < (turn($1.element), $1.offset) }
            .map(\.element)
    }

    /// Why it cannot be done without refusing anybody, if so.
    /// - Parameter drained: nodes that own nothing and may own nothing.
    package func objection(_ topology: Topology, drained: Set<NodeName>) -> String? {
        // Nobody stands in for the nodes of another group.
        let groups = Set(ClusterLayout(topology).domains.map(\.group)).sorted { ($0 ?? "") < ($1 ?? "") }
        for group in groups {
            let serving = topology.nodes(of: .sr).filter { $0.group == group && !drained.contains($0.name) }
            guard serving.count == 1, let sole = serving.first, nodes.contains(where: { $0.name == sole.name }) else {
                continue
            }
            let kind = group.map { "sr node of group \($0)" } ?? "sr node"
            return "\(sole.name) is the only \(kind) that serves: nobody could take its domains while it restarts"
        }
        return nil
    }

    /// What clients will notice beyond reconnecting elsewhere, in sentences.
    package func warnings(_ topology: Topology) -> [String] {
        nodes.compactMap { node in
            guard topology.nodes(of: node.role).count == 1 else { return nil }
            switch node.role {
            case .wssubscr: return "\(node.name) is the only wssubscr node: websockets wait until it is back"
            case .sg: return "\(node.name) is the only sg node: phones send their requests again until it is back"
            case .router: return "\(node.name) is the only router: what fails meanwhile is replaced when it is back"
            case .sr, .arbiter: return nil
            }
        }
    }
}
