import ClusterRuntime
import Logging
import NanomsgTransport
import RegistrarEvents
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A running transport and what it has delivered.
final class TestNode: Sendable {
    let id: NodeID
    let transport: any Transport
    let events = Events()
    private let running = Mutex<Task<Void, any Error>?>(nil)

    init(_ id: NodeID, _ transport: any Transport) {
        self.id = id
        self.transport = transport
    }

    func start() {
        running.withLock { $0 = Task { [transport, events] in try await transport.run { events.add($0) } } }
    }

    /// Ends the run, and returns when it has ended.
    func stop() async throws {
        guard let task = running.withLock({ $0.take() }) else { return }
        task.cancel()
        try await task.value
    }

    /// The error with which the run ends by itself.
    func failure() async -> (any Error)? {
        guard let task = running.withLock({ $0 }) else { return nil }
        switch await task.result {
        case .success: return nil
        case .failure(let error): return error
        }
    }

    var statistics: TransportStatistics { (transport as? NanomsgTransport)?.statistics ?? TransportStatistics() }

    final class Events: Sendable {
        private struct State {
            var received: [(message: Message, from: NodeID)] = []
            var heard: Set<NodeID> = []
            var refused: [NodeName] = []
            var inside = 0
            var overlaps = 0
        }
        private let state = Mutex(State())

        func add(_ event: TransportEvent) {
            state.withLock { state in
                state.inside += 1
                if state.inside > 1 { state.overlaps += 1 }
            }
            state.withLock { state in
                switch event {
                case .received(let messages, let from):
                    state.heard.insert(from)
                    state.received += messages.filter { $0 != greeting }.map { ($0, from) }
                case .refused(let name): state.refused.append(name)
                }
                state.inside -= 1
            }
        }

        var received: [(message: Message, from: NodeID)] { state.withLock { $0.received } }
        /// Who has said anything.
        var heard: Set<NodeID> { state.withLock { $0.heard } }
        var count: Int { state.withLock { $0.received.count } }
        var refused: [NodeName] { state.withLock { $0.refused } }
        var overlaps: Int { state.withLock { $0.overlaps } }
        /// The numbers of `numbered` messages, in the order of arrival.
        var numbers: [UInt64] {
            received.compactMap { if case .lead(let lead) = $0.message { lead.term } else { nil } }
        }
    }
}

/// Makes nodes of one kind that can reach each other.
struct Fabric {
    enum Kind: CaseIterable {
        case twin
        case sealed
        case unsealed
    }

    let kind: Kind
    private let hub = InMemoryHub()
    private let addresses: [NodeName: String]

    init(_ kind: Kind, _ names: NodeName..., host: String = "127.0.0.1") {
        self.kind = kind
        addresses = Dictionary(uniqueKeysWithValues: names.map { ($0, "tcp://\(host):\(freePort())") })
    }

    func node(_ name: NodeName, incarnation: UInt64 = 1, watch: Set<NodeName> = []) -> TestNode {
        let id = NodeID(name: name, incarnation: incarnation)
        switch kind {
        case .twin: return TestNode(id, InMemoryTransport(self: id, on: hub, watch: watch))
        case .sealed, .unsealed:
            return TestNode(id, NanomsgTransport(configuration(id, watch: watch), logger: quiet))
        }
    }

    func configuration(_ id: NodeID, watch: Set<NodeName> = []) -> NanomsgTransport.Configuration {
        NanomsgTransport.Configuration(
            self: id, bind: addresses[id.name]!, peers: addresses, watch: watch,
            secret: kind == .sealed ? [UInt8](repeating: 7, count: 32) : nil)
    }

    func address(of name: NodeName) -> String { addresses[name]! }
    func port(of name: NodeName) -> UInt16 { UInt16(addresses[name]!.split(separator: ":").last!)! }
}

let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

func numbered(_ number: some BinaryInteger) -> Message { .lead(Lead(term: UInt64(number), echo: 0)) }

/// Sent until everybody has heard everybody; not kept among what was received.
let greeting = Message.copies(CopyReports(reports: []))

func large(_ bytes: Int) -> Message {
    .request(
        Request(
            id: 1, domain: DomainName("x.example")!, epoch: 1,
            operation: .unregister(key: [UInt8](repeating: 1, count: bytes), reason: .expiredContact)))
}

/// Waits for a condition; the condition's own state says what is missing.
func eventually(within limit: Duration = .seconds(10), _ condition: () -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard ContinuousClock.now < deadline else { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return true
}

/// A port that the system gave out just now, and that was given back.
func freePort() -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = loopback(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            precondition(bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0)
        }
    }
    return UInt16(bigEndian: address.sin_port)
}

func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    return address
}
