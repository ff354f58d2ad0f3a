import ClusterClients
import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents

/// One fault as it was done, and how its detection shows in the router's status.
struct InjectedFault: Sendable {
    enum Sign: Hashable, Sendable {
        /// The domain has an owner in a higher epoch than this.
        case newEpoch(after: UInt64)
        /// The node is no in-sync standby of the domain any more.
        case standbyGone(String)
        /// Another router is active.
        case otherRouter(than: String)
        case nodeDown(String)
        /// The node serves nothing any more.
        case drained(String)
        /// The domain has an owner: nothing was taken away that it needs.
        case unharmed
    }

    let step: String
    /// What it was done to: a node, a member of etcd, or hosts.
    let subject: String
    let at: MonotonicInstant
    let sign: Sign
}

/// Does to the cluster what a drill's steps say.
struct FaultInjector {
    /// What a step is done to.
    enum Victim: Hashable, Sendable {
        case node(NodeName)
        /// Of etcd.
        case member(String)
    }

    private let cluster: DrillCluster
    let client: ClusterClient
    let domain: DomainName
    private var killed: [Victim] = []
    private var paused: [Victim] = []
    private var drained: [Victim] = []
    private var filled: [Victim] = []
    /// The sides of cuts that can have acknowledged nothing, until healed and after.
    var isolations: [Isolation] = []

    /// How long a node that is started again may take until it has a process.
    static let startLimit: Duration = .seconds(15)

    init(cluster: DrillCluster, client: ClusterClient, domain: DomainName) {
        self.cluster = cluster
        self.client = client
        self.domain = domain
    }

    /// Carries out a step.
    /// - Returns: the faults done, if it is one.
    mutating func carryOut(_ action: DrillFile.Action) async throws -> [InjectedFault] {
        let status = await client.status()
        let victims = try await resolve(action.target, status)
        if let place = action.place { return try changeLinks(action, of: place, victims, status) }
        let signs = victims.map { sign(of: action, $0, status) }
        let at = SystemClock.monotonic()
        switch action {
        case .kill:
            // All at once: nobody is to notice the first before the last is gone.
            for victim in victims { try signal(SIGKILL, victim, mayBeGone: action == .kill(.everything)) }
            killed += victims
        case .pause:
            for victim in victims { try signal(SIGSTOP, victim) }
            paused += victims
        case .resume:
            for victim in victims { try signal(SIGCONT, victim) }
            paused.removeAll { victims.contains($0) }
        case .start:
            // Members first, and together: one alone has no majority.
            for case .member(let name) in victims { try await cluster.etcd?.start(name) }
            for case .node(let node) in victims { try await start(node) }
            killed.removeAll { victims.contains($0) }
        case .drain:
            for case .node(let node) in victims { try await order(.drain(node)) }
            drained += victims
        case .undrain:
            for case .node(let node) in victims { try await order(.undrain(node)) }
            drained.removeAll { victims.contains($0) }
        case .move: for case .node(let node) in victims { try await order(.move(domain, to: node)) }
        case .fill:
            for case .node(let node) in victims { try cluster.fillDisk(of: node) }
            filled += victims
        case .free:
            for case .node(let node) in victims { cluster.freeDisk(of: node) }
            filled.removeAll { victims.contains($0) }
        case .kafka(let power):
            guard let destinations = cluster.destinations else {
                throw DrillFailure.unreachable("\(action) takes a cluster that the drill has started itself")
            }
            try await destinations.set(power)
        case .restart: preconditionFailure("a rolling restart is carried out beside the other steps")
        case .cut, .slow, .heal: preconditionFailure("\(action) is about hosts")
        }
        guard action.isFault else { return [] }
        if victims.count > 3, let worst = signs.max(by: { $0.weight < $1.weight }) {
            return [InjectedFault(step: "\(action)", subject: "\(victims.count) processes", at: at, sign: worst)]
        }
        return zip(victims, signs).map { InjectedFault(step: "\(action)", subject: "\($0)", at: at, sign: $1) }
    }

    private mutating func changeLinks(
        _ action: DrillFile.Action, of place: DrillFile.Place, _ victims: [Victim], _ status: ClusterStatus?
    ) throws -> [InjectedFault] {
        guard let network = cluster.hosts else {
            throw DrillFailure.unreachable("\(action) takes a cluster that the drill has started on hosts of its own")
        }
        let side: Set<Int>
        switch place {
        case .everywhere: side = network.everywhere
        case .named(let name): side = network.hosts(named: name)
        case .of: side = Set(victims.compactMap { cluster.address(of: $0) }.compactMap(network.host))
        }
        let at = SystemClock.monotonic()
        switch action {
        case .cut(_, let way):
            network.change(side, way) { $0.isCut = true }
            let isolation = cluster.isolated(by: side, since: at).flatMap { cluster.mute($0, status, domain) }
            if let isolation { isolations.append(isolation) }
            let names = side.sorted().map { network.addresses[$0] }.joined(separator: ", ")
            let isolated = Set((isolation?.nodes ?? []).map(\.rawValue))
            return [
                InjectedFault(step: "\(action)", subject: names, at: at, sign: sign(without: isolated, status))
            ]
        case .slow(_, let slowness):
            network.change(side, .both) { fault in
                fault.delay = slowness.delay
                fault.loss = Double(slowness.loss) / 100
            }
        case .heal:
            network.change(side, .both) { $0 = LinkTable.Fault() }
            for index in isolations.indices where isolations[index].until == nil { isolations[index].until = at }
        case .kill, .pause, .resume, .start, .drain, .undrain, .move, .restart, .fill, .free, .kafka:
            preconditionFailure("\(action) is not about hosts")
        }
        return []
    }

    private func signal(_ number: Int32, _ victim: Victim, mayBeGone: Bool = false) throws {
        switch victim {
        case .member(let name): cluster.etcd?.signal(number, name)
        case .node(let node):
            do {
                _ = try cluster.signal(number, node)
            } catch  where mayBeGone {
                // Killed by an earlier step.
            }
        }
    }

    private func order(_ order: MovementOrder) async throws {
        switch await client.order(order) {
        case .accepted: break
        case .refused(let why): throw DrillFailure.unreachable("\(order) was refused: \(why)")
        case .unanswered(let said): throw DrillFailure.unreachable("no router took \(order):\n\(said)")
        }
    }

    private func resolve(_ target: DrillFile.Target?, _ status: ClusterStatus?) async throws -> [Victim] {
        let entry = status?.domains.first { $0.name == domain.rawValue }
        let standbys = entry?.standbys.filter(\.inSync).map(\.name) ?? []
        let members = cluster.etcd?.members.map { Victim.member($0.name) } ?? []
        var names: [String] = []
        switch target {
        case nil: return []
        case .killed: return killed
        case .paused: return paused
        case .drained: return drained
        case .filled: return filled
        case .rolling: return cluster.topology.nodes.map { .node($0.name) }
        case .node(let node): return [.node(node)]
        case .owner: names = [entry?.owner].compactMap(\.self)
        case .standby: names = Array(standbys.prefix(1))
        case .copies: names = [entry?.owner].compactMap(\.self) + standbys
        case .router: names = status?.routers.filter { $0.state == .active }.map(\.name) ?? []
        case .etcd: return members
        case .etcdLeader: return await cluster.etcd?.leader().map { [.member($0.name)] } ?? []
        case .everything: return members + cluster.topology.nodes.map { .node($0.name) }
        }
        guard !names.isEmpty else {
            throw DrillFailure.unreachable(
                "there is no \(target?.description ?? "target") of \(domain) to be found at this moment")
        }
        return names.map { .node(NodeName($0)) }
    }

    private func start(_ node: NodeName) async throws {
        try await cluster.start(node)
        let deadline = SystemClock.monotonic() + Self.startLimit
        while NodeProcess.find(node, of: cluster.topology.file) == nil {
            guard SystemClock.monotonic() < deadline else {
                throw DrillFailure.unreachable("node \(node) did not start again\n\(cluster.logTail())")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}

extension FaultInjector.Victim: CustomStringConvertible {
    var description: String {
        switch self {
        case .node(let name): name.rawValue
        case .member(let name): name
        }
    }
}
