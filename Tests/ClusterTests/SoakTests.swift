import ClusterRuntime
import Foundation
import Testing

@testable import Drills

@Suite struct SoakTests {
    private static let root: String = {
        var directory = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { directory.deleteLastPathComponent() }
        return directory.path
    }()

    private static func plan(seed: UInt64) throws -> SoakPlan {
        let topology = try Topology.load(path: "\(root)/topology/local.yaml")
        let drills = try ["soak-rest", "soak-tenant", "soak-phones", "kill-owner"].map {
            try DrillFile.load(path: "\(root)/drills/\($0).yaml")
        }
        for drill in drills { #expect(drill.problems(with: topology) == []) }
        return SoakPlan(topology: topology, drills: drills, seed: seed)
    }

    @Test func theSameSeedPlansTheSame() throws {
        var (one, two, other) = (try Self.plan(seed: 1), try Self.plan(seed: 1), try Self.plan(seed: 2))
        let (first, second) = ((0..<40).map { _ in one.next() }, (0..<40).map { _ in two.next() })
        #expect(first == second)
        #expect(first != (0..<40).map { _ in other.next() })
    }

    @Test func everyKindOfFaultComesAndIsTakenBackBeforeTheNext() throws {
        var plan = try Self.plan(seed: 3)
        let topology = try Topology.load(path: "\(Self.root)/topology/local.yaml")
        var verbs: Set<String> = []
        for _ in 0..<200 {
            let drill = plan.next()
            #expect(drill.problems(with: topology) == [])
            #expect(drill.steps.allSatisfy { $0.at < drill.duration })
            #expect(zip(drill.steps, drill.steps.dropFirst()).allSatisfy { $0.at <= $1.at })
            let actions = drill.steps.map(\.action)
            verbs.formUnion(actions.map(\.description))
            for (index, action) in actions.enumerated() where action.isFault {
                if case .move = action { continue }
                #expect(actions[(index + 1)...].contains { !$0.isFault }, "\(action) stays in \(drill.name)")
            }
        }
        let expected = ["kill owner", "kill standby", "kill router", "pause owner", "drain standby", "move to standby"]
        #expect(verbs.isSuperset(of: expected), "\(verbs.sorted())")
        #expect(verbs.contains("kill ws1") && verbs.contains("kill sg1"))
    }

    @Test func forSomeRoundsNoProcessIsEnded() throws {
        let topology = try Topology.load(path: "\(Self.root)/topology/local.yaml")
        let load = try DrillFile.load(path: "\(Self.root)/drills/soak-rest.yaml")
        var plan = SoakPlan(topology: topology, drills: [load], seed: 4)
        let kills = (0..<4 * SoakPlan.stretch).map { _ in
            plan.next().steps.contains { if case .kill = $0.action { true } else { false } }
        }
        #expect(!kills[SoakPlan.stretch..<2 * SoakPlan.stretch].contains(true))
        #expect(kills[..<SoakPlan.stretch].contains(true))
    }

    /// A sample every 20 s.
    private static func curve(_ bytes: [Int], lives: [Int32]? = nil) -> ResourceCurve {
        var curve = ResourceCurve(node: "sr1")
        for (index, bytes) in bytes.enumerated() {
            curve.add(
                ResourceSample(
                    at: .seconds(20 * (index + 1)), process: lives?[index] ?? 1, bytes: bytes, descriptors: 20,
                    threads: 9))
        }
        return curve
    }

    private static let mebibyte = 1 << 20

    @Test func whatGrowsSteadilyIsFound() throws {
        let curve = Self.curve((0..<60).map { 50 * Self.mebibyte + $0 * Self.mebibyte / 2 })
        #expect(!curve.isFlat(.bytes))
        #expect(curve.isFlat(.descriptors) && curve.isFlat(.threads))
        let growth = try #require(curve.growth(.bytes))
        #expect((19.0...21).contains(growth / Double(Self.mebibyte)), "\(growth)")
    }

    @Test func warmingUpAndNoiseAreNoGrowth() {
        let bytes = (0..<60).map { index in
            (index < 15 ? 30 + index * 2 : 60) * Self.mebibyte + (index * 7_919 % 13) * Self.mebibyte / 4
        }
        #expect(Self.curve(bytes).isFlat(.bytes))
        var spiked = bytes
        for index in stride(from: 20, to: 60, by: 9) { spiked[index] += 200 * Self.mebibyte }
        #expect(Self.curve(spiked).isFlat(.bytes))
    }

    @Test func aLifeThatBeginsIsNoGrowthAndOneThatGrowsIs() {
        let lives = (0..<60).map { Int32($0 / 12) }
        let young = (0..<60).map { (40 + min($0 % 12, 3) * 5) * Self.mebibyte }
        #expect(Self.curve(young, lives: lives).isFlat(.bytes))
        let leaking = (0..<60).map { (40 + $0 % 12 * 2) * Self.mebibyte }
        #expect(!Self.curve(leaking, lives: lives).isFlat(.bytes))
        #expect(Self.curve(leaking, lives: (0..<60).map { Int32($0 / 3) }).growth(.bytes) == nil)
        let gathering = (0..<60).map { (40 + $0 % 12 / 2) * Self.mebibyte }
        #expect(Self.curve(gathering, lives: lives).isFlat(.bytes), "what a life gathers is not taken on to the end")
    }

    @Test func theProbeReadsThisProcess() throws {
        let sample = try #require(ResourceProbe.sample(getpid(), at: .zero))
        #expect(sample.bytes > Self.mebibyte && sample.descriptors > 2 && sample.threads > 0)
        let descriptor = open("/dev/null", O_RDONLY)
        defer { close(descriptor) }
        let ballast = [UInt8](repeating: 1, count: 64 << 20)
        let later = try #require(ResourceProbe.sample(getpid(), at: .zero))
        #expect(ballast.allSatisfy { $0 == 1 })
        #expect(later.bytes > sample.bytes + 32 * Self.mebibyte)
        #expect(ResourceProbe.sample(0x7FFF_FFFF, at: .zero) == nil)
    }

    @Test func aNodeThatGrowsFailsTheSoak() throws {
        var report = SoakReport(seed: 1)
        report.rounds = 1
        report.finish([Self.curve((0..<60).map { _ in 50 * Self.mebibyte })], after: .seconds(1_200))
        #expect(report.ok && report.nodes[0].isFlat)
        report.finish([Self.curve((0..<60).map { $0 * Self.mebibyte })], after: .seconds(1_200))
        #expect(!report.ok && report.nodes[0].bytes.curve.hasPrefix("▁") && report.nodes[0].bytes.curve.hasSuffix("█"))
        report.finish([], after: .seconds(1_200))
        #expect(report.ok)
        report.lost = 1
        report.finish([], after: .seconds(1_200))
        #expect(!report.ok)
    }
}
