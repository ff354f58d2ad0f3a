import ClusterRuntime
import Hummingbird
import HummingbirdCore
public import Logging
public import NIOCore
public import ServiceLifecycle

/// Serves one node's admin address over HTTP/1.1: health, metrics, status, the registrar's REST interface and, on
/// routers, a page for people. `docs/rest.md` describes all of it.
public struct AdminService: Service {
    private let backend: AdminBackend
    private let host: String
    private let port: Int
    private let limits: AdminLimits
    private let group: (any EventLoopGroup)?
    private let logger: Logger
    private let bound: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - port: 0 lets the system choose.
    ///   - group: where connections are served; the process's shared event loops when left out.
    ///   - bound: called once, with the port, when requests are taken.
    public init(
        backend: AdminBackend, host: String, port: Int, limits: AdminLimits = AdminLimits(),
        group: (any EventLoopGroup)? = nil, logger: Logger,
        bound: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.backend = backend
        self.host = host
        self.port = port
        self.limits = limits
        self.group = group
        self.logger = logger
        self.bound = bound
    }

    /// Serves until cancelled or asked to shut down; then requests under way are still answered.
    /// - Throws: when the address cannot be bound.
    public func run() async throws {
        // The library says at info that it has started, which the node says itself.
        var libraryLogger = logger
        libraryLogger.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            router: router(),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [StalledReaders(limit: TimeAmount(limits.stalled), logger: logger)],
                    idleTimeout: TimeAmount(limits.idle),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: limits.headBytes, maxHeaderListSize: limits.headBytes,
                        maxHeaderFieldCount: 100))),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections, logger: logger)),
            onServerRunning: { [bound, port] channel in await bound(channel.localAddress?.port ?? port) },
            eventLoopGroupProvider: group.map { .shared($0) } ?? .singleton,
            logger: libraryLogger)
        try await application.run()
    }

    /// Every route as `METHOD /path/:parameter`; `docs/openapi.yaml` is held to them.
    package var routes: [String] { router().routes.map { "\($0.method) \($0.path)" } }

    func router() -> Router<AdminContext> {
        let router = Router(context: AdminContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: AdminErrors())
        router.add(middleware: WholePaths())
        let access = AdminAccess(tokens: backend.tokens, isOpen: backend.isOpen)
        NodeRoutes(backend: backend, access: access).add(to: router)
        BanRoutes(backend: backend, access: access).add(to: router)
        MovementRoutes(backend: backend, access: access).add(to: router)
        RestartRoutes(backend: backend, access: access).add(to: router)
        DestinationRoutes(backend: backend, access: access).add(to: router)
        TopologyRoutes(backend: backend, access: access).add(to: router)
        DomainRoutes(backend: backend, access: access, limits: limits).add(to: router)
        ContactRoutes(backend: backend, access: access, limits: limits).add(to: router)
        StateRoutes(backend: backend, access: access, limits: limits).add(to: router)
        GRUURoutes(backend: backend, access: access, limits: limits).add(to: router)
        if backend.role == .router { StatusPage.add(to: router) }
        return router
    }
}
