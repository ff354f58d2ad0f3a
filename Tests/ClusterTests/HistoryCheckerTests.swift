import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Drills

/// Each promise is broken on purpose here, since a checker that finds nothing proves nothing; and everything that an
/// honest cluster may do must pass.
@Suite struct HistoryCheckerTests {
    let checker = HistoryChecker(settledAfter: .seconds(8))

    // MARK: Honest histories

    @Test func anHonestHistoryPasses() {
        let history = History(
            operations: [
                registered(0, from: 1, to: 2, at: 1, 2), registered(1, from: 1, to: 3, at: 1, 3),
                registered(0, from: 4, to: 5, at: 1, 4), unregistered(1, from: 4, to: 6, at: 1, 5),
            ],
            events: [
                Position(epoch: 1, seq: 2): LoggedEvent(.registered, 0),
                Position(epoch: 1, seq: 5): LoggedEvent(.unregistered, 1),
            ],
            subscribers: [SubscriberRecord(name: "a", set: [0])], list: [0], takenAt: at(100))
        #expect(checker.check(history) == [])
    }

    @Test(arguments: [Set<ContactNumber>(), [0]])
    func anUnregistrationOfUnknownOutcomeMayHaveHappenedOrNot(list: Set<ContactNumber>) {
        let operations = [registered(0, from: 1, to: 2, at: 1, 2), unknown(.unregister, 0, from: 3, to: 20)]
        #expect(checker.check(history(operations, list: list)) == [])
    }

    @Test(arguments: [Set<ContactNumber>(), [0]])
    func aRegistrationOfUnknownOutcomeMayHaveHappenedOrNot(list: Set<ContactNumber>) {
        let operations = [unregistered(0, from: 1, to: 2, at: 1, 2), unknown(register, 0, from: 3, to: 20)]
        #expect(checker.check(history(operations, list: list)) == [])
    }

    @Test(arguments: [Set<ContactNumber>(), [0]])
    func anUnknownOutcomeStaysOpenUntilTheDeadlineHasPassed(list: Set<ContactNumber>) {
        let operations = [
            unknown(register, 0, from: 1, to: 3), unregistered(0, from: 4, to: 5, at: 1, 2),
        ]
        #expect(checker.check(history(operations, list: list)) == [])
    }

    @Test(arguments: [Set<ContactNumber>(), [0]])
    func aRegistrationThatMayHaveRunOutMayBeThereOrNot(list: Set<ContactNumber>) {
        var operation = registered(0, from: 1, to: 2, at: 1, 2)
        operation.kind = .register(ttl: .seconds(30))
        #expect(checker.check(history([operation], list: list)) == [])
    }

    @Test func aRefusedRegistrationChangesNothing() {
        let refused = Operation(
            contact: 0, kind: register, sent: at(1), ended: at(2), outcome: .refused("HTTP 409"))
        #expect(checker.check(history([refused], list: [])) == [])
    }

    @Test func requestsUnderWayTogetherMayBeAcknowledgedInAnyOrder() {
        let operations = [
            registered(0, from: 1, to: 10, at: 1, 3), registered(1, from: 2, to: 9, at: 1, 2),
            registered(2, from: 3, to: 20, at: 1, 1),
        ]
        #expect(checker.check(history(operations, list: [0, 1, 2])) == [])
    }

    @Test func aRequestSentBeforeTheFailoverMayBeAcknowledgedInTheOldEpoch() {
        let operations = [registered(0, from: 1, to: 9, at: 1, 7), registered(1, from: 2, to: 8, at: 2, 5)]
        #expect(checker.check(history(operations, list: [0, 1])) == [])
    }

    @Test func unregisteringWhatIsGoneHasNoPositionOfItsOwn() {
        let idle = Operation(
            contact: 1, kind: .unregister, sent: at(3), ended: at(4),
            outcome: .acknowledged(Position(epoch: 1, seq: 2), changed: false))
        #expect(checker.check(history([registered(0, from: 1, to: 2, at: 1, 2), idle], list: [0])) == [])
    }

    // MARK: Planted violations

    @Test func aRegistrationMissingInTheListIsLost() {
        let found = checker.check(history([registered(0, from: 1, to: 2, at: 1, 2)], list: []))
        #expect(found.map(\.kind) == [.lost])
        #expect(found.first?.contact == 0)
    }

    @Test func aRegistrationMissingAtOneSubscriberIsLost() {
        var history = history([registered(0, from: 1, to: 2, at: 1, 2)], list: [0])
        history.subscribers = [SubscriberRecord(name: "a", set: [0]), SubscriberRecord(name: "b", set: [])]
        #expect(checker.check(history).map(\.kind) == [.lost])
    }

    @Test func aRegistrationIsLostAlsoAfterARenewalOfUnknownOutcome() {
        let operations = [registered(0, from: 1, to: 2, at: 1, 2), unknown(register, 0, from: 3, to: 4)]
        #expect(checker.check(history(operations, list: [])).map(\.kind) == [.lost])
    }

    @Test func aRegistrationAcknowledgedLongAfterAnUnknownUnregistrationIsLost() {
        let operations = [unknown(.unregister, 0, from: 1, to: 3), registered(0, from: 20, to: 21, at: 1, 2)]
        #expect(checker.check(history(operations, list: [])).map(\.kind) == [.lost])
    }

    @Test func anUnregisteredContactInTheListIsStale() {
        let operations = [registered(0, from: 1, to: 2, at: 1, 2), unregistered(0, from: 3, to: 4, at: 1, 3)]
        #expect(checker.check(history(operations, list: [0])).map(\.kind) == [.stale])
    }

    @Test func anUnregisteredContactAtASubscriberIsStale() {
        var history = history(
            [registered(0, from: 1, to: 2, at: 1, 2), unregistered(0, from: 3, to: 4, at: 1, 3)], list: [])
        history.subscribers = [SubscriberRecord(name: "a", set: [0])]
        #expect(checker.check(history).map(\.kind) == [.stale])
    }

    @Test func aContactNobodyRegisteredIsStale() {
        #expect(checker.check(history([], list: [7])).map(\.kind) == [.stale])
    }

    @Test func anAcknowledgementOfADeposedOwnerIsStale() {
        let operations = [registered(0, from: 1, to: 2, at: 2, 1), registered(1, from: 3, to: 4, at: 1, 9)]
        let found = checker.check(history(operations, list: [0, 1]))
        #expect(found.map(\.kind) == [.stale])
        #expect(found.first?.text.contains("deposed") == true)
    }

    @Test func aLaterRequestAtAnEarlierPositionBreaksTheOrder() {
        let operations = [registered(0, from: 1, to: 2, at: 1, 9), registered(1, from: 3, to: 4, at: 1, 5)]
        #expect(checker.check(history(operations, list: [0, 1])).map(\.kind) == [.order])
    }

    @Test func twoAcknowledgementsAtOnePositionBreakTheOrder() {
        let operations = [registered(0, from: 1, to: 5, at: 1, 9), registered(1, from: 2, to: 4, at: 1, 9)]
        #expect(checker.check(history(operations, list: [0, 1])).map(\.kind) == [.order])
    }

    @Test func anEventThatIsNotWhatWasAcknowledgedBreaksTheOrder() {
        // Somebody asked for the event, so that its place alone is wrong.
        let operations = [registered(0, from: 1, to: 2, at: 1, 2), unknown(register, 1, from: 1, to: 2)]
        var history = history(operations, list: [0])
        history.events = [Position(epoch: 1, seq: 2): LoggedEvent(.registered, 1)]
        #expect(checker.check(history).map(\.kind) == [.order])
    }

    @Test func whatSubscribersFoundIsHandedOn() {
        var history = history([], list: [])
        let found = Violation(.duplicated, "1:2 came again")
        history.subscribers = [SubscriberRecord(name: "a", set: [], violations: [found])]
        #expect(checker.check(history) == [found])
    }

    // MARK: What a new epoch restates

    @Test func aCompleteRestatementPasses() {
        let restated = [
            LoggedEvent(.clear, nil), LoggedEvent(.registered, 1), LoggedEvent(.registered, 0, replay: true),
        ]
        #expect(checker.check(failover(restating: restated, list: [0, 1])) == [])
    }

    @Test func aContactThatIsNotRestatedIsLostEvenIfItsRenewalHealsIt() {
        let restated = [
            LoggedEvent(.clear, nil), LoggedEvent(.registered, 0, replay: true), LoggedEvent(.registered, 1),
        ]
        let found = checker.check(failover(restating: restated, list: [0, 1]))
        #expect(found.map(\.kind) == [.lost])
        #expect(found.first?.contact == 1)
    }

    @Test func aReplayThatNobodySawWholeProvesNothing() {
        var history = failover(
            restating: [
                LoggedEvent(.clear, nil), LoggedEvent(.registered, nil), LoggedEvent(.registered, 0, replay: true),
            ],
            list: [0, 1])
        history.events[Position(epoch: 2, seq: 2)] = nil
        #expect(checker.check(history) == [])
    }

    @Test func aContactRaisedFromTheDeadIsStaleEvenIfItComesBackLater() {
        var history = failover(
            restating: [
                LoggedEvent(.clear, nil), LoggedEvent(.registered, 1, replay: true),
                LoggedEvent(.registered, 0, replay: true), LoggedEvent(.registered, 2, replay: true),
            ],
            list: [0, 1, 2])
        history.operations += [
            registered(2, from: 3, to: 4, at: 1, 4), unregistered(2, from: 5, to: 6, at: 1, 5),
            registered(0, from: 20, to: 21, at: 2, 8), registered(2, from: 30, to: 31, at: 2, 9),
        ]
        #expect(checker.check(history).map(\.kind) == [.stale])
        history.operations.append(unknown(register, 2, from: 7, to: 15))
        #expect(checker.check(history) == [])
    }

    /// Its first try was carried out by the owner that then died, before it could answer.
    @Test func whatWasUnderWayAtTheFailoverMayHaveBeenDoneInTheOldEpoch() {
        let restated = [LoggedEvent(.clear, nil), LoggedEvent(.registered, 0, replay: true)]
        var history = failover(restating: restated, list: [0])
        history.operations += [
            unregistered(1, from: 5, to: 9, at: 2, 12), registered(0, from: 10, to: 11, at: 2, 13),
        ]
        #expect(checker.check(history) == [])
        // Once somebody had been told of the new epoch, it was too late for that.
        history.operations += [registered(2, from: 3, to: 4, at: 2, 11)]
        history.list.insert(2)
        #expect(checker.check(history).map(\.kind).contains(.lost))
    }

    // MARK: What explains the log

    /// Contact 0 is registered at 1:2 by a request that is acknowledged, contact 9 marks the time at 1:6.
    private func explained(
        _ kind: LoggedEvent.Kind, by operations: [Operation], markedAt seconds: Int64 = 3, list: Set<ContactNumber>
    ) -> [Violation] {
        let marks = [
            registered(0, from: 1, to: 2, at: 1, 2), registered(9, from: seconds, to: seconds + 1, at: 1, 4),
            registered(8, from: seconds + 1, to: seconds + 2, at: 1, 6),
        ]
        var history = history(marks + operations, list: list.union([8, 9]))
        history.events = [
            Position(epoch: 1, seq: 2): LoggedEvent(.registered, 0), Position(epoch: 1, seq: 5): LoggedEvent(kind, 0),
        ]
        return checker.check(history)
    }

    @Test func aRequestWithoutAnAnswerExplainsWhatCameOfIt() {
        #expect(explained(.unregistered, by: [unknown(.unregister, 0, from: 2, to: 10)], list: []) == [])
        #expect(explained(.registered, by: [unknown(register, 0, from: 2, to: 10)], list: [0]) == [])
        // Also a request whose answer was lost, and which was carried out once more.
        let twice = registered(0, from: 2, to: 9, at: 1, 7)
        #expect(explained(.registered, by: [twice], list: [0]) == [])
    }

    @Test func whatNobodyAskedForIsFound() {
        #expect(explained(.unregistered, by: [], list: [0]).map(\.kind) == [.lost])
        // Asked for only afterwards, or refused.
        #expect(explained(.unregistered, by: [unknown(.unregister, 0, from: 6, to: 20)], list: []).count == 1)
        let refused = Operation(contact: 0, kind: .unregister, sent: at(2), ended: at(3), outcome: .refused("409"))
        #expect(explained(.unregistered, by: [refused], list: [0]).map(\.kind) == [.lost])
        var other = history([registered(0, from: 1, to: 2, at: 1, 2)], list: [0])
        other.events = [Position(epoch: 1, seq: 3): LoggedEvent(.registered, 5)]
        #expect(checker.check(other).map(\.kind) == [.stale])
    }

    @Test func whatWasCarriedOutAfterItsDeadlineIsFound() {
        // Given up at 10 s; in the log after something that was asked for at 30 s.
        let late = unknown(.unregister, 0, from: 2, to: 10)
        #expect(explained(.unregistered, by: [late], markedAt: 17, list: []) == [])
        #expect(explained(.unregistered, by: [late], markedAt: 30, list: []).map(\.kind) == [.lost])
    }

    @Test func whatRanOutWasAskedForByNobody() {
        var short = registered(0, from: 1, to: 2, at: 1, 3)
        short.kind = .register(ttl: .seconds(10))
        #expect(explained(.unregistered, by: [short], markedAt: 20, list: []).isEmpty)
        #expect(explained(.unregistered, by: [short], markedAt: 5, list: []).map(\.kind) == [.lost])
    }

    private func failover(restating events: [LoggedEvent], list: Set<ContactNumber>) -> History {
        var history = history(
            [registered(0, from: 1, to: 2, at: 1, 2), registered(1, from: 1, to: 2, at: 1, 3)], list: list)
        for (seq, event) in zip(1..., events) { history.events[Position(epoch: 2, seq: UInt64(seq))] = event }
        return history
    }

    // MARK: Building histories

    private let register = Operation.Kind.register(ttl: .seconds(600))

    private func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }

    private func history(_ operations: [Operation], list: Set<ContactNumber>) -> History {
        History(operations: operations, events: [:], subscribers: [], list: list, takenAt: at(100))
    }

    private func registered(
        _ contact: ContactNumber, from: Int64, to: Int64, at epoch: UInt64, _ seq: UInt64
    ) -> Operation {
        Operation(
            contact: contact, kind: register, sent: at(from), ended: at(to),
            outcome: .acknowledged(Position(epoch: epoch, seq: seq), changed: true))
    }

    private func unregistered(
        _ contact: ContactNumber, from: Int64, to: Int64, at epoch: UInt64, _ seq: UInt64
    ) -> Operation {
        var operation = registered(contact, from: from, to: to, at: epoch, seq)
        operation.kind = .unregister
        return operation
    }

    private func unknown(_ kind: Operation.Kind, _ contact: ContactNumber, from: Int64, to: Int64) -> Operation {
        Operation(contact: contact, kind: kind, sent: at(from), ended: at(to), outcome: .unknown("timeout"))
    }
}
