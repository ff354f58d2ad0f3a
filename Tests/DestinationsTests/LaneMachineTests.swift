import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Destinations

/// A lane's decisions, step by step.
struct LaneMachineTests {
    private let demo: DomainName
    private let acme: DomainName

    init() throws {
        demo = try #require(DomainName("demo.example"))
        acme = try #require(DomainName("acme.example"))
    }

    @Test func batchesGoOutOneAtATimeAndInOrder() throws {
        var rig = try LaneRig(batch: 2)
        rig.begin(demo)
        rig.publish(demo, 1...5)
        #expect(rig.outgoing.map(\.seqs) == [[1, 2]])
        rig.land(demo)
        #expect(rig.outgoing.map(\.seqs) == [[1, 2], [3, 4]])
        rig.land(demo)
        rig.land(demo)
        #expect(rig.outgoing.map(\.seqs) == [[1, 2], [3, 4], [5]])
        #expect(rig.cursors == ["1:2", "1:4", "1:5"])
    }

    @Test func theCursorMovesByDeliveryAndNeverBySending() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...3)
        #expect(rig.cursors.isEmpty)
        rig.land(demo)
        #expect(rig.cursors == ["1:3"])
    }

    @Test func eventsOfABusyDomainGatherUntilTheyFillABatchOrTheirTimeIsOver() throws {
        var rig = try LaneRig(batch: 3, gathering: .milliseconds(10))
        rig.begin(demo)
        let began = rig.now.monotonic
        rig.publish(demo, 1...1)
        #expect(rig.outgoing.map(\.seqs) == [[1]], "after a pause at once")
        rig.publish(demo, 2...2)
        rig.land(demo)
        rig.publish(demo, 3...3)
        #expect(rig.outgoing.count == 1)
        #expect(rig.machine.nextWake() == began + .milliseconds(10))
        rig.advance(to: began + .milliseconds(10))
        #expect(rig.outgoing.last?.seqs == [2, 3])
        rig.publish(demo, 4...6)
        rig.land(demo)
        #expect(rig.outgoing.last?.seqs == [4, 5, 6], "a whole batch does not wait")
    }

    @Test func whatHasArrivedGoesOutTogether() throws {
        var machine = LaneMachine(settings: LaneSettings(name: "test", kind: "test"), seed: 1)
        let now = Moment(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wall: 1_700_000_000_000)
        _ = machine.handle(.published(.began(epoch: 1, LogTail()), of: demo), isLast: false, at: now)
        let first = machine.handle(
            .published(.entries([LaneRig.entry(1)], epoch: 1), of: demo), isLast: false, at: now)
        #expect(first.isEmpty)
        let second = machine.handle(.published(.entries([LaneRig.entry(2)], epoch: 1), of: demo), at: now)
        guard case .deliver(let batch, _)? = second.first else {
            Issue.record("nothing goes out")
            return
        }
        #expect(batch.events.map(\.entry.seq) == [1, 2])
    }

    @Test func domainsGoOutBesideOneAnotherUpToTheLimit() throws {
        var rig = try LaneRig(concurrency: 1)
        for domain in [demo, acme] { rig.begin(domain) }
        for domain in [demo, acme] { rig.publish(domain, 1...2) }
        #expect(rig.outgoing.map(\.batch.domain) == [demo])
        rig.publish(demo, 3...3)
        rig.land(demo)
        #expect(rig.outgoing.map(\.batch.domain) == [demo, acme], "by turns")
    }

    @Test func aFailedBatchComesAgainAfterGrowingPauses() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        var pauses: [Duration] = []
        for _ in 0..<8 {
            rig.fail(demo, .unavailable)
            let wake = try #require(rig.machine.nextWake())
            pauses.append(wake - rig.now.monotonic)
            rig.advance(to: wake)
        }
        #expect(rig.outgoing.map(\.seqs) == Array(repeating: [1, 2], count: 9))
        #expect((50...100).contains(pauses[0].milliseconds))
        #expect((400...800).contains(pauses[3].milliseconds))
        #expect((2_500...5_000).contains(pauses[7].milliseconds))
        rig.land(demo)
        #expect(rig.cursors == ["1:2"])
        #expect(rig.notes == [.away("test"), .back])
    }

    @Test func whileADestinationIsAwayOneBatchAloneIsTried() throws {
        var rig = try LaneRig(concurrency: 8)
        for domain in [demo, acme] { rig.begin(domain) }
        rig.publish(demo, 1...1)
        rig.fail(demo, .unavailable)
        rig.publish(acme, 1...1)
        rig.advance(.seconds(10))
        #expect(rig.outgoing.count == 2)
        rig.land(demo)
        #expect(rig.outgoing.map(\.batch.domain) == [demo, demo, acme])
    }

    @Test func aDomainThatIsRefusedDoesNotHoldUpOthers() throws {
        var rig = try LaneRig(concurrency: 1)
        for domain in [demo, acme] { rig.begin(domain) }
        rig.publish(demo, 1...1)
        rig.fail(demo, .domainUnavailable)
        rig.publish(acme, 1...1)
        #expect(rig.outgoing.map(\.batch.domain) == [demo, acme])
        rig.land(acme)
        rig.advance(.seconds(1))
        #expect(rig.outgoing.map(\.batch.domain) == [demo, acme, demo])
        #expect(rig.machine.status(at: rig.now).state == .up)
    }

    @Test func whatDoesNotFitInMemoryWaitsInTheSpoolAndKeepsItsPlace() throws {
        var rig = try LaneRig(batch: 10, domainQueueBytes: 1_000)
        rig.begin(demo)
        rig.publish(demo, 1...100)
        #expect(rig.spooled(demo) > 80)
        rig.publish(demo, 101...110)
        while rig.isUnderWay(demo) { rig.land(demo) }
        #expect(rig.outgoing.flatMap(\.seqs) == Array(1...110))
        #expect(rig.machine.spooledBytes == 0 && rig.machine.queuedBytes == 0)
        #expect(rig.cursors.last == "1:110")
    }

    @Test func beyondTheSpoolTheOwnerIsAskedToRestateOnceTheRestIsDelivered() throws {
        var rig = try LaneRig(batch: 10, domainQueueBytes: 1_000, spoolBytes: 2_000)
        rig.begin(demo)
        rig.fail(rig.publish(demo, 1...1), .unavailable)
        for seq in 2...60 { rig.publish(demo, UInt64(seq)...UInt64(seq)) }
        #expect(rig.asked.isEmpty, "what is kept comes first")
        #expect(rig.machine.totals.dropped > 0)
        let kept = UInt64(60 - rig.machine.totals.dropped)
        rig.advance(.seconds(1))
        while rig.isUnderWay(demo) { rig.land(demo) }
        #expect(Set(rig.outgoing.flatMap(\.seqs)) == Set(1...kept))
        #expect(rig.asked == [.replay(to: "test")])
        // What is published before the replay begins is part of it.
        rig.publish(demo, 61...62)
        rig.replay(demo, after: 62, ["alice", "bob"], isFirst: true, isLast: false)
        #expect(rig.asked == [.replay(to: "test"), .goOn(with: "test")])
        rig.publish(demo, 63...63)
        rig.replay(demo, after: 63, ["carol"], isFirst: false, isLast: true)
        rig.publish(demo, 64...64)
        while rig.isUnderWay(demo) { rig.land(demo) }
        let restated = rig.outgoing.flatMap(\.batch.events).drop { $0.entry.change != .clear(.resync) }
        #expect(restated.map(\.position.seq) == [62, 62, 62, 62, 63, 64])
        #expect(restated.map(\.isReplay) == [false, true, true, true, false, false])
        #expect(rig.cursors.last == "1:64")
        #expect(rig.machine.totals.resyncs == 1)
    }

    @Test func publicationsThatDidNotArriveAreNoticed() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.publish(demo, 5...6)
        rig.land(demo)
        #expect(rig.asked == [.replay(to: "test")])
        #expect(rig.outgoing.map(\.seqs) == [[1, 2]])
    }

    @Test func aSpoolThatCannotBeWrittenIsToldAsAGap() throws {
        var rig = try LaneRig(batch: 10, domainQueueBytes: 1_000)
        rig.begin(demo)
        rig.publish(demo, 1...100)
        rig.handle(.spoolFailed("disk full", of: demo))
        while rig.isUnderWay(demo) { rig.land(demo) }
        #expect(rig.asked == [.replay(to: "test")])
        #expect(rig.machine.status(at: rig.now).lastError == "disk full")
    }

    @Test func whatIsNotWantedMovesTheCursorAllTheSame() throws {
        var rig = try LaneRig(filter: DestinationFilter(types: [.userUnregistered]))
        rig.begin(demo)
        rig.publish(demo, 2...4)
        #expect(rig.outgoing.isEmpty, "of registrations none is wanted, and number 1 was not published")
        rig.begin(demo, epoch: 2)
        rig.handle(.published(.entries([LogEntry(seq: 1, timestamp: 0, change: .clear(.moved))], epoch: 2), of: demo))
        rig.publish(demo, 2...3, epoch: 2)
        #expect(rig.outgoing.map(\.seqs) == [[1]], "clear always is")
        rig.land(demo)
        #expect(rig.cursors.last == "2:3")
        rig.publish(demo, 4...4, epoch: 2)
        #expect(rig.cursors.last == "2:4")
    }

    @Test func aPromotedStandbyGoesOnFromTheCursor() throws {
        var rig = try LaneRig()
        rig.begin(demo, epoch: 2, tail: rig.tail(of: 1, 5...8, cursor: Position(epoch: 1, seq: 6)))
        rig.publish(demo, 1...2, epoch: 2)
        rig.land(demo)
        rig.land(demo)
        let positions = rig.outgoing.flatMap(\.batch.events).map { "\($0.position)" }
        #expect(positions == ["1:7", "1:8", "2:1", "2:2"])
        #expect(rig.machine.totals.uncovered == 0)
    }

    @Test func whatNobodyKeptIsCountedAndLeftToTheClear() throws {
        var rig = try LaneRig()
        rig.begin(demo, epoch: 2, tail: rig.tail(of: 1, 9...9, cursor: Position(epoch: 1, seq: 6)))
        #expect(rig.machine.totals.uncovered == 2)
        #expect(rig.outgoing.map(\.seqs) == [[9]])
    }

    @Test func afterTheEndNothingOfTheDomainGoesOut() throws {
        var rig = try LaneRig(batch: 1)
        rig.begin(demo)
        rig.publish(demo, 1...3)
        rig.handle(.published(.ended, of: demo))
        rig.land(demo)
        #expect(rig.outgoing.map(\.seqs) == [[1]])
        #expect(rig.machine.totals.abandoned == 3)
        #expect(rig.cursors.isEmpty)
    }

    @Test func aNewOwnershipWaitsForTheBatchOfTheOneBefore() throws {
        var rig = try LaneRig(batch: 1)
        rig.begin(demo)
        rig.publish(demo, 1...3)
        rig.handle(.published(.ended, of: demo))
        rig.begin(demo, epoch: 3)
        rig.publish(demo, 1...1, epoch: 3)
        #expect(rig.outgoing.count == 1)
        rig.land(demo)
        #expect(rig.outgoing.map { "\($0.batch.events[0].position)" } == ["1:1", "3:1"])
    }

    @Test func aFencedDomainIsSilentUntilItsOwnerAnswersOrItsNextEpoch() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...3)
        rig.fail(demo, .fenced)
        rig.publish(demo, 4...5)
        #expect(rig.asked.isEmpty)
        rig.advance(.seconds(60))
        // A deposed owner has nothing to say to that.
        #expect(rig.asked == [.replay(to: "test")])
        #expect(rig.outgoing.count == 1)
        rig.begin(demo, epoch: 4)
        rig.publish(demo, 1...1, epoch: 4)
        #expect(rig.outgoing.count == 2)
    }

    @Test func aDomainThatHasAnotherPlaceIsRestatedThereAtOnce() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...3)
        rig.fail(demo, .moved)
        #expect(rig.asked == [.replay(to: "test")] && rig.notes == [.moved(demo, "test")])
        rig.replay(demo, after: 3, ["a"], isFirst: true, isLast: true)
        #expect(rig.land(demo).map(\.entry.seq) == [3, 3] && rig.cursors == ["1:3"])
    }

    @Test func whatIsNeverTakenIsCountedAndPassedOver() throws {
        var rig = try LaneRig(batch: 1)
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.fail(demo, .rejected(events: 1))
        rig.land(demo)
        #expect(rig.outgoing.map(\.seqs) == [[1], [2]])
        rig.publish(demo, 3...3)
        rig.fail(demo, .unavailable, "away")
        let status = rig.machine.status(at: rig.now)
        #expect(status.problems == ["destination test never took 1 events"] && status.lastError == "away")
    }

    @Test func aDestinationThatIsGoneIsSentNothingMore() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.fail(demo, .gone)
        rig.publish(demo, 3...9)
        rig.advance(.seconds(60))
        #expect(rig.outgoing.count == 1)
        #expect(rig.machine.status(at: rig.now).state == .gone)
        #expect(rig.machine.queuedBytes == 0)
    }

    @Test func aDestinationThatIsResumedIsToldOfEverythingAgain() throws {
        let acme = try #require(DomainName("acme.example"))
        let late = try #require(DomainName("late.example"))
        var rig = try LaneRig()
        for domain in [demo, acme] { rig.begin(domain) }
        rig.publish(demo, 1...2)
        rig.publish(acme, 1...2)
        rig.fail(demo, .gone)
        rig.publish(demo, 3...9)
        // What becomes this node's, and what does no longer, counts all the same.
        rig.begin(late, tail: rig.tail(of: 1, 1...3, cursor: .start))
        rig.handle(.published(.ended, of: acme))
        #expect(rig.takeAsked().isEmpty && rig.machine.queuedBytes == 0)
        rig.handle(.resumed)
        #expect(rig.machine.status(at: rig.now).state == .up)
        #expect(rig.takeAsked() == [.replay(to: "test"), .replay(to: "test")])
        rig.replay(demo, after: 9, ["a"], isFirst: true, isLast: true)
        rig.publish(demo, 10...10)
        let restated = rig.land(demo)
        #expect(restated.map(\.entry.seq) == [9, 9])
        #expect(restated.first?.entry.change == .clear(.resync))
        #expect(rig.land(demo).map(\.entry.seq) == [10])
        #expect(rig.machine.status(at: rig.now).resyncs == 1)
        #expect(rig.notes.contains(.gone("test")) && rig.notes.contains(.resumed))
    }

    @Test func resumingADestinationThatTakesEventsChangesNothing() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.handle(.resumed)
        #expect(rig.takeAsked().isEmpty)
        #expect(rig.land(demo).map(\.entry.seq) == [1, 2])
    }

    /// Against a deliberately dumb model: a consumer that takes everything, and sometimes fails, holds what the owner
    /// holds.
    @Test(arguments: 1...60) func aConsumerThatTakesAllHoldsTheOwnersList(_ seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        var rig = try LaneRig(batch: 7, domainQueueBytes: 2_000, spoolBytes: 4_000, seed: UInt64(seed))
        var owner = ListModel()
        var consumer = ListModel()
        rig.begin(demo)
        var seq: UInt64 = 0
        func publish(_ rig: inout LaneRig, _ change: LogEntry.Change) {
            seq += 1
            let entry = LogEntry(seq: seq, timestamp: rig.now.wall, change: change)
            owner.apply(change)
            rig.handle(.published(.entries([entry], epoch: 1), of: demo))
        }
        publish(&rig, .clear(.restart))
        var replay: (slots: [PackedContact], isFirst: Bool)?
        func step(_ rig: inout LaneRig, mayFail: Bool) throws {
            if rig.isUnderWay(demo) {
                if mayFail, Int.random(in: 0..<3, using: &random) == 0 {
                    rig.fail(demo, .unavailable)
                } else {
                    for event in rig.land(demo) { consumer.apply(event.entry.change) }
                }
            }
            for notice in rig.takeAsked() {
                if case .replay = notice { replay = (owner.contacts, true) }
                guard let current = replay else { continue }
                // A part is of the table as it is when the part is made.
                let part = current.slots.prefix(5).filter { owner.contacts.contains($0) }
                rig.replay(
                    demo, after: seq, contacts: Array(part), isFirst: current.isFirst, isLast: current.slots.count <= 5)
                replay = current.slots.count <= 5 ? nil : (Array(current.slots.dropFirst(5)), false)
            }
            rig.advance(.milliseconds(Int64.random(in: 0...400, using: &random)))
        }
        for _ in 0..<400 {
            if Int.random(in: 0..<3, using: &random) > 0 {
                let contact = try LaneRig.contact("u\(Int.random(in: 0..<20, using: &random))")
                let isNew = Int.random(in: 0..<3, using: &random) > 0
                publish(
                    &rig, isNew ? .registered(contact, ttl: 1, replay: false) : .unregistered(contact, .deleteContact))
            }
            if Int.random(in: 0..<4, using: &random) == 0 { try step(&rig, mayFail: true) }
        }
        for _ in 0..<600 { try step(&rig, mayFail: false) }
        #expect(consumer.contacts == owner.contacts, "seed \(seed)")
        #expect(rig.cursors.last == "1:\(seq)", "seed \(seed)")
    }
}

/// The list that a consumer keeps, in the order of accounts.
private struct ListModel {
    private var live: [String: PackedContact] = [:]

    var contacts: [PackedContact] { live.sorted { $0.key < $1.key }.map(\.value) }

    mutating func apply(_ change: LogEntry.Change) {
        switch change {
        case .clear: live = [:]
        case .registered(let contact, _, _): live["\(contact.keyBytes)"] = contact
        case .unregistered(let contact, _): live["\(contact.keyBytes)"] = nil
        }
    }
}
