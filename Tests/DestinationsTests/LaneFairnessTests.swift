import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Destinations

/// What one domain may cost the others at a destination.
struct LaneFairnessTests {
    private let demo: DomainName
    private let acme: DomainName

    init() throws {
        demo = try #require(DomainName("demo.example"))
        acme = try #require(DomainName("acme.example"))
    }

    /// A receiver that chokes on what one domain has to say, and says no more than that it failed.
    @Test func aDomainThatFailsAloneIsFoundOutAndHoldsUpNobody() throws {
        var rig = try LaneRig(batch: 1)
        for domain in [demo, acme] { rig.begin(domain) }
        rig.publish(demo, 1...1)
        rig.fail(demo, .unavailable)
        rig.publish(acme, 1...9)
        rig.advance(.seconds(1))
        // Nobody knows yet whose matter it is: the first is tried again, and after it the next.
        rig.fail(demo, .unavailable)
        rig.advance(.seconds(1))
        #expect(rig.outgoing.map(\.batch.domain) == [demo, demo, acme])
        rig.land(acme)
        #expect(rig.isUnderWay(acme) && rig.isUnderWay(demo))
        rig.fail(demo, .unavailable)
        #expect(rig.machine.status(at: rig.now).state == .up)
        #expect(rig.notes == [.away("test"), .back, .refused(demo, "test")])
        while rig.isUnderWay(acme) { rig.land(acme) }
        #expect(rig.cursors.last == "1:9")
        rig.advance(.seconds(5))
        rig.land(demo)
        rig.publish(demo, 2...2)
        rig.fail(demo, .unavailable)
        #expect(rig.machine.status(at: rig.now).state == .away, "what it was before is forgotten")
    }

    /// A receiver may rest, or have enough of one tenant, however often.
    @Test func aPauseThatWasAskedForIsKeptByTheDomainThatWasTold() throws {
        var rig = try LaneRig()
        for domain in [demo, acme] { rig.begin(domain) }
        for round in 1...2 as ClosedRange<UInt64> {
            rig.publish(demo, round...round)
            rig.fail(demo, .unavailable, pause: .seconds(300))
            if round == 2 {
                rig.advance(.seconds(300))
                rig.fail(demo, .unavailable, pause: .seconds(300))
            }
            rig.publish(acme, round...round)
            rig.advance(.seconds(5))
            #expect(rig.isUnderWay(acme), "round \(round)")
            rig.land(acme)
            rig.advance(.seconds(294))
            #expect(!rig.isUnderWay(demo))
            rig.advance(.seconds(1))
            rig.land(demo)
        }
        #expect(rig.outgoing.map(\.batch.domain) == [demo, acme, demo, demo, demo, acme, demo])
    }

    @Test func aPauseThatMoreThanOneDomainWereAskedForIsKeptByAll() throws {
        let late = try #require(DomainName("late.example"))
        var rig = try LaneRig()
        for domain in [demo, acme, late] { rig.begin(domain) }
        rig.publish(demo, 1...1)
        rig.fail(demo, .unavailable, pause: .seconds(30))
        rig.publish(acme, 1...1)
        rig.advance(.seconds(5))
        rig.fail(acme, .unavailable, pause: .seconds(30))
        rig.publish(late, 1...1)
        rig.advance(.seconds(29))
        #expect(rig.outgoing.map(\.batch.domain) == [demo, acme])
        rig.advance(.seconds(1))
        #expect(rig.outgoing.count == 3)
    }

    /// As when a right is taken away: the destination is there, and takes nothing.
    @Test func domainsThatAreNotTakenAreCountedAndMostAreAProblem() throws {
        let late = try #require(DomainName("late.example"))
        var rig = try LaneRig()
        for domain in [demo, acme, late] { rig.begin(domain) }
        rig.publish(demo, 1...1)
        rig.fail(demo, .domainUnavailable, "no topic")
        rig.advance(.seconds(9))
        rig.fail(demo, .domainUnavailable, "no topic yet")
        #expect(rig.machine.status(at: rig.now).isWell, "it may be a matter of a moment")
        rig.advance(.seconds(1))
        let status = rig.machine.status(at: rig.now)
        #expect(status.refusedDomains == 1 && !status.isWell && status.problems.isEmpty)
        #expect(status.domains.map(\.refusal) == [nil, "no topic yet", nil])
        rig.publish(acme, 1...1)
        rig.fail(acme, .domainUnavailable)
        rig.advance(.seconds(10))
        #expect(rig.machine.summary(at: rig.now).problems == ["destination test does not take 2 of 3 domains"])
        for domain in [demo, acme] { rig.land(domain) }
        #expect(rig.machine.status(at: rig.now).isWell)
    }

    /// A connection that is reset takes all batches with it that were under way.
    @Test func whatFailsAtOnceCountsAsOneFailure() throws {
        let domains = try (0..<8).map { try #require(DomainName("d\($0).example")) }
        var rig = try LaneRig()
        for domain in domains {
            rig.begin(domain)
            rig.publish(domain, 1...1)
        }
        for domain in domains { rig.fail(domain, .unavailable) }
        let wake = try #require(rig.machine.nextWake())
        #expect(wake - rig.now.monotonic <= .milliseconds(100))
        rig.advance(to: wake)
        rig.fail(domains[0], .unavailable)
        let next = try #require(rig.machine.nextWake())
        #expect((100...200).contains((next - rig.now.monotonic).milliseconds), "the pauses grow")
    }

    /// The disk may take longer than the pause, and the lane is asked for its next wake after that.
    @Test func aPauseThatIsOverBeforeItIsAskedForIsNotForgotten() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...1)
        rig.fail(demo, .unavailable)
        let wake = try #require(rig.machine.nextWake())
        // Something else is at work when it ends.
        rig.advance(to: wake, isLast: false)
        #expect(!rig.isUnderWay(demo))
        #expect(rig.machine.nextWake().map { $0 <= rig.now.monotonic } == true)
        rig.advance(.zero)
        #expect(rig.isUnderWay(demo) && rig.machine.nextWake() == nil)
    }

    @Test func aBatchThatWasTakenButForSomeEventsWasTaken() throws {
        var rig = try LaneRig()
        for domain in [demo, acme] { rig.begin(domain) }
        rig.publish(demo, 1...2)
        rig.fail(demo, .unavailable)
        rig.publish(acme, 1...2)
        rig.advance(.seconds(5))
        rig.fail(demo, .rejected(events: 1))
        #expect(rig.isUnderWay(acme), "it need not be waited for any more")
        #expect(rig.machine.status(at: rig.now).state == .up)
        #expect(rig.machine.status(at: rig.now).awaySeconds == 0)
        #expect(rig.machine.totals.delivered == 1 && rig.machine.totals.rejected == 1)
        #expect(rig.notes == [.away("test"), .back, .rejected(demo, events: 1, "test")])
        // What its domain was before is forgotten, so its next failure is taken for everybody's again.
        rig.land(acme)
        rig.publish(demo, 3...3)
        rig.fail(demo, .unavailable)
        #expect(rig.machine.status(at: rig.now).state == .away)
    }

    @Test func turnsOfOwnershipsThatHaveEndedAreNotKept() throws {
        var rig = try LaneRig(concurrency: 1)
        rig.begin(acme)
        rig.publish(acme, 1...1)
        for epoch in 1...1_000 {
            rig.begin(demo, epoch: UInt64(epoch))
            rig.publish(demo, 1...1, epoch: UInt64(epoch))
            rig.handle(.published(.ended, of: demo))
        }
        #expect(rig.machine.ready.count + rig.machine.delayed.count <= 2)
        rig.begin(demo, epoch: 1_001)
        rig.publish(demo, 1...1, epoch: 1_001)
        rig.land(acme)
        #expect(rig.land(demo).map(\.position) == [Position(epoch: 1_001, seq: 1)])
        #expect(rig.outgoing.count == 2)
    }

    @Test func whatFoundNoRoomInFrontOfTheLaneIsRestated() throws {
        var rig = try LaneRig()
        rig.begin(demo)
        rig.publish(demo, 1...2)
        rig.handle(.missed(events: 7, of: demo))
        rig.handle(.missed(events: 7, of: acme))
        #expect(rig.asked.isEmpty)
        rig.land(demo)
        #expect(rig.asked == [.replay(to: "test")])
        #expect(rig.machine.totals.dropped == 7 && rig.machine.totals.gaps == 1)
    }
}
