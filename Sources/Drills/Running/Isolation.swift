import ClusterRuntime
import RegistrarEvents

/// The side of a cut that is too small to decide anything: once the leases are over, nothing that a client sends to one
/// of its nodes may be acknowledged before the cut is healed.
struct Isolation: Sendable {
    var nodes: Set<NodeName>
    var since: MonotonicInstant
    /// Nil while the cut lasts.
    var until: MonotonicInstant?

    /// What was acknowledged although it could not be.
    /// - Parameters:
    ///   - lease: the longest that a lone owner goes on (`Periods.ownerLease`).
    ///   - operations: with the node that each was sent to.
    func violations(lease: Duration, _ operations: [Operation]) -> [Violation] {
        operations.compactMap { operation in
            guard let node = operation.node, nodes.contains(node), operation.isAcknowledged,
                operation.sent > since + lease, until.map({ operation.ended < $0 }) ?? true
            else { return nil }
            let late = (operation.ended - since).inMilliseconds
            return Violation(
                .stale, contact: operation.contact,
                "contact \(operation.contact) was acknowledged through \(node) \(late) ms after it was cut off")
        }
    }
}

extension DrillCluster {
    /// The side without a majority of etcd, when hosts are cut off from the rest.
    func isolated(by side: Set<Int>, since: MonotonicInstant) -> Isolation? {
        guard let hosts, let etcd else { return nil }
        func members(on hosts: Set<Int>) -> Int {
            etcd.members.count { member in self.hosts?.host(of: member.address).map(hosts.contains) ?? false }
        }
        let rest = hosts.everywhere.subtracting(side)
        guard let small = [side, rest].first(where: { members(on: $0) * 2 <= etcd.members.count }), !small.isEmpty
        else { return nil }
        return Isolation(nodes: Set(hosts.nodes(on: small).map(\.name)), since: since)
    }

    /// Nil when the domain's owner and every standby that it waits for are together on the small side: it may go on.
    func mute(_ isolation: Isolation, _ status: ClusterStatus?, _ domain: DomainName) -> Isolation? {
        guard let entry = status?.domains.first(where: { $0.name == domain.rawValue }) else { return nil }
        let standbys = entry.standbys.filter(\.inSync).map { NodeName($0.name) }
        let copies = Set(standbys + [entry.owner].compactMap { $0.map { NodeName($0) } })
        return !standbys.isEmpty && copies.isSubset(of: isolation.nodes) ? nil : isolation
    }
}
