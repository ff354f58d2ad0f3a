public import ClusterRuntime
public import RegistrarEvents

extension RouterMachine {
    /// The cluster as this router sees it.
    /// - Parameter table: what a standby router has been told of the assignments; the active one knows them itself.
    public func status(following table: AssignmentTable, at now: Moment) -> ClusterStatus {
        ClusterStatus(
            routers: layout.routers.map { router($0, at: now) },
            nodes: membership.members.map { describe($0, at: now) },
            domains: planner.layout.domains.compactMap { domain in
                let known = leadership?.book.map { $0[domain.name] } ?? table[domain.name]
                if domain.isClosing, known.map(\.isRetired) ?? true { return nil }
                var described = describe(domain.name, known)
                if domain.isClosing { described.isBeingRemoved = true }
                return described
            },
            coordinator: coordinator, topology: topology.version, sites: sites,
            isDecided: leadership?.book != nil && leadership?.outdated == 0 && leadingTerm(at: now) > 0)
    }

    private var sites: [ClusterStatus.Site]? {
        guard !layout.sites.isEmpty else { return nil }
        let quorums = membership.quorums
        return layout.sites.compactMap { site in
            quorums[site.name].map {
                ClusterStatus.Site(
                    name: site.name, servers: $0.servers, serversPresent: $0.present, hasQuorum: $0.isHeld)
            }
        }
    }

    /// The last changes of the domain's owner that this router decided, oldest first.
    public func ownerChanges(of domain: DomainName) -> [OwnerChange] { history[domain] ?? [] }

    private func router(_ name: NodeName, at now: Moment) -> ClusterStatus.Router {
        if name == node.name {
            let term = leadingTerm(at: now)
            return ClusterStatus.Router(name: name.rawValue, state: term > 0 ? .active : .standby, term: term)
        }
        guard let member = membership[name], member.isAlive, let heartbeat = member.heartbeat else {
            return ClusterStatus.Router(name: name.rawValue, state: .down, term: 0)
        }
        return ClusterStatus.Router(
            name: name.rawValue, state: heartbeat.term > 0 ? .active : .standby, term: heartbeat.term)
    }

    func describe(_ member: Membership.Member, at now: Moment) -> ClusterStatus.Node {
        let status: ClusterStatus.Node.Status =
            switch member.standing {
            case .up: drainState(of: member.node.name) ?? .up
            case .suspect: .suspect
            case .down: .down
            case .unknown: member.incarnation > 0 ? .suspect : .down
            }
        let sinceHeard = member.lastHeard.map { (now.monotonic - $0).milliseconds } ?? 0
        let uptime = (member.heartbeat?.uptimeMilliseconds ?? 0) + UInt64(max(0, sinceHeard))
        var described = ClusterStatus.Node(
            name: member.node.name.rawValue, roles: [member.node.role.name], site: member.node.site,
            server: member.node.server, incarnation: member.incarnation, status: status,
            pid: status == .down ? 0 : member.heartbeat?.pid ?? 0,
            uptimeSeconds: status == .down ? 0 : uptime / 1000, wireVersion: member.heartbeat?.wireVersion)
        if status != .down, let heartbeat = member.heartbeat {
            described.topology = heartbeat.topology
            described.needsRestart = heartbeat.needsRestart ? true : nil
            described.journalWritable = heartbeat.isJournalWritable ? nil : false
        }
        return described
    }

    private func describe(_ name: DomainName, _ assignment: Assignment?) -> ClusterStatus.Domain {
        let holders = (assignment?.owner.map { [$0] } ?? []) + (assignment?.inSync ?? [])
        let report = holders.lazy.compactMap { copies.report(of: name, by: $0) }.first
        // Its assignment stays as it is for as long as members are waited for.
        let isLost = leadership?.lostSince[name] != nil
        return ClusterStatus.Domain(
            name: name.rawValue, epoch: assignment?.epoch ?? 0, seq: report?.position.seq ?? 0,
            owner: isLost ? nil : assignment?.owner?.name.rawValue,
            standbys: (assignment?.standbys ?? []).map {
                ClusterStatus.Standby(name: $0.node.name.rawValue, inSync: $0.inSync)
            },
            movingTo: (leadership?.successors[name]?.name ?? leadership?.wishes.moves[name])?.rawValue,
            contacts: ClusterStatus.Contacts(user: report?.users ?? 0, sipuser: report?.sipusers ?? 0))
    }
}
