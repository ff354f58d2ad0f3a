import ClusterRuntime
import Foundation
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
    }

    let step: String
    let node: NodeName
    let at: MonotonicInstant
    let sign: Sign
}

/// Does to the cluster what a drill's steps say.
struct FaultInjector {
    private let cluster: DrillCluster
    private let client: ClusterClient
    private let domain: DomainName
    private var killed: [NodeName] = []
    private var paused: [NodeName] = []
    private var drained: [NodeName] = []

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
        let nodes = try resolve(action.target, status)
        var faults: [InjectedFault] = []
        for node in nodes {
            let sign = sign(of: action, node, status)
            let at = SystemClock.monotonic()
            switch action {
            case .kill:
                _ = try cluster.signal(SIGKILL, node)
                killed.append(node)
            case .pause:
                _ = try cluster.signal(SIGSTOP, node)
                paused.append(node)
            case .resume:
                _ = try cluster.signal(SIGCONT, node)
                paused.removeAll { $0 == node }
            case .start:
                try await cluster.start(node)
                try await waitForProcess(of: node)
                killed.removeAll { $0 == node }
            case .drain:
                try await order(.drain(node))
                drained.append(node)
            case .undrain:
                try await order(.undrain(node))
                drained.removeAll { $0 == node }
            case .move: try await order(.move(domain, to: node))
            }
            if action.isFault {
                faults.append(InjectedFault(step: "\(action)", node: node, at: at, sign: sign))
            }
        }
        return faults
    }

    private func order(_ order: MovementOrder) async throws {
        switch await client.order(order) {
        case .accepted: break
        case .refused(let why): throw DrillFailure.unreachable("\(order) was refused: \(why)")
        case .unanswered(let said): throw DrillFailure.unreachable("no router took \(order):\n\(said)")
        }
    }

    /// Whether a status shows what follows from a fault.
    static func shows(_ sign: InjectedFault.Sign, _ status: ClusterStatus, domain: String) -> Bool {
        let entry = status.domains.first { $0.name == domain }
        switch sign {
        case .newEpoch(let old): return (entry?.epoch ?? 0) > old && entry?.owner != nil
        case .standbyGone(let name): return entry?.standbys.contains { $0.name == name && $0.inSync } == false
        case .otherRouter(let name): return status.routers.contains { $0.state == .active && $0.name != name }
        case .nodeDown(let name): return status.nodes.contains { $0.name == name && $0.status == .down }
        case .drained(let name): return status.nodes.contains { $0.name == name && $0.status == .drained }
        }
    }

    private func resolve(_ target: DrillFile.Target, _ status: ClusterStatus?) throws -> [NodeName] {
        let entry = status?.domains.first { $0.name == domain.rawValue }
        let name: String?
        switch target {
        case .killed: return killed
        case .paused: return paused
        case .drained: return drained
        case .node(let node): return [node]
        case .owner: name = entry?.owner
        case .standby: name = entry?.standbys.first(where: \.inSync)?.name
        case .router: name = status?.routers.first { $0.state == .active }?.name
        }
        guard let name else {
            throw DrillFailure.unreachable("there is no \(target) of \(domain) to be found at this moment")
        }
        return [NodeName(name)]
    }

    private func sign(
        of action: DrillFile.Action, _ node: NodeName, _ status: ClusterStatus?
    ) -> InjectedFault.Sign {
        let entry = status?.domains.first { $0.name == domain.rawValue }
        let isOwner = entry?.owner == node.rawValue
        switch action {
        case .move: return .newEpoch(after: entry?.epoch ?? 0)
        case .drain: return isOwner ? .newEpoch(after: entry?.epoch ?? 0) : .drained(node.rawValue)
        case .kill, .pause, .resume, .start, .undrain: break
        }
        if let entry, isOwner { return .newEpoch(after: entry.epoch) }
        if entry?.standbys.contains(where: { $0.name == node.rawValue && $0.inSync }) == true {
            return .standbyGone(node.rawValue)
        }
        if status?.routers.contains(where: { $0.name == node.rawValue && $0.state == .active }) == true {
            return .otherRouter(than: node.rawValue)
        }
        return .nodeDown(node.rawValue)
    }

    private func waitForProcess(of node: NodeName) async throws {
        let deadline = SystemClock.monotonic() + Self.startLimit
        while NodeProcess.find(node, of: cluster.topology.file) == nil {
            guard SystemClock.monotonic() < deadline else {
                throw DrillFailure.unreachable("node \(node) did not start again\n\(cluster.logTail())")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
