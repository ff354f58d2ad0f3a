public import ClusterRuntime

/// Whether enough servers of a site are there: more than half, each by any of its nodes.
///
/// Where that is not known yet, nobody is given anything, and nothing is taken away.
public struct SiteQuorum: Hashable, Sendable {
    public enum Standing: Hashable, Sendable {
        case held
        case unknown
        case lost(since: MonotonicInstant)
    }

    public let servers: Int
    /// How many of them are there.
    public let present: Int
    public let standing: Standing

    public var isHeld: Bool { standing == .held }

    /// Such as `1 of 3 servers, no quorum`.
    public var text: String { "\(present) of \(servers) servers\(isHeld ? "" : ", no quorum")" }
}

extension Membership {
    /// Of the sites that ask for one, by name.
    var quorums: [String: SiteQuorum] {
        sites.reduce(into: [:]) { $0[$1.name] = quorum(of: $1) }
    }

    private func quorum(of site: ClusterLayout.Site) -> SiteQuorum {
        var (present, unknown) = (0, 0)
        var gone: [MonotonicInstant] = []
        for server in site.servers {
            let nodes = members.filter { $0.node.site == site.name && $0.node.server == server }
            if nodes.contains(where: \.isAlive) {
                present += 1
            } else if nodes.contains(where: { $0.standing == .unknown }) {
                unknown += 1
            } else {
                gone.append(nodes.compactMap(\.goneSince).max() ?? listeningSince)
            }
        }
        let needed = site.servers.count / 2 + 1
        if present >= needed || site.servers.isEmpty {
            return SiteQuorum(servers: site.servers.count, present: present, standing: .held)
        }
        guard present + unknown < needed else {
            return SiteQuorum(servers: site.servers.count, present: present, standing: .unknown)
        }
        // With this many gone, the others were too few.
        let since = gone.sorted()[site.servers.count - needed]
        return SiteQuorum(servers: site.servers.count, present: present, standing: .lost(since: since))
    }
}
