import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Destinations

/// What becomes of a domain's events when its owner changes, or begins anew, amid something.
struct LaneEpochTests {
    private let demo: DomainName

    /// With which an epoch begins whose list was cleared on request.
    private let clear = LogEntry(seq: 1, timestamp: 0, change: .clear(.storageCleared))

    init() throws { demo = try #require(DomainName("demo.example")) }

    /// As when a list is cleared on request, or its domain removed, while it is being restated: the queue is empty, the
    /// next part was asked for, and what is published waits in the spool.
    @Test func anEpochThatBeginsAmidAReplayIsDelivered() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.publish(demo, 5...5)
        rig.land(demo)
        rig.replay(demo, after: 5, ["alice"], isFirst: true, isLast: false)
        rig.land(demo)
        #expect(rig.asked == [.replay(to: "test"), .goOn(with: "test")] && !rig.isUnderWay(demo))
        rig.publish(demo, 6...6)
        #expect(rig.spooled(demo) == 1)
        rig.begin(demo, epoch: 2)
        rig.handle(.published(.entries([clear], epoch: 2), of: demo))
        while rig.isUnderWay(demo) { rig.land(demo) }
        #expect(rig.outgoing.flatMap(\.batch.events).suffix(2).map { "\($0.position)" } == ["1:6", "2:1"])
        #expect(rig.cursors.last == "2:1" && rig.machine.spooledBytes == 0)
    }

    /// It is asked again before it has answered: when the destination is resumed, or the next epoch misses something.
    @Test func aReplayThatBeginsAnewIsTakenAnew() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.publish(demo, 5...5)
        rig.land(demo)
        rig.replay(demo, after: 5, ["alice", "bob"], isFirst: true, isLast: false)
        rig.land(demo)
        #expect(rig.takeAsked() == [.replay(to: "test"), .goOn(with: "test")])
        rig.publish(demo, 6...7)
        #expect(rig.spooled(demo) == 2)
        rig.replay(demo, after: 7, ["carol"], isFirst: true, isLast: false)
        #expect(rig.takeAsked() == [.goOn(with: "test")])
        #expect(rig.machine.totals.dropped == 3, "the replay shows what waited on disk")
        rig.publish(demo, 8...8)
        rig.replay(demo, after: 8, ["dave"], isFirst: false, isLast: true)
        while rig.isUnderWay(demo) { rig.land(demo) }
        #expect(rig.outgoing.flatMap(\.seqs) == [1, 2, 5, 5, 5, 7, 7, 7, 8])
        #expect(rig.cursors.last == "1:8" && rig.machine.totals.resyncs == 2 && rig.machine.spooledBytes == 0)
    }

    /// A domain that is removed is let go once each destination has its last `clear`; who wants nothing counts as well.
    @Test func aDestinationThatIsGoneHoldsUpNoRemoval() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.fail(demo, .gone)
        #expect(rig.cursors == ["1:2"])
        rig.publish(demo, 3...4)
        #expect(rig.cursors == ["1:2", "1:4"])
        rig.begin(demo, epoch: 2)
        rig.handle(.published(.entries([clear], epoch: 2), of: demo))
        #expect(rig.cursors.last == "2:1" && rig.outgoing.count == 1)
        #expect(rig.machine.status(at: rig.now).domains.map(\.delivered) == ["0:0"], "nothing was delivered")
    }

    @Test(arguments: [DestinationError.Kind.moved, .fenced, .gone])
    func whatIsDroppedForAReplayIsNotLeftToAnotherOwner(_ kind: DestinationError.Kind) throws {
        var rig = try LaneRig(batch: 1)
        rig.begin(demo)
        rig.publish(demo, 1...3)
        rig.fail(demo, kind)
        #expect(rig.machine.totals.dropped == 3 && rig.machine.totals.abandoned == 0)
    }

    @Test func whyADestinationIsGoneIsNotForgotten() throws {
        let acme = try #require(DomainName("acme.example"))
        var rig = try LaneRig()
        for domain in [demo, acme] {
            rig.begin(domain)
            rig.publish(domain, 1...1)
        }
        rig.fail(demo, .gone, "answered 410")
        rig.fail(acme, .unavailable, "did not answer in time")
        #expect(rig.machine.status(at: rig.now).problems == ["destination test wants nothing any more"])
    }

    @Test func nothingGoesOutOnceTheNodeStops() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...1)
        rig.handle(.closed)
        rig.fail(demo, .unavailable)
        rig.publish(demo, 2...2)
        rig.advance(.seconds(5))
        #expect(rig.outgoing.count == 1 && rig.notes.isEmpty && rig.machine.nextWake() == nil)
    }

    /// What is kept for the domain would be made anew by a batch that comes after it was let go, and never go again.
    @Test func aDomainIsForgottenOnceNothingOfItIsUnderWay() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.handle(.published(.ended, of: demo))
        #expect(rig.forgotten == [demo])
        rig.begin(demo, epoch: 2)
        rig.publish(demo, 1...1, epoch: 2)
        rig.handle(.published(.ended, of: demo))
        #expect(rig.forgotten == [demo], "its batch has not landed")
        rig.land(demo)
        #expect(rig.forgotten == [demo, demo])
        rig.begin(demo, epoch: 4)
        rig.publish(demo, 1...1, epoch: 4)
        rig.handle(.published(.ended, of: demo))
        rig.begin(demo, epoch: 6)
        rig.fail(demo, .unavailable)
        #expect(rig.forgotten == [demo, demo], "it is this node's again")
    }
}
