import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Drills

/// A lost renewal leaves the contact where it is: it is found by what is there of it, and by when it runs out.
@Suite struct RenewalCheckTests {
    /// Contact 0 is registered by CSeq 1 at 1:2 and renewed by CSeq 2 at 1:3, which are answered at 2 and 6 s.
    private let first = registration(cseq: 1, at: Position(epoch: 1, seq: 2), from: 1, to: 2)
    private let renewal = registration(cseq: 2, at: Position(epoch: 1, seq: 3), from: 5, to: 6)

    // MARK: What is there in the end

    @Test func aListThatHasTheRenewalPasses() {
        #expect(found(listed: 2, held: 2) == [])
        #expect(found(listed: nil, held: 0) == [], "where no CSeq is told nothing is known")
    }

    @Test func aContactAsItWasBeforeItsRenewalIsLost() {
        #expect(found(listed: 1, held: 2) == [.lost])
        #expect(found(listed: 2, held: 1) == [.lost])
    }

    @Test func aRenewalWithoutAnAnswerMayHaveHappenedOrNot() {
        let open = Self.registration(cseq: 3, at: nil, from: 8, to: 16)
        for cseq in [2, 3] as [UInt32] { #expect(found([open], listed: cseq, held: cseq) == []) }
        #expect(found([open], listed: 1, held: 3) == [.lost])
    }

    @Test func whatWasGivenUpLongBeforeTheRenewalIsLostForGood() {
        let late = Self.registration(cseq: 3, at: Position(epoch: 1, seq: 9), from: 40, to: 41)
        let open = Self.registration(cseq: 4, at: nil, from: 8, to: 16)
        #expect(found([open, late], listed: 4, held: 3) == [.lost])
    }

    @Test func whatNobodyAskedForIsStale() {
        #expect(found(listed: 7, held: 2) == [.stale])
        var refused = Self.registration(cseq: 3, at: nil, from: 8, to: 9)
        refused.outcome = .refused("HTTP 409")
        #expect(found([refused], listed: 3, held: 2) == [.stale])
    }

    // MARK: What the log says

    @Test func aContactIsRestatedAsItWasRenewed() {
        #expect(restated(by: 2) == [])
        #expect(restated(by: 1) == [.lost], "although it is renewed once more")
        #expect(restated(by: 9) == [.stale])
    }

    /// The owner carried it out, and died before it could answer; its successor did so once more.
    @Test func aRenewalUnderWayAtTheFailoverMayBeRestated() {
        #expect(restated(by: 3) == [])
    }

    @Test func anAcknowledgementAtAnotherRequestsPlaceBreaksTheOrder() {
        var history = history([])
        history.events = [Position(epoch: 1, seq: 3): LoggedEvent(.registered, 0, cseq: 1)]
        #expect(kinds(history) == [.order])
        history.events = [Position(epoch: 1, seq: 3): LoggedEvent(.registered, 0, cseq: 2)]
        #expect(kinds(history) == [])
    }

    @Test func anExpiryIsExplainedByTheLastAcknowledgedRegistrationAlone() {
        #expect(ranOut(first: 10, renewal: 600) == [.lost], "the renewal was lost")
        #expect(ranOut(first: 600, renewal: 10) == [])
        #expect(ranOut(first: 10, renewal: 600, [Self.registration(cseq: 3, at: nil, from: 8, to: 16, ttl: 10)]) == [])
    }

    /// It was carried out in time, ran out, and was carried out again because its answer had been lost.
    @Test func whatWasAcknowledgedAfterItsExpiryExplainsItToo() {
        let twice = Self.registration(cseq: 3, at: Position(epoch: 1, seq: 8), from: 8, to: 50, ttl: 5)
        #expect(ranOut(first: 600, renewal: 600, [twice]) == [])
    }

    // MARK: Building histories

    private static func registration(
        cseq: UInt32, at position: Position?, from: Int64, to: Int64, ttl: Int64 = 600
    ) -> Drills.Operation {
        Drills.Operation(
            contact: 0, kind: .register(ttl: .seconds(ttl)), sent: instant(from), ended: instant(to),
            outcome: position.map { .acknowledged($0, changed: true) } ?? .unknown("timeout"), cseq: cseq)
    }

    private static func instant(_ seconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
    }

    private func history(_ more: [Drills.Operation]) -> History {
        History(
            operations: [first, renewal] + more, events: [:], subscribers: [], list: [0], takenAt: Self.instant(100))
    }

    private func kinds(_ history: History) -> [Violation.Kind] {
        HistoryChecker(settledAfter: .seconds(8)).check(history).map(\.kind)
    }

    private func found(_ more: [Drills.Operation] = [], listed: UInt32?, held: UInt32) -> [Violation.Kind] {
        var history = history(more)
        if let listed { history.listedCSeqs = [0: listed] }
        history.subscribers = [SubscriberRecord(name: "a", set: [0], cseqs: [held])]
        return kinds(history)
    }

    /// Epoch 2 restates the contact; then it is renewed by CSeq 3, a request from before the failover.
    private func restated(by cseq: UInt32) -> [Violation.Kind] {
        var history = history([Self.registration(cseq: 3, at: Position(epoch: 2, seq: 3), from: 7, to: 12)])
        history.events = [
            Position(epoch: 2, seq: 1): LoggedEvent(.clear, nil),
            Position(epoch: 2, seq: 2): LoggedEvent(.registered, 0, replay: true, cseq: cseq),
        ]
        history.listedCSeqs = [0: 3]
        return kinds(history)
    }

    /// The contact ends at 1:5, after contact 9 was registered by a request of 30 s.
    private func ranOut(first: Int64, renewal: Int64, _ more: [Drills.Operation] = []) -> [Violation.Kind] {
        var mark = Self.registration(cseq: 90, at: Position(epoch: 1, seq: 4), from: 30, to: 31)
        mark.contact = 9
        var later = Self.registration(cseq: 91, at: Position(epoch: 1, seq: 6), from: 32, to: 33)
        later.contact = 9
        var history = history(more + [mark, later])
        history.operations[0].kind = .register(ttl: .seconds(first))
        history.operations[1].kind = .register(ttl: .seconds(renewal))
        history.events = [Position(epoch: 1, seq: 5): LoggedEvent(.unregistered, 0)]
        history.list = [0, 9]
        return kinds(history)
    }
}
