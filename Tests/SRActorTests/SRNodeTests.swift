import ClusterRuntime
import Logging
import RegistrarEvents
import SRActor
import Testing

/// A whole `sr` node.
struct SRNodeTests {
    /// The limit is for gateways; a node that holds nothing back for later still has domains to serve.
    @Test func aNodeThatParksNoRequestsServes() async throws {
        var limits = Limits()
        limits.parkedRequests = 0
        #expect(limits.violations.isEmpty)
        let domain = try #require(DomainName("demo.example"))
        let node = NodeID(name: NodeName("sr1"), incarnation: 1)
        let registrar = SRNode(
            node: node, transport: InMemoryTransport(self: node, on: InMemoryHub()), journal: NoJournal(),
            replicas: [:], routers: [], limits: limits, policy: { _ in DomainPolicy(acceptsWithoutLease: true) },
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        registrar.assigned([
            Assignment(domain: domain, epoch: 1, revision: 1, owner: node, standbys: [], cause: .restart, since: 0)
        ])
        let operation = Request.Operation.register(try MachineCluster.contact("alice"), ttl: 600_000)
        registrar.receive(
            [.request(Request(id: 1, domain: domain, epoch: 1, operation: operation))],
            from: NodeID(name: NodeName("g"), incarnation: 1))
        try await SmallDisk.wait("the contact is there") { registrar.reports.first?.sipusers == 1 }
        #expect(registrar.dropped == 0)
    }
}
