import AccessTokens
public import ClusterRuntime
import Foundation
import Logging
import NanomsgTransport
import RegistrarEvents
import SRActor
import ServiceLifecycle
import UnixSignals

/// Puts a node of a topology together and runs it. The one way in for the command line and for tests.
public enum NodeRunner {
    /// The exit code of a node's process that wants to be started again at once. Source: EX_TEMPFAIL, sysexits(3).
    public static let restartExitCode: Int32 = 75

    /// How a node's life ended.
    public enum Ending: Hashable, Sendable {
        case stopped
        /// It was asked to restart, at its admin address.
        case restarts
    }

    /// Runs a node until SIGTERM or SIGINT, or until it is asked to restart, then lets it leave cleanly: websockets are
    /// closed, their registrations ended, leadership given up, the journal synced.
    /// - Parameter isSupervised: whether somebody starts the process again when it ends with `restartExitCode`; the
    ///   node refuses to restart otherwise.
    /// - Parameter destinations: of this process, at an `sr` node: told of events as the topology's are.
    /// - Throws: `NodeFailure` and the adapters' errors, in words for an operator, when the node cannot run.
    /// - Parameter file: the topology file's. The node goes by the active topology that it was told of in an earlier
    ///   life, if there is one, and by each newer one that the routers tell of.
    public static func run(
        topology file: Topology, node name: NodeName, isSupervised: Bool, destinations: [InProcessDestination] = []
    ) async throws -> Ending {
        let (topology, active) = file.inForce(for: name)
        guard let spec = topology.node(named: name) else {
            throw NodeFailure("\(topology.file) has no node \(name)")
        }
        var log = Logger(label: name.rawValue)
        log[metadataKey: "node"] = "\(name)"
        let incarnation = try Incarnation(directory: topology.journalPath(of: name), node: name)
        let life = NodeID(name: name, incarnation: incarnation.value)
        let secret = try topology.clusterSecret()
        let tokens = try await AccessTokens(secret, settings: topology.tokens)
        let metrics = MetricsRegistry()
        let transport = NanomsgTransport(configuration(topology, spec, life, secret), logger: log)
        register(transport, in: metrics)
        let restart = RestartSwitch(isSupervised: isSupervised)
        let keeper = TopologyKeeper(
            topology, active: active, node: name,
            file: ActiveTopologyFile(directory: topology.journalPath(of: name)), log: log)
        let environment = NodeEnvironment(
            life: life, spec: spec, keeper: keeper, transport: transport, tokens: tokens, metrics: metrics,
            restart: restart, log: log,
            setPeers: { [log] topology in
                do {
                    let (peers, watched) = peers(topology, spec.role)
                    try transport.setPeers(peers, watch: watched)
                } catch {
                    log.error("not all nodes of the topology can be connected to: \(error)")
                }
            })

        var journal: FileJournal?
        var coordinator: OpenCoordinator?
        let accounts = AccountsAtHand { () throws(DirectoryError) in try topology.openAccounts() }
        let assembled: AssembledNode
        switch spec.role {
        case .router:
            let opened = try OpenCoordinator(environment)
            coordinator = opened
            assembled = environment.assembleRouter(opened.coordinator, accounts)
        case .sr:
            let opened = try openJournal(topology, name, log)
            journal = opened.journal
            assembled = try environment.assembleRegistrar(opened.journal, opened.replicas, accounts, destinations)
        case .wssubscr: assembled = environment.assembleFrontier(try topology.openAccounts())
        case .arbiter: assembled = environment.assembleArbiter(accounts)
        case .sg:
            assembled = environment.assembleSIPGateway(
                try topology.openAccounts(), gruuKey: secret?.key(for: "temporary GRUU"))
        }
        if active.version > 0, !TopologyDifference(from: file, to: topology).isEmpty {
            log.warning(
                "\(file.file) is not what the cluster goes by: version \(active.version) of the topology was activated")
        }
        log.notice("\(spec.role.name) \(life) starts; cluster address \(spec.clusterAddress)")
        let transportService = LoopService { try await transport.run(deliver: assembled.receive) }
        let refresh = TokenKeyRefresh(tokens: tokens, log: log)
        var configuration = ServiceGroupConfiguration(
            services: [.init(service: restart, successTerminationBehavior: .gracefullyShutdownGroup)]
                + ([transportService, LoopService { await refresh.run() }] + assembled.services).map {
                    .init(service: $0)
                },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: log)
        configuration.maximumGracefulShutdownDuration = longestFarewell(topology.periods)
        let group = ServiceGroup(configuration: configuration)
        do {
            try await group.run()
        } catch {
            await coordinator?.close()
            throw error
        }
        await coordinator?.close()
        journal?.close()
        log.notice("\(life) has stopped\(restart.isAsked ? ", to be started again" : "")")
        withExtendedLifetime(incarnation) {}
        return restart.isAsked ? .restarts : .stopped
    }

    /// How long a node may take to end: to answer the requests under way, to close its websockets, and then to end what
    /// these had registered. What goes on after that is cancelled, so that the node ends whatever its clients do.
    private static func longestFarewell(_ periods: Periods) -> Duration {
        periods.requestDeadline + periods.drain + .seconds(15)
    }

    private static func configuration(
        _ topology: Topology, _ spec: NodeSpec, _ life: NodeID, _ secret: ClusterSecret?
    ) -> NanomsgTransport.Configuration {
        let (peers, watched) = peers(topology, spec.role)
        return NanomsgTransport.Configuration(
            self: life, bind: "tcp://\(spec.clusterAddress)", peers: peers, watch: watched,
            secret: secret?.key(for: "cluster frames"), maximumFrame: topology.limits.frameBytes,
            outboxBytes: topology.limits.outboxBytes,
            requestAge: RequestMachine.underWay(of: topology.periods.requestDeadline))
    }

    /// Where the nodes of a topology are, and whose end is to be noticed.
    private static func peers(_ topology: Topology, _ role: NodeRole) -> ([NodeName: String], watched: Set<NodeName>) {
        var peers: [NodeName: String] = [:]
        for peer in topology.nodes { peers[peer.name] = "tcp://\(peer.clusterAddress)" }
        // Only routers act on a peer that is gone.
        return (peers, role == .router ? Set(topology.nodes.map(\.name)) : [])
    }

    private static func openJournal(
        _ topology: Topology, _ name: NodeName, _ log: Logger
    ) throws -> (journal: FileJournal, replicas: [DomainName: DomainReplica]) {
        let opened = try FileJournal.open(
            directory: topology.journalPath(of: name), segmentBytes: topology.limits.journalSegmentBytes,
            syncInterval: topology.periods.journalSync, now: SystemClock.now(), log: log)
        for (domain, replica) in opened.replicas.sorted(by: { $0.key < $1.key }) {
            log.notice("journal: \(domain) at \(replica.position) with \(replica.table.count) contacts")
        }
        return opened
    }

    private static func register(_ transport: NanomsgTransport, in metrics: MetricsRegistry) {
        let counters: [(String, String, any KeyPath<TransportStatistics, UInt64> & Sendable)] = [
            ("frames_in", "Frames taken in.", \.framesIn), ("frames_out", "Frames sent.", \.framesOut),
            ("bytes_in", "Bytes of frames taken in.", \.bytesIn), ("bytes_out", "Bytes of frames sent.", \.bytesOut),
            ("messages_in", "Messages taken in.", \.messagesIn), ("messages_out", "Messages sent.", \.messagesOut),
            ("messages_skipped", "Messages of kinds this version does not know.", \.messagesSkipped),
            ("refusals", "Peers whose process was found gone.", \.refusals),
        ]
        for (name, help, path) in counters {
            metrics.counter("rollcall_transport_\(name)_total", help: help) { transport.statistics[keyPath: path] }
        }
        for reason in DropReason.allCases {
            metrics.counter(
                "rollcall_transport_dropped_total", help: "Frames or messages dropped, by reason.",
                labels: [("reason", reason.rawValue)]
            ) { transport.statistics.dropped(reason) }
        }
    }
}

extension NodeSpec {
    /// `HOST:PORT`.
    fileprivate var clusterAddress: String { "\(NetworkAddress.host(address)):\(clusterPort)" }
}
