import ClusterClients
import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Drills

/// What a drill makes of what Kafka and webhooks were told.
@Suite struct DestinationViewTests {
    private static let begin = event(1, 1, .clear(own: false))

    @Test func whatComesAgainAndWhatIsOfADeposedOwnerIsPassedOver() {
        let view = view([
            Self.begin, event(1, 2, .registered(0)), event(1, 3, .unregistered(0)), event(1, 2, .registered(0)),
            event(2, 1, .clear(own: false)), event(2, 2, .registered(1), replay: true), event(1, 4, .registered(2)),
        ])
        #expect(view.holds == [1])
        #expect(view.duplicates == 1 && view.deposed == 1 && view.events == 7)
        #expect(view.gaps == [])
        #expect(view.differences(from: [1]) == [])
    }

    @Test func aDestinationThatMissesARenewalHasLostIt() {
        var renewal = event(1, 2, .registered(0))
        renewal.cseq = 8
        let view = view([Self.begin, renewal, event(1, 3, .registered(1))])
        #expect(view.differences(from: [0, 1], cseqs: [0: 8, 1: 3]) == [], "nothing is known of contact 1")
        #expect(view.differences(from: [0, 1], cseqs: [0: 9, 1: 3]).map(\.kind) == [.lost])
    }

    @Test func eachPartitionIsAStreamOfItsAccounts() {
        var view = DestinationView(name: "kafka")
        for part in 0...1 { view.take(Self.begin, part: part) }
        // The other partition's numbers are lower, and no repetitions.
        view.take(event(1, 3, .registered(1)), part: 1)
        view.take(event(1, 2, .registered(0)), part: 0)
        #expect(view.holds == [0, 1])
        #expect(view.gaps == [] && view.duplicates == 0)
        view.take(event(2, 1, .clear(own: false)), part: 0)
        #expect(view.holds == [1], "the other partition's clear has yet to come")
    }

    @Test func whatIsRestatedForTheDestinationAccountsForWhatIsMissing() {
        let restated = [
            event(1, 9, .clear(own: true)), event(1, 9, .registered(4), replay: true), event(1, 10, .registered(5)),
        ]
        let view = view([Self.begin, event(1, 2, .registered(0))] + restated)
        #expect(view.holds == [4, 5])
        #expect(view.gaps == [])
        // Read again, as a new reader of a topic does.
        var again = view
        for event in restated { again.take(event) }
        #expect(again.holds == [4, 5])
    }

    @Test func aGapThatNothingFollowsIsFound() {
        let view = view([
            Self.begin, event(1, 2, .registered(0)), event(1, 5, .registered(1)), event(3, 1, .clear(own: false)),
            event(3, 3, .registered(1)),
        ])
        #expect(
            view.gaps.map(\.text) == [
                "test: 3 to 4 of epoch 1 are missing, and no clear follows",
                "test: 2 to 2 of epoch 3 are missing, and no clear follows",
            ])
    }

    @Test func whatCameBeforeTheDrillIsNotMissing() {
        #expect(view([event(4, 70, .registered(0)), event(4, 71, .registered(1))]).gaps == [])
    }

    @Test func whatDiffersFromTheOwnersListIsFound() {
        let view = view([Self.begin, event(1, 2, .registered(0)), event(1, 3, .registered(1))])
        let found = view.differences(from: [1, 2])
        #expect(found.map(\.kind) == [.lost, .stale])
        #expect(found.map(\.contact) == [2, 0])
    }

    @Test func anEventInOnePieceIsRead() throws {
        let text = """
            {"class":"registrarevents","type":"sipuser_registered","data":{"sipuser_id":"1001","contact_id":"c",\
            "contact_uri":"sip:x@192.0.2.1","cseq":7},"eventts":1,"domain":"demo.example","epoch":7,"seq":42,\
            "replay":true}
            """
        let read = try Array(text.utf8).withUnsafeBytes { bytes in try RegistrarNotification.read(event: bytes) }
        #expect(read.domain == "demo.example")
        #expect(read.notification.position == Position(epoch: 7, seq: 42) && read.notification.replay)
        #expect(read.notification.change == .registered(.sipuser, account: "1001", contact: "c"))
        #expect(read.notification.contactURI == "sip:x@192.0.2.1" && read.notification.cseq == 7)
    }

    private func view(_ events: [SubscriberView.Event]) -> DestinationView {
        var view = DestinationView(name: "test")
        for event in events { view.take(event) }
        return view
    }
}

private func event(
    _ epoch: UInt64, _ seq: UInt64, _ change: SubscriberView.Event.Change, replay: Bool = false
) -> SubscriberView.Event {
    SubscriberView.Event(Position(epoch: epoch, seq: seq), change, replay: replay)
}
