import ServiceLifecycle

/// A part of a node that runs until it is cancelled, as a service: asked to shut down gracefully, it is cancelled.
struct LoopService: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await body() }
    }
}
