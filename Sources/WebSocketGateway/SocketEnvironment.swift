import Synchronization
import WSSubscrActor

/// What a socket shares with all others of the gateway.
final class SocketEnvironment: Sendable {
    let settings: GatewaySettings
    let node: WSSubscrNode
    let logins: LoginService
    let counters: GatewayCounters
    private let drains = Atomic<Bool>(false)

    init(settings: GatewaySettings, node: WSSubscrNode, logins: LoginService, counters: GatewayCounters) {
        self.settings = settings
        self.node = node
        self.logins = logins
        self.counters = counters
    }

    /// Whether the node is going down, and takes nobody any more.
    var isDraining: Bool { drains.load(ordering: .acquiring) }

    func beginDrain() { drains.store(true, ordering: .releasing) }
}
