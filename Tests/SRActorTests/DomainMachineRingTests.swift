import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// What is not committed stays in the ring, however small that is.
struct DomainMachineRingTests {
    @Test func aMassExpiryLeavesNothingUncommittedBehind() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(ringBytes: 64 << 10))
        let details = String(repeating: "x", count: 600)
        for number in 0..<400 {
            let contact = try MachineCluster.contact("u\(number)", version: details)
            cluster.request(.register(contact, ttl: 30_000))
            cluster.settle()
        }
        cluster.lease("a", milliseconds: 600_000)
        // Acknowledgements are late, and everything runs out meanwhile.
        cluster.advance(29_000)
        cluster.cut = [.init(from: NodeName("b"), to: NodeName("a"))]
        cluster.advance(1_300)
        #expect(cluster["a"].uncommitted > 0)
        #expect(cluster["a"].uncommitted < 80)
        #expect(UInt64(cluster["a"].ringCount) >= cluster["a"].uncommitted)
        cluster.cut = []
        cluster.advance(5_000)
        #expect(cluster["a"].replica.table.count == 0)
        let (copy, original) = (cluster["b"].report, cluster["a"].report)
        #expect((copy.position, copy.digest) == (original.position, original.digest))
    }
}
