import ClusterRuntime
import RegistrarEvents
import Testing

@testable import ClusterSimulation

/// Whole clusters whose coordinator loses what it holds, or is put back to what it held before, amid a history.
struct ForgottenCoordinatorTests {
    private func run(seed: UInt64, putBack: Bool, isCalm: Bool) -> ClusterSimulation.Outcome {
        var world = ClusterSimulation.drawn(
            seed: seed, plantedBug: nil, isTraced: false, isPlain: true, isRecorded: false)
        if isCalm {
            world = World(options: world.options, seed: seed, isTraced: false, isRecorded: false)
            world.planWorkload()
        }
        let end = world.now + .seconds(2) + world.options.faultyTime
        world.run(until: world.now + .seconds(2))
        let former = world.coordinator
        world.run(until: world.now + world.options.faultyTime / 2)
        world.coordinator = putBack ? former : CoordinatorState()
        return ClusterSimulation.finish(&world, end: end, healed: end + .milliseconds(3_100), seed: seed)
    }

    @Test(arguments: [false, true]) func nothingIsLostWhereNothingElseFails(putBack: Bool) {
        var acknowledged = 0
        for seed in 1...4 as ClosedRange<UInt64> {
            let outcome = run(seed: seed, putBack: putBack, isCalm: true)
            acknowledged += outcome.acknowledged
            #expect(outcome.isGood, "seed \(seed): \(outcome.violations)")
        }
        #expect(acknowledged > 200)
    }

    /// What a node takes along that dies in the same moment may be more than is promised of the failure of one. All
    /// else holds: epochs only grow, one order, no alarm, and the cluster settles.
    @Test(arguments: [false, true]) func clustersGoOnAmidFaults(putBack: Bool) {
        for seed in 1...6 as ClosedRange<UInt64> {
            let outcome = run(seed: seed, putBack: putBack, isCalm: false)
            let broken = outcome.violations.filter { !$0.hasPrefix("nothing acknowledged is lost") }
            #expect(broken.isEmpty, "seed \(seed)")
        }
    }
}
