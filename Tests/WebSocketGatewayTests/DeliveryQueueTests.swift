import RegistrarEvents
import Testing
import WSSubscrActor

@testable import WebSocketGateway

@Suite struct DeliveryQueueTests {
    private let everyone = (1...3).map { SubscriberID(lane: 0, connection: $0, number: 1) }
    private let others = (4...6).map { SubscriberID(lane: 0, connection: $0, number: 1) }

    /// One event of 100 bytes.
    private func pushed(_ seq: UInt64, to ids: [SubscriberID]) -> Delivery {
        let batch = EventBatch(
            after: Position(epoch: 1, seq: seq - 1), through: Position(epoch: 1, seq: seq),
            tails: [Array(repeating: UInt8(seq), count: 100)])
        return Delivery(to: ids, .events(batch, .pushed))
    }

    /// What a delivery brings: first subscription, and the sequence numbers of its events.
    private func summary(_ delivery: Delivery) -> String {
        let to = "\(delivery.to.first?.connection ?? 0)"
        switch delivery.content {
        case .answer: return "\(to) answer"
        case .ended: return "\(to) ended"
        case .events(let batch, _):
            return "\(to) \(batch.after.seq)-\(batch.through.seq) \(batch.tails.map { Int($0[0]) })"
        }
    }

    @Test func theLaneIsWokenOnceForAllThatWaits() {
        var queue = DeliveryQueue(maximumBytes: 1_000)
        // Whether the lane is woken by what is added, and what it finds.
        let woken = [[], [pushed(1, to: everyone)], [pushed(2, to: everyone)]].map { queue.add($0) }
        #expect(woken == [false, true, false])
        let found = [queue.take().count, queue.take().count]
        #expect(found == [1, 0])
        let isWokenAgain = queue.add([pushed(3, to: everyone)])
        #expect(isWokenAgain)
    }

    @Test func whatIsPushedToTheSameSubscriptionsIsJoined() {
        var queue = DeliveryQueue(maximumBytes: 10_000)
        for seq in 1...3 as ClosedRange<UInt64> {
            _ = queue.add([pushed(seq, to: everyone), pushed(seq, to: others)])
        }
        let taken = queue.take().map(summary)
        #expect(taken == ["1 0-3 [1, 2, 3]", "4 0-3 [1, 2, 3]"])
    }

    @Test func subscriptionsThatOnlyLookTheSameAreToldApart() {
        var queue = DeliveryQueue(maximumBytes: 10_000)
        var changed = everyone
        changed[2] = others[0]
        _ = queue.add([pushed(1, to: everyone), pushed(2, to: changed), pushed(3, to: everyone)])
        let taken = queue.take().map(summary)
        #expect(taken == ["1 0-1 [1]", "1 1-2 [2]", "1 2-3 [3]"])
    }

    @Test func aListThatIsBackToWhatItWasIsNotJoinedPastWhatCameMeanwhile() {
        var queue = DeliveryQueue(maximumBytes: 10_000)
        let visitor = SubscriberID(lane: 1, connection: 1, number: 1)
        _ = queue.add([pushed(1, to: others), pushed(1, to: everyone)])
        _ = queue.add([pushed(2, to: others), pushed(2, to: everyone + [visitor])])
        _ = queue.add([pushed(3, to: others), pushed(3, to: everyone), pushed(4, to: everyone)])
        let taken = queue.take().map(summary)
        #expect(taken == ["4 0-3 [1, 2, 3]", "1 0-1 [1]", "1 1-2 [2]", "1 2-4 [3, 4]"])
        // The same with others at its beginning.
        for (index, ids) in [everyone, everyone.reversed(), everyone].enumerated() {
            _ = queue.add([pushed(UInt64(index + 1), to: Array(ids))])
        }
        let turned = queue.take().map(summary)
        #expect(turned == ["1 0-1 [1]", "3 1-2 [2]", "1 2-3 [3]"])
    }

    @Test func answersStayBetweenTheEventsAroundThem() {
        var queue = DeliveryQueue(maximumBytes: 10_000)
        let answer = Delivery(to: [everyone[1]], .answer(.accepted(Position(epoch: 1, seq: 1))))
        _ = queue.add([pushed(1, to: everyone), answer, pushed(2, to: everyone), pushed(3, to: everyone)])
        let taken = queue.take().map(summary)
        #expect(taken == ["1 0-1 [1]", "2 answer", "1 1-3 [2, 3]"])
    }

    @Test func joinedBatchesStaySmall() {
        var queue = DeliveryQueue(maximumBytes: .max)
        for _ in 0..<1_000 { _ = queue.add([pushed(1, to: everyone)]) }
        let sizes = queue.take().map { delivery -> Int in
            if case .events(let batch, _) = delivery.content { return batch.byteCount }
            return 0
        }
        #expect(sizes == [65_500, 34_500])
    }

    @Test func overItsLimitTheQueueKeepsOnlyThatThereWereEvents() {
        var queue = DeliveryQueue(maximumBytes: 250)
        for seq in 1...6 as ClosedRange<UInt64> { _ = queue.add([pushed(seq, to: everyone)]) }
        let taken = queue.take().map(summary)
        #expect(taken == ["1 0-2 [1, 2]", "1 2-3 []"])
        _ = queue.add([pushed(7, to: everyone)])
        let next = queue.take().map(summary)
        #expect(next == ["1 6-7 [7]"])
    }

    @Test func overItsLimitTheQueueDoesNotGrow() {
        var queue = DeliveryQueue(maximumBytes: 100)
        for seq in 1...100 as ClosedRange<UInt64> {
            _ = queue.add([pushed(seq, to: everyone), pushed(seq, to: others)])
        }
        // Who is caught up may fall behind again.
        let slice = EventBatch(after: Position(epoch: 1, seq: 100), through: Position(epoch: 1, seq: 100), tails: [])
        _ = queue.add([Delivery(to: [everyone[0]], .events(slice, .pulled(more: false)))])
        for seq in 101...110 as ClosedRange<UInt64> {
            _ = queue.add([pushed(seq, to: everyone), pushed(seq, to: others)])
        }
        let taken = queue.take().map(summary)
        #expect(
            taken == [
                "1 0-1 [1]", "4 0-1 []", "1 1-2 []", "1 100-100 []", "1 100-101 []", "4 100-101 []",
            ])
    }

    @Test func aDroppedBatchMakesItsFeedAskForWhatIsMissing() {
        var feed = SocketFeed(number: 1, head: [])
        let batch = EventBatch(
            after: Position(epoch: 1, seq: 4), through: Position(epoch: 1, seq: 5), tails: [])
        guard case .drop = feed.received(batch, .pushed, fits: true) else {
            Issue.record("an empty batch was written")
            return
        }
        #expect(feed.state == .lost(after: Position(epoch: 1, seq: 4)))
    }

    @Test func whatBeginsAnewAfterItsEndIsOwedNothing() {
        var feeds = SocketFeeds()
        let batch = EventBatch(after: Position(epoch: 1, seq: 4), through: Position(epoch: 1, seq: 5), tails: [[1]])
        for number in [1, 2] as [UInt32] {
            let index = feeds.insert(number, head: [])
            _ = feeds[index].received(batch, .pulled(more: true), fits: true)
            guard case .ready(nil) = feeds[index].drained() else {
                Issue.record("the next slice was not asked for")
                return
            }
            feeds.ended(number, isRenewed: number == 1)
        }
        // What was asked for does not come any more; the new subscription is live.
        guard case .write = feeds[0].received(batch, .pushed, fits: true) else {
            Issue.record("an event of the new subscription was dropped")
            return
        }
        #expect(feeds.index(of: 2) == nil && feeds[0].state == .flowing)
    }

    @Test func feedsAreFoundByTheirNumbers() {
        var feeds = SocketFeeds()
        for number in [7, 3, 9, 1, 5] as [UInt32] { _ = feeds.insert(number, head: [UInt8(number)]) }
        #expect(feeds.indices.map { feeds[$0].number } == [1, 3, 5, 7, 9])
        let place = feeds.insert(5, head: [])
        #expect(place == 2)
        #expect(feeds[2].head == [5])
        feeds.remove(3)
        feeds.remove(4)
        #expect(feeds.index(of: 3) == nil && feeds.index(of: 9) == 3 && feeds.single == nil)
    }
}
