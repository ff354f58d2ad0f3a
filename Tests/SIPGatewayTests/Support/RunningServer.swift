import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import SRActor
import Synchronization
import Testing

@testable import SIPGateway

/// A running SIP server with sockets of the loopback address, and the real owner of its domain behind an in-memory
/// transport.
struct RunningServer {
    let server: SIPServer
    let ports: SIPServer.BoundPorts
    let owner: LocalOwner

    static let life = NodeID(name: NodeName("sg1"), incarnation: 1_700_000_000_000)

    /// - Parameter directory: nil when anybody may register anything.
    static func run(
        domain: DomainName = demo, directory: (any AccountDirectory)? = nil, devices: UInt32 = 10, threads: Int = 1,
        tls: SIPListen.TLS? = nil, change: (inout SIPSettings) -> Void = { _ in },
        _ body: @Sendable (RunningServer) async throws -> Void
    ) async throws {
        var settings = SIPSettings(
            host: "127.0.0.1", listen: SIPListen(udp: 0, tcp: 0, tls: tls, isOpen: directory == nil), threads: threads,
            limits: Limits(), periods: Periods(), domains: [DomainSpec(name: domain)])
        change(&settings)
        let hub = InMemoryHub()
        let transport = InMemoryTransport(self: life, on: hub)
        let owner = LocalOwner(domain: domain, devices: devices, hub: hub)
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = SIPServer(
            settings: settings, life: life, transport: transport, directory: directory ?? InMemoryDirectory(), log: log)
        try await withThrowingTaskGroup { group in
            group.addTask { try await owner.run() }
            group.addTask {
                try await transport.run { event in
                    guard case .received(let messages, let sender) = event else { return }
                    server.follow(messages, from: sender)
                    let replies = messages.compactMap { if case .reply(let reply) = $0 { reply } else { nil } }
                    #expect(server.receive(replies, from: sender).isEmpty)
                }
            }
            server.assigned([owner.assignment])
            group.addTask { try await server.run() }
            try await eventually("the server listens") { server.isAccepting }
            do {
                try await body(RunningServer(server: server, ports: server.boundPorts, owner: owner))
            } catch {
                Issue.record(error)
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    var udp: Int { ports.udp ?? 0 }
    var tcp: Int { ports.tcp ?? 0 }
}

/// The owner of a domain as a node of an in-memory hub.
final class LocalOwner: Sendable {
    let assignment: Assignment
    private let machine: Mutex<DomainMachine>
    private let transport: InMemoryTransport

    init(domain: DomainName, devices: UInt32, hub: InMemoryHub) {
        let node = NodeID(name: NodeName("sr1"), incarnation: 1)
        transport = InMemoryTransport(self: node, on: hub)
        assignment = Assignment(
            domain: domain, epoch: 1, revision: 1, owner: node, standbys: [], cause: .restart, since: 0)
        var machine = DomainMachine(
            domain: domain, node: node, policy: DomainPolicy(maximumDevices: devices, acceptsWithoutLease: true))
        _ = machine.handle(.assigned(assignment), at: SystemClock.now())
        for event in [.turnEnded, .stored] as [DomainMachine.Event] { _ = machine.handle(event, at: SystemClock.now()) }
        self.machine = Mutex(machine)
    }

    func run() async throws {
        try await transport.run { event in
            guard case .received(let messages, let sender) = event else { return }
            self.handle(
                messages.compactMap { message in
                    switch message {
                    case .request(let request): .request(request, from: sender.name)
                    case .follow(let follow): .follow(follow, from: sender)
                    default: nil
                    }
                })
        }
    }

    private func handle(_ events: [DomainMachine.Event]) {
        let directives = machine.withLock { machine in
            let now = SystemClock.now()
            return (events + [.turnEnded, .stored]).flatMap { machine.handle($0, at: now) }
        }
        for case .send(let message, let peer) in directives { transport.send(message, to: peer) }
    }

    /// A contact that comes in another way than through the server.
    func put(_ registration: Registration) throws {
        let contact = try #require(PackedContact(registration))
        let request = Request(
            id: 1, domain: assignment.domain, epoch: 1, operation: .register(contact, ttl: 600_000))
        handle([.request(request, from: NodeName("test"))])
    }

    /// Everything that is registered.
    var registrations: [Registration] {
        machine.withLock { machine in
            (0..<machine.replica.table.slotCount).compactMap { slot in
                // What cannot be read fails the test that looks for it.
                try? machine.replica.table.contact(inSlot: slot)?.contact.registration()
            }
        }
    }
}

struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Waits for a condition.
func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(15)
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw NotInTime(description: "not in time: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
