import ClusterRuntime
import RegistrarEvents

/// By what in the routers' status a fault is known to have been noticed.
extension FaultInjector {
    /// Whether a status shows what follows from a fault.
    static func shows(_ sign: InjectedFault.Sign, _ status: ClusterStatus, domain: String) -> Bool {
        let entry = status.domains.first { $0.name == domain }
        switch sign {
        case .newEpoch(let old): return (entry?.epoch ?? 0) > old && entry?.owner != nil
        case .standbyGone(let name): return entry?.standbys.contains { $0.name == name && $0.inSync } == false
        case .otherRouter(let name): return status.routers.contains { $0.state == .active && $0.name != name }
        case .nodeDown(let name): return status.nodes.contains { $0.name == name && $0.status == .down }
        case .drained(let name): return status.nodes.contains { $0.name == name && $0.status == .drained }
        case .unharmed: return entry?.owner != nil
        }
    }

    func sign(
        of action: DrillFile.Action, _ victim: Victim, _ status: ClusterStatus?
    ) -> InjectedFault.Sign {
        guard case .node(let node) = victim else { return .unharmed }
        let entry = status?.domains.first { $0.name == domain.rawValue }
        let isOwner = entry?.owner == node.rawValue
        switch action {
        case .move: return .newEpoch(after: entry?.epoch ?? 0)
        case .drain: return isOwner ? .newEpoch(after: entry?.epoch ?? 0) : .drained(node.rawValue)
        case .kill, .pause, .resume, .start, .undrain, .restart, .cut, .slow, .heal, .fill, .free, .kafka: break
        }
        return sign(without: [node.rawValue], status)
    }

    /// What follows when these nodes are gone: the weightiest thing.
    func sign(without nodes: Set<String>, _ status: ClusterStatus?) -> InjectedFault.Sign {
        let entry = status?.domains.first { $0.name == domain.rawValue }
        if let entry, let owner = entry.owner, nodes.contains(owner) { return .newEpoch(after: entry.epoch) }
        if let standby = entry?.standbys.first(where: { $0.inSync && nodes.contains($0.name) }) {
            return .standbyGone(standby.name)
        }
        if let router = status?.routers.first(where: { $0.state == .active && nodes.contains($0.name) }) {
            return .otherRouter(than: router.name)
        }
        return nodes.min().map { .nodeDown($0) } ?? .unharmed
    }
}

extension InjectedFault.Sign {
    /// Which of several says most.
    var weight: Int {
        switch self {
        case .newEpoch: 5
        case .standbyGone: 4
        case .otherRouter: 3
        case .nodeDown: 2
        case .drained: 1
        case .unharmed: 0
        }
    }
}
