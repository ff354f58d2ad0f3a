import AccessTokens
import AdminAPI
import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import ServiceLifecycle

/// What every node has, whatever its role: who it is, how it reaches the others, and what it shows of itself.
struct NodeEnvironment: Sendable {
    let life: NodeID
    let spec: NodeSpec
    let keeper: TopologyKeeper
    let transport: any Transport
    let tokens: AccessTokens
    let metrics: MetricsRegistry
    /// Has the transport know the nodes of a topology.
    let setPeers: @Sendable (Topology) -> Void
    let requests: RequestRouter
    let inlet: RequestInlet
    /// Nil where the node is not a process of its own.
    let restart: RestartSwitch?
    let log: Logger

    init(
        life: NodeID, spec: NodeSpec, keeper: TopologyKeeper, transport: any Transport, tokens: AccessTokens,
        metrics: MetricsRegistry, restart: RestartSwitch? = nil, log: Logger,
        setPeers: @escaping @Sendable (Topology) -> Void = { _ in }
    ) {
        self.setPeers = setPeers
        self.life = life
        self.spec = spec
        self.keeper = keeper
        self.transport = transport
        self.tokens = tokens
        self.metrics = metrics
        self.restart = restart
        self.log = log
        requests = RequestRouter(node: life, transport: transport, metrics: metrics)
        inlet = RequestInlet(requests)
    }

    /// The topology in force: it changes while the node runs.
    var topology: Topology { keeper.current }
    var routers: [NodeName] { topology.nodes(of: .router).map(\.name) }
    var pid: UInt64 { UInt64(ProcessInfo.processInfo.processIdentifier) }

    func makeAgent() -> NodeAgent {
        NodeAgent(
            node: life, role: spec.role, routers: routers, pid: pid, started: SystemClock.monotonic(),
            periods: keeper.started.periods, topologyVersion: keeper.startedActive.version, peers: peers(topology))
    }

    /// Other nodes that this one tells that it is there: where its domains have their copies.
    private func peers(_ topology: Topology) -> [NodeName] {
        spec.role == .sr ? topology.nodes(of: .sr).map(\.name).filter { $0 != life.name } : []
    }

    /// Has newer topologies taken up: who the other nodes are first, then the role's own part.
    func keepUp(_ take: @escaping @Sendable (TopologyKeeper.News) async -> Void) -> LoopService {
        LoopService {
            await keeper.run { news in
                setPeers(news.topology)
                await take(news)
            }
        }
    }

    /// The same, for roles with an agent of their own.
    func keepUp(_ agent: AgentShell, _ take: @escaping @Sendable (Topology) async -> Void) -> LoopService {
        keepUp { news in
            await take(news.topology)
            agent.follow(
                routers: news.topology.nodes(of: .router).map(\.name), peers: peers(news.topology),
                needsRestart: news.needsRestart)
        }
    }

    /// The admin address of another node, as a URL.
    func adminAddress(of node: NodeName?) -> String? {
        node.flatMap { topology.node(named: $0) }?.adminURL
    }

    func makeBackend(
        assignment: @escaping @Sendable (DomainName) async -> Assignment?,
        problems: @escaping @Sendable () async -> [String],
        status: @escaping @Sendable () async -> StatusAnswer,
        accounts: @escaping @Sendable () async throws(DirectoryError) -> any AccountDirectory,
        ownerChanges: @escaping @Sendable (DomainName) async -> [OwnerChange]? = { _ in nil },
        copies: @escaping @Sendable () async -> [HeldCopy]? = { nil }
    ) -> AdminBackend {
        var backend = AdminBackend(
            node: life, role: spec.role, isOpen: keeper.started.adminIsOpen, tokens: tokens, registrar: requests,
            domains: { topology.domains.map(\.name) }, assignment: assignment,
            problems: { await problems() + (keeper.complaint.map { [$0] } ?? []) },
            metrics: { metrics.render() }, status: status, accounts: accounts, ownerChanges: ownerChanges,
            copies: copies)
        backend.restart = { restart?.ask() ?? .nobodyStartsItAgain }
        return backend
    }

    func makeAdmin(_ backend: AdminBackend) -> AdminService {
        AdminService(
            backend: backend, host: spec.address, port: spec.adminPort, limits: AdminLimits(keeper.started.periods),
            logger: log)
    }
}

/// A node put together: what runs, in the order of dependence, and where what arrives goes.
struct AssembledNode: Sendable {
    let services: [any Service]
    let receive: @Sendable (TransportEvent) -> Void
}
