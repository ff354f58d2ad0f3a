import AccessTokens
import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import SRActor
import ServiceLifecycle
import UnixSignals

extension NodeRunner {
    /// Runs a router, a registrar, a websocket and a SIP frontier in this process, until SIGTERM or SIGINT. Nothing is
    /// kept.
    /// - Parameters:
    ///   - portBase: the admin address's port; websockets are on the next one, SIP (UDP and TCP) on the one after.
    ///   - accounts: users and sipusers `u0`… of demo.example, password `secret`.
    ///   - isOpen: SIP devices register without digest, under any account's name.
    public static func runDevelopment(portBase: Int, accounts: Int, isOpen: Bool) async throws {
        let topology = try Topology.parse(developmentTopology(portBase, isOpen: isOpen), path: "development.yaml")
        let hub = InMemoryHub()
        let tokens = await AccessTokens(ClusterSecret((0..<32).map { _ in UInt8.random(in: 0...255) }))
        guard let domain = topology.domains.first?.name else { preconditionFailure("a topology without a domain") }
        let directory = DevelopmentDirectory(domain: domain, accounts: accounts)
        let accounts = AccountsAtHand { directory }
        var services: [any Service] = []
        for spec in topology.nodes {
            let log = Logger(label: spec.name.rawValue)
            let life = NodeID(name: spec.name, incarnation: UInt64(SystemClock.wall()))
            let transport = InMemoryTransport(self: life, on: hub)
            let environment = NodeEnvironment(
                life: life, spec: spec, keeper: TopologyKeeper(topology, node: spec.name, log: log),
                transport: transport, tokens: tokens, metrics: MetricsRegistry(), log: log)
            let assembled =
                switch spec.role {
                case .router: environment.assembleRouter(InMemoryCoordinator(), accounts)
                case .sr: try environment.assembleRegistrar(NoJournal(), [:], accounts)
                case .wssubscr: environment.assembleFrontier(directory)
                case .sg: environment.assembleSIPGateway(directory, gruuKey: nil)
                case .arbiter: environment.assembleArbiter(accounts)
                }
            services.append(LoopService { try await transport.run(deliver: assembled.receive) })
            services += assembled.services
        }
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "dev")))
        try await group.run()
    }

    /// Ports beyond the websocket's are those that interfaces need which nobody is told of.
    private static func developmentTopology(_ base: Int, isOpen: Bool) -> String {
        """
        cluster: dev
        secret: none
        admin: { open: true }
        coordinator: { kind: embedded, path: unused }
        directory: { kind: file, path: unused }
        domains: [ { name: demo.example, replicas: 1 } ]
        sites:
          - name: main
            servers:
              - name: here
                address: 127.0.0.1
                nodes:
                  - { name: router1, role: router, cluster: \(base + 10), admin: \(base) }
                  - { name: sr1, role: sr, cluster: \(base + 11), admin: \(base + 3) }
                  - { name: ws1, role: wssubscr, cluster: \(base + 12), admin: \(base + 4), \
        websocket: { listen: \(base + 1) } }
                  - { name: sg1, role: sg, cluster: \(base + 13), admin: \(base + 5), \
        sip: { udp: \(base + 2), tcp: \(base + 2), open: \(isOpen) } }
        """
    }
}
