import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Drills

@Suite struct SubscriberViewTests {
    // MARK: Legal streams

    @Test func aSnapshotThenLiveEventsKeepTheSet() {
        let view = view([
            event(3, 7, .clear(own: true)), event(3, 7, .registered(0), replay: true),
            event(3, 7, .registered(1), replay: true), event(3, 8, .unregistered(0)), event(3, 9, .registered(2)),
        ])
        #expect(view.record.set == [1, 2])
        #expect(view.violations == [])
        #expect(view.position == Position(epoch: 3, seq: 9))
    }

    @Test func aNewEpochVoidsTheSetAndRestatesIt() {
        let view = view([
            event(1, 1, .clear(own: false)), event(1, 2, .registered(0)), event(1, 3, .registered(1)),
            event(4, 1, .clear(own: false)), event(4, 2, .registered(1), replay: true),
        ])
        #expect(view.record.set == [1])
        #expect(view.violations == [])
    }

    @Test func aResyncMaySkipWhatWasMissed() {
        let view = view([
            event(1, 1, .clear(own: false)), event(1, 2, .registered(0)), event(1, 90, .clear(own: true)),
            event(1, 90, .registered(1), replay: true), event(1, 91, .registered(2)),
        ])
        #expect(view.record.set == [1, 2])
        #expect(view.violations == [])
    }

    @Test func anEmptySnapshotOfADomainWithoutEventsMayPrecedeItsFirst() {
        let view = view([
            event(1, 0, .clear(own: true)), event(1, 1, .clear(own: false)), event(1, 2, .registered(0)),
        ])
        #expect(view.violations == [])
    }

    @Test func contactsOfOthersMoveThePositionOnly() {
        let view = view([event(1, 1, .clear(own: false)), event(1, 2, .registered(nil)), event(1, 3, .registered(0))])
        #expect(view.record.set == [0])
        #expect(view.violations == [])
    }

    @Test func copiesMadeForOneSubscriberAreNotOfTheLog() {
        var view = SubscriberView(name: "s", contacts: 1)
        let events = [
            event(1, 5, .clear(own: true)), event(1, 5, .registered(0), replay: true), event(1, 6, .registered(0)),
        ]
        let ofTheLog = events.map { view.apply($0, at: .distantPast) }
        #expect(ofTheLog == [false, false, true])
    }

    // MARK: Planted violations

    @Test func aGapIsFound() {
        expect([event(1, 1, .clear(own: false)), event(1, 3, .registered(0))], finds: .order)
    }

    @Test func anEventThatComesTwiceIsFound() {
        expect(
            [event(1, 1, .clear(own: false)), event(1, 2, .registered(0)), event(1, 2, .registered(0))],
            finds: .duplicated)
    }

    @Test func aClearThatComesTwiceIsFound() {
        expect([event(1, 1, .clear(own: false)), event(1, 1, .clear(own: false))], finds: .duplicated)
    }

    @Test func anEventOfADeposedOwnerIsFound() {
        expect([event(2, 1, .clear(own: false)), event(1, 8, .registered(0))], finds: .order)
    }

    @Test func anEpochWithoutClearIsFound() {
        expect([event(1, 1, .clear(own: false)), event(2, 1, .registered(0))], finds: .order)
    }

    @Test func aClearThatIsNotFirstInItsEpochIsFound() {
        expect([event(1, 1, .clear(own: false)), event(2, 4, .clear(own: false))], finds: .order)
    }

    @Test func aSnapshotFromThePastIsFound() {
        expect([event(2, 1, .clear(own: false)), event(1, 9, .clear(own: true))], finds: .order)
    }

    @Test func aGapAfterASnapshotIsFound() {
        expect([event(1, 5, .clear(own: true)), event(1, 7, .registered(0))], finds: .order)
    }

    @Test func findingsAreCountedPastTheirLimit() {
        var view = SubscriberView(name: "s", contacts: 1)
        for _ in 0..<500 { _ = view.apply(event(1, 1, .clear(own: false)), at: .distantPast) }
        #expect(view.violations.count == SubscriberView.maximumViolations)
        #expect(view.violationCount == 499)
    }

    // MARK: Building streams

    private func event(
        _ epoch: UInt64, _ seq: UInt64, _ change: SubscriberView.Event.Change, replay: Bool = false
    ) -> SubscriberView.Event {
        SubscriberView.Event(Position(epoch: epoch, seq: seq), change, replay: replay)
    }

    private func view(_ events: [SubscriberView.Event]) -> SubscriberView {
        var view = SubscriberView(name: "s", contacts: 3)
        for event in events { _ = view.apply(event, at: .distantPast) }
        return view
    }

    private func expect(
        _ events: [SubscriberView.Event], finds kind: Violation.Kind, location: SourceLocation = #_sourceLocation
    ) {
        #expect(view(events).violations.map(\.kind) == [kind], sourceLocation: location)
    }
}
