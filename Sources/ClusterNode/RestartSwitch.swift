import AdminAPI
import ServiceLifecycle
import Synchronization

/// Ends a node when it is asked to restart: a service that returns then, upon which the others shut down gracefully.
final class RestartSwitch: Service {
    private let isSupervised: Bool
    private let asked = Atomic<Bool>(false)
    private let orders: AsyncStream<Void>
    private let order: AsyncStream<Void>.Continuation

    /// - Parameter isSupervised: whether somebody starts the process again.
    init(isSupervised: Bool) {
        self.isSupervised = isSupervised
        (orders, order) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var isAsked: Bool { asked.load(ordering: .acquiring) }

    /// May be called from any thread, and often.
    func ask() -> RestartOutcome {
        guard isSupervised else { return .nobodyStartsItAgain }
        asked.store(true, ordering: .releasing)
        order.yield()
        return .accepted
    }

    /// Returns when it was asked, or when the node shuts down anyway.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in self.orders { return }
        }
    }
}
