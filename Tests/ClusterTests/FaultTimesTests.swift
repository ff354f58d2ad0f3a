import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Drills

@Suite struct FaultTimesTests {
    private let fault = MonotonicInstant(nanoseconds: 100_000_000_000)

    @Test func acceptCountsRequestsSentAfterTheFaultOnly() {
        let operations = [
            acknowledged(0, sent: -10, ended: 5), acknowledged(1, sent: 20, ended: 700),
            acknowledged(2, sent: 30, ended: 650),
        ]
        #expect(FaultTimes.accept(after: fault, operations) == .milliseconds(650))
    }

    @Test func theGapIsTheLongestStretchWithoutAcknowledgement() {
        let operations = [
            acknowledged(0, sent: -10, ended: 5), acknowledged(1, sent: 20, ended: 30),
            acknowledged(2, sent: 30, ended: 130), acknowledged(3, sent: 31, ended: 140),
        ]
        func gap(until end: Int64) -> Duration {
            FaultTimes.gap(from: fault, until: fault + .milliseconds(end), operations)
        }
        #expect(gap(until: 150) == .milliseconds(100))
        #expect(gap(until: 300) == .milliseconds(160))
        #expect(FaultTimes.gap(from: fault, until: fault + .seconds(1), []) == .seconds(1))
    }

    @Test func aFaultThatNobodyOughtToFeelIsOverWhenOneIsTakenBack() {
        let back = [-5, 900, 300].map { fault + .milliseconds($0) }
        let end = fault + .seconds(2)
        #expect(FaultTimes.end(of: fault, takenBack: back, loadEnd: end) == fault + .milliseconds(300))
        #expect(FaultTimes.end(of: fault, takenBack: [], loadEnd: end) == end)
    }

    /// An owner may answer the first write after a fault, and nobody once its lease is over.
    @Test(arguments: [true, false]) func aStretchWithoutAcknowledgementsFailsADrill(movesOwner: Bool) throws {
        let drill = try drill(expecting: "accept_within: 100ms, gap_within: 1s")
        func report(_ gap: Duration) -> DrillReport {
            let times = FaultTimes(detect: .zero, accept: .milliseconds(5), gap: gap, converge: .zero)
            return DrillReport(
                drill: drill, violations: [], operations: [], sip: nil, delivered: 0,
                faults: [(step: "kill router", subject: "router1", times: times, movesOwner: movesOwner)])
        }
        #expect(report(.seconds(1)).ok)
        let failed = report(.milliseconds(1_001))
        #expect(!failed.ok && failed.gap == 1_001)
    }

    @Test func aWriteThatFailsIsToldWithItsReason() throws {
        var operations = [10, 20, 40].map { acknowledged(0, sent: $0, ended: 50) }
        operations[2].outcome = .unknown("timeout")
        operations[1].outcome = .refused("HTTP 409")
        let report = DrillReport(
            drill: try drill(expecting: "failed: 0"), violations: [], operations: operations.reversed(), sip: nil,
            delivered: 0, faults: [])
        #expect(!report.ok)
        #expect(report.violations == ["2 writes were not acknowledged, expected at most 0; the first: HTTP 409"])
    }

    @Test func withoutAnAcknowledgementThereIsNoTime() {
        #expect(FaultTimes.accept(after: fault, [acknowledged(0, sent: -10, ended: 5)]) == nil)
    }

    @Test func convergenceIsTheLastContactAtTheLastSubscriber() {
        let operations = [acknowledged(0, sent: -500, ended: -400), acknowledged(1, sent: -500, ended: -400)]
        let early = era(epoch: 2, cleared: 300, seen: [10, 20])
        let late = era(epoch: 2, cleared: 310, seen: [10, 90])
        #expect(converge(operations, [[early], [late]]) == .milliseconds(400))
    }

    @Test func aSubscriberThatMissesAContactHasNotConverged() {
        let operations = [acknowledged(0, sent: -500, ended: -400), acknowledged(1, sent: -500, ended: -400)]
        #expect(converge(operations, [[era(epoch: 2, cleared: 300, seen: [10, nil])]]) == nil)
    }

    @Test func anOldEpochDoesNotCount() {
        let operations = [acknowledged(0, sent: -500, ended: -400)]
        #expect(converge(operations, [[era(epoch: 1, cleared: 300, seen: [10])]]) == nil)
    }

    @Test func aContactThatLeftMeanwhileIsNotWaitedFor() {
        var leaving = acknowledged(1, sent: 350, ended: 360)
        leaving.kind = .unregister
        let operations = [
            acknowledged(0, sent: -500, ended: -400), acknowledged(1, sent: -500, ended: -400), leaving,
        ]
        #expect(converge(operations, [[era(epoch: 2, cleared: 300, seen: [10, nil])]]) == .milliseconds(350))
    }

    @Test func aContactWhoseDepartureWasUnderWayIsNotWaitedFor() {
        var leaving = acknowledged(1, sent: -5, ended: 360)
        leaving.kind = .unregister
        let operations = [
            acknowledged(0, sent: -500, ended: -400), acknowledged(1, sent: -500, ended: -400), leaving,
        ]
        #expect(converge(operations, [[era(epoch: 2, cleared: 300, seen: [10, nil])]]) == .milliseconds(310))
    }

    @Test func aSecondSnapshotMayCompleteTheSet() {
        let operations = [acknowledged(0, sent: -500, ended: -400)]
        let cut = era(epoch: 2, cleared: 300, seen: [nil])
        let again = era(epoch: 2, cleared: 800, seen: [15])
        #expect(converge(operations, [[cut, again]]) == .milliseconds(815))
    }

    private func drill(expecting expected: String) throws -> DrillFile {
        try DrillFile.parse(
            """
            name: kill the router
            topology: local.yaml
            load: { domain: demo.example, registrations: 2, renewals_per_s: 10, churn_per_s: 0, subscribers: 0 }
            steps: [ { at: 1s, kill: router } ]
            for: 5s
            expect: { \(expected) }
            """, path: "kill.yaml")
    }

    private func converge(_ operations: [Operation], _ eras: [[SubscriberView.Era]]) -> Duration? {
        FaultTimes.converge(
            after: fault, epoch: 2, operations, subscribers: eras, settledAfter: .seconds(8))
    }

    /// Times in milliseconds after the fault.
    private func acknowledged(_ contact: ContactNumber, sent: Int, ended: Int) -> Operation {
        Operation(
            contact: contact, kind: .register(ttl: .seconds(600)), sent: fault + .milliseconds(sent),
            ended: fault + .milliseconds(ended),
            outcome: .acknowledged(Position(epoch: 1, seq: UInt64(contact) + 2), changed: true))
    }

    /// `cleared` in milliseconds after the fault, `seen` after that.
    private func era(epoch: UInt64, cleared: Int, seen: [Int64?]) -> SubscriberView.Era {
        SubscriberView.Era(
            epoch: epoch, clearedAt: fault + .milliseconds(cleared),
            firstSeen: seen.map { $0.map { $0 * 1_000_000 } ?? -1 })
    }
}
