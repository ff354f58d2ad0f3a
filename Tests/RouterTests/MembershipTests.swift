import ClusterRuntime
import Testing

@testable import Router

@Suite final class MembershipTests {
    private var membership = Membership(threeServers, periods: Periods(), listeningFrom: at(0).monotonic)

    private func hear(_ node: NodeID, at time: Int64) -> Bool? {
        membership.heard(heartbeat(), from: node, at: at(time).monotonic)
    }

    private func refuse(_ name: String, at time: Int64) -> Bool {
        membership.refused(NodeName(name), at: at(time).monotonic)
    }

    private func sweep(_ time: Int64) { _ = membership.sweep(at: at(time).monotonic) }

    @Test func silenceMakesANodeSuspectThenDown() {
        #expect(hear(life("sr1"), at: 1000) == true)
        #expect(hear(life("sr1"), at: 1200) == false)
        sweep(1799)
        #expect(membership.standing(of: life("sr1")) == .up)
        sweep(1800)
        #expect(membership.standing(of: life("sr1")) == .suspect)
        #expect(membership.isAlive(life("sr1")))
        sweep(2200)
        #expect(membership.standing(of: life("sr1")) == .down)
    }

    @Test func aHigherIncarnationEndsTheEarlierLifeAtOnce() {
        _ = hear(life("sr1", 5), at: 0)
        _ = hear(life("sr1", 6), at: 10)
        #expect(membership.standing(of: life("sr1", 5)) == .down)
        #expect(membership.standing(of: life("sr1", 6)) == .up)
        #expect(hear(life("sr1", 5), at: 20) == nil)
    }

    @Test func nothingIsKnownOfANodeBeforeTheRouterHasListened() {
        sweep(900)
        #expect(membership.standing(of: life("sr1")) == .unknown)
        sweep(1000)
        #expect(membership.standing(of: life("sr1")) == .down)
    }

    @Test func silenceBeforeATakeoverDoesNotCount() {
        _ = hear(life("sr1"), at: 0)
        sweep(5000)
        #expect(membership.standing(of: life("sr1")) == .down)
        membership.listen(from: at(5000).monotonic)
        sweep(5000)
        #expect(membership.standing(of: life("sr1")) == .unknown)
        sweep(6000)
        #expect(membership.standing(of: life("sr1")) == .down)
    }

    /// A router that was held up listens anew, and knows nothing for a moment: that does not make nodes new.
    @Test func whoWasNotHeardForARoutersSakeHasBeenUpAllTheWhile() {
        _ = hear(life("sr1"), at: 0)
        membership.listen(from: at(2000).monotonic)
        sweep(2000)
        #expect(membership.standing(of: life("sr1")) == .unknown)
        _ = hear(life("sr1"), at: 2100)
        #expect(membership[NodeName("sr1")]?.upSince == at(0).monotonic)
        _ = hear(life("sr1", 2), at: 2200)
        #expect(membership[NodeName("sr1")]?.upSince == at(2200).monotonic)
        sweep(9000)
        _ = hear(life("sr1", 2), at: 9100)
        #expect(membership[NodeName("sr1")]?.upSince == at(9100).monotonic)
    }

    @Test func aRefusedNodeIsDownAtOnce() {
        _ = hear(life("sr1"), at: 0)
        #expect(refuse("sr1", at: 10))
        #expect(membership.standing(of: life("sr1")) == .down)
        #expect(!refuse("sr1", at: 11))
    }

    @Test func aHeartbeatThatWasOnItsWayDoesNotRaiseTheDead() {
        _ = hear(life("sr1"), at: 0)
        _ = refuse("sr1", at: 100)
        #expect(hear(life("sr1"), at: 101) == nil)
        sweep(150)
        #expect(membership.standing(of: life("sr1")) == .down)
        #expect(hear(life("sr1"), at: 301) == true)
        #expect(membership.standing(of: life("sr1")) == .up)
    }

    @Test func aNewLifeIsUpHoweverRecentlyItsNodeWasRefused() {
        _ = hear(life("sr1", 1), at: 0)
        _ = refuse("sr1", at: 100)
        #expect(hear(life("sr1", 2), at: 101) == true)
        #expect(membership.standing(of: life("sr1", 2)) == .up)
    }

    @Test func refusalCountsForANodeThatWasNeverHeard() {
        _ = refuse("sr1", at: 10)
        #expect(membership.standing(of: life("sr1", 77)) == .down)
    }

    @Test func nodesOutsideTheLayoutAreDown() {
        #expect(hear(life("sr9"), at: 0) == nil)
        #expect(membership.standing(of: life("sr9")) == .down)
    }
}
