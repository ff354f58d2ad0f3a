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
        let first = (0..<40).map { one.next(kills: $0 < 20) }
        #expect(first == (0..<40).map { two.next(kills: $0 < 20) })
        #expect(first != (0..<40).map { other.next(kills: $0 < 20) })
    }

    @Test func everyKindOfFaultComesAndIsTakenBackBeforeTheNext() throws {
        var plan = try Self.plan(seed: 3)
        let topology = try Topology.load(path: "\(Self.root)/topology/local.yaml")
        var verbs: Set<String> = []
        for _ in 0..<200 {
            let drill = plan.next(kills: true)
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

    @Test func noProcessIsEndedWhenNoneMayBe() throws {
        let topology = try Topology.load(path: "\(Self.root)/topology/local.yaml")
        let load = try DrillFile.load(path: "\(Self.root)/drills/soak-rest.yaml")
        var plan = SoakPlan(topology: topology, drills: [load], seed: 4)
        func kills(_ may: Bool) -> [Bool] {
            (0..<30).map { _ in
                plan.next(kills: may).steps.contains { if case .kill = $0.action { true } else { false } }
            }
        }
        #expect(kills(true).contains(true))
        #expect(!kills(false).contains(true))
    }

    @Test func inTheSecondHalfOfASoakNoProcessIsEnded() throws {
        let topology = try Topology.load(path: "\(Self.root)/topology/local.yaml")
        func soak(rounds: Int) -> SoakRun {
            SoakRun(
                topology: topology, drills: [], executable: "", duration: .seconds(600), rounds: rounds, seed: 1,
                credentials: { _, _ in DrillCredentials(admin: nil, service: nil) }, progress: { _ in })
        }
        #expect(soak(rounds: .max).mayKill(after: 30, .seconds(299)))
        #expect(!soak(rounds: .max).mayKill(after: 30, .seconds(300)))
        #expect((0..<3).map { soak(rounds: 3).mayKill(after: $0, .zero) } == [true, true, false])
        #expect(soak(rounds: 1).mayKill(after: 0, .zero))
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
        #expect(curve.isFlat(.bytes) == false)
        #expect(curve.isFlat(.descriptors) == true && curve.isFlat(.threads) == true)
        let growth = try #require(curve.growth(.bytes))
        #expect((19.0...21).contains(growth / Double(Self.mebibyte)), "\(growth)")
        let hourly = try #require(curve.hourlyGrowth(.bytes))
        #expect((89.0...91).contains(hourly / Double(Self.mebibyte)), "\(hourly)")
    }

    @Test func warmingUpAndNoiseAreNoGrowth() {
        let bytes = (0..<60).map { index in
            (index < 15 ? 30 + index * 2 : 60) * Self.mebibyte + (index * 7_919 % 13) * Self.mebibyte / 4
        }
        #expect(Self.curve(bytes).isFlat(.bytes) == true)
        var spiked = bytes
        for index in stride(from: 20, to: 60, by: 9) { spiked[index] += 200 * Self.mebibyte }
        #expect(Self.curve(spiked).isFlat(.bytes) == true)
    }

    @Test func aLifeThatBeginsIsNoGrowthAndOneThatGrowsIs() {
        let lives = (0..<60).map { Int32($0 / 12) }
        let young = (0..<60).map { (40 + min($0 % 12, 3) * 5) * Self.mebibyte }
        #expect(Self.curve(young, lives: lives).isFlat(.bytes) == true)
        let leaking = (0..<60).map { (40 + $0 % 12 * 2) * Self.mebibyte }
        #expect(Self.curve(leaking, lives: lives).isFlat(.bytes) == false)
        let gathering = (0..<60).map { (40 + $0 % 12 / 2) * Self.mebibyte }
        // What a life gathers is not taken on to the end.
        #expect(Self.curve(gathering, lives: lives).isFlat(.bytes) == true)
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

    @Test func aNodeThatWasNeverJudgedFailsALongSoak() throws {
        let leaking = (0..<60).map { (40 + $0 % 3 * 20) * Self.mebibyte }
        let curve = Self.curve(leaking, lives: (0..<60).map { Int32($0 / 3) })
        #expect(curve.growth(.bytes) == nil && curve.isFlat(.bytes) == nil)
        var report = SoakReport(seed: 1)
        report.rounds = SoakReport.roundsToJudgeBy - 1
        report.finish([curve], after: .seconds(1_200))
        #expect(report.ok && report.nodes[0].isFlat == nil)
        report.rounds = SoakReport.roundsToJudgeBy
        report.finish([curve], after: .seconds(1_200))
        #expect(!report.ok)
    }

    @Test func aNodeThatGrowsFailsTheSoak() throws {
        var report = SoakReport(seed: 1)
        report.rounds = 1
        report.finish([Self.curve((0..<60).map { _ in 50 * Self.mebibyte })], after: .seconds(1_200))
        #expect(report.ok && report.nodes[0].isFlat == true)
        report.finish([Self.curve((0..<60).map { $0 * Self.mebibyte })], after: .seconds(1_200))
        #expect(!report.ok && report.nodes[0].bytes.curve.hasPrefix("▁") && report.nodes[0].bytes.curve.hasSuffix("█"))
        report.finish([], after: .seconds(1_200))
        #expect(report.ok)
        report.lost = 1
        report.finish([], after: .seconds(1_200))
        #expect(!report.ok)
    }
}
