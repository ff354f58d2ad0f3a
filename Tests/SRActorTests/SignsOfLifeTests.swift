import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// What a node's heartbeat says of the domains that it owns.
struct SignsOfLifeTests {
    private func heartbeat(_ revision: UInt64) -> Heartbeat {
        Heartbeat(role: .sr, sentAt: 1, revision: revision, pid: 1, uptimeMilliseconds: 1)
    }

    private func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }

    @Test func whoKnowsOfLaterAssignmentsVouchesForNothing() {
        let owner = MachineCluster.node("a")
        var signs = SignsOfLife()
        signs.heard(heartbeat(7), from: owner, knowing: 7, at: at(1))
        signs.heard(heartbeat(8), from: owner, knowing: 7, at: at(2))
        #expect(signs.last(of: owner) == at(1))
        signs.heard(heartbeat(8), from: owner, knowing: 9, at: at(3))
        #expect(signs.last(of: owner) == at(3))
    }

    @Test func aLaterLifeDoesNotVouchForAnEarlierOne() {
        let (first, second) = (MachineCluster.node("a"), MachineCluster.node("a", life: 2))
        var signs = SignsOfLife()
        signs.heard(heartbeat(1), from: first, knowing: 1, at: at(1))
        signs.heard(heartbeat(1), from: second, knowing: 1, at: at(2))
        #expect(signs.last(of: first) == nil)
        signs.heard(heartbeat(1), from: first, knowing: 1, at: at(3))
        #expect(signs.last(of: first) == nil)
        #expect(signs.last(of: second) == at(2))
    }
}
