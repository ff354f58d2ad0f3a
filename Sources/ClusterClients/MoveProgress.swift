package import ClusterRuntime

/// How far an ordered move of a domain is, look by look.
package struct MoveProgress: Sendable {
    private let domain: String
    private let node: String
    private var lastSign: MonotonicInstant

    /// How long a status of a router that leads may show no sign of the move before it counts as given up.
    package static let patience: Duration = .seconds(2)

    package init(_ domain: String, to node: String, at now: MonotonicInstant) {
        self.domain = domain
        self.node = node
        lastSign = now
    }

    package mutating func look(at status: ClusterStatus, _ now: MonotonicInstant) -> ProgressLook {
        guard let entry = status.domains.first(where: { $0.name == domain }) else {
            return .givenUp("\(domain) is not served any more")
        }
        if entry.owner == node { return .done }
        // The order is at the coordinator: while nobody leads it is neither carried out nor given up.
        guard status.routers.contains(where: { $0.state == .active }) else {
            lastSign = now
            return .underWay("\(domain): no router leads at the moment")
        }
        if entry.movingTo == node { lastSign = now }
        guard now - lastSign <= Self.patience else {
            return .givenUp("\(domain) is not moved any more: is \(node) down or drained?")
        }
        let standby = entry.standbys.first { $0.name == node }
        let state = standby.map { $0.inSync ? "takes over" : "is being filled" } ?? "is to be filled"
        return .underWay("\(domain): \(node) \(state)")
    }
}
