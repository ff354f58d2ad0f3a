import ClusterRuntime
import Logging
import NanomsgTransport

/// Two nodes on loopback, `a` in the parent and `b` in the child.
struct TransportPair {
    static let a = NodeName("a")
    static let b = NodeName("b")

    let portA: UInt16
    let portB: UInt16
    let isSealed: Bool

    init(isSealed: Bool, portA: UInt16 = freePort(), portB: UInt16 = freePort()) {
        self.isSealed = isSealed
        self.portA = portA
        self.portB = portB
    }

    /// What `init` of the child takes.
    var arguments: [String] { [isSealed ? "sealed" : "unsealed", String(portA), String(portB)] }

    func transport(_ name: NodeName) -> NanomsgTransport {
        let addresses = [Self.a: "tcp://127.0.0.1:\(portA)", Self.b: "tcp://127.0.0.1:\(portB)"]
        return NanomsgTransport(
            NanomsgTransport.Configuration(
                self: NodeID(name: name, incarnation: 1), bind: addresses[name] ?? "", peers: addresses,
                secret: isSealed ? [UInt8](repeating: 7, count: 32) : nil),
            logger: Logger(label: "benchmarks"))
    }

    /// Runs a transport until the returned task is cancelled.
    static func start(
        _ transport: NanomsgTransport, deliver: @escaping @Sendable (TransportEvent) -> Void
    ) -> Task<Void, any Error> {
        Task { try await transport.run(deliver: deliver) }
    }
}
