package import ClusterRuntime
import RegistrarEvents

/// What a look at the status says of something that is to come about.
package enum ProgressLook: Hashable, Sendable {
    /// What is left to do, in words; printed when it changes.
    case underWay(String)
    case done
    /// It will not come about, for this reason.
    case givenUp(String)
}

/// How far a cluster is with an activated topology.
package struct TopologyProgress: Sendable {
    private let version: UInt64
    private let removed: [DomainName]
    private let added: Set<String>
    private let movesDomains: Bool
    private let needs: StandbyNeeds

    /// - Parameters:
    ///   - topology: the one that was activated, as `version`.
    ///   - difference: what it changes. Nodes that join are waited for; what was down before need not come up for this,
    ///     nor are copies asked for that it would have to hold.
    ///   - movesDomains: whether domains on the move are waited for; nil where the difference tells.
    package init(
        _ topology: Topology, version: UInt64, _ difference: TopologyDifference, movesDomains: Bool? = nil
    ) {
        self.version = version
        removed = difference.domainsRemoved
        added = Set(difference.nodesAdded.map(\.name.rawValue))
        self.movesDomains = movesDomains ?? difference.movesDomains
        needs = StandbyNeeds(topology)
    }

    package func look(at status: ClusterStatus) -> ProgressLook {
        guard let active = status.topology, active >= version else {
            return .underWay("waiting for a router that leads by version \(version)")
        }
        guard active == version else { return .givenUp("version \(active) was activated meanwhile") }
        var missing: [String] = []
        let behind = status.nodes.filter { $0.status != .down && $0.topology ?? 0 < version }
        if !behind.isEmpty { missing.append("\(behind.map(\.name).joined(separator: ", ")) to take it up") }
        let down = status.nodes.filter { $0.status == .down && added.contains($0.name) }
        if !down.isEmpty { missing.append("\(down.map(\.name).joined(separator: ", ")) to be up (rollcall up)") }
        let present = Set(status.domains.map(\.name))
        let leaving = removed.count { present.contains($0.rawValue) }
        if leaving > 0 { missing.append("\(leaving) removed domains to end") }
        let unowned = status.domains.count { $0.owner == nil && $0.isBeingRemoved != true }
        if unowned > 0 { missing.append("\(unowned) domains to be owned") }
        let moving = movesDomains ? status.domains.count { $0.movingTo != nil } : 0
        if moving > 0 { missing.append("\(moving) domains to move") }
        let short = needs.shortOfAvailable(status).count
        if short > 0 { missing.append("\(short) domains to have their standbys in sync") }
        return missing.isEmpty ? .done : .underWay("waiting for " + missing.joined(separator: "; "))
    }
}
