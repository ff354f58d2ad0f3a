import ClusterRuntime
import Testing

@testable import NanomsgTransport

@Suite struct PeerClockTests {
    /// The peer's clock is 1,000 s ahead of ours.
    private static let ahead: Int64 = 1_000_000_000_000

    private func at(_ milliseconds: Int64) -> MonotonicInstant { .distantPast + .milliseconds(milliseconds) }

    /// Whether what left at one moment and came at another, both by our clock, is late.
    private func isLate(_ clock: inout PeerClock, left: Int64, came: Int64, peerIsBehind: Int64 = 0) -> Bool {
        clock.isLate(at(left - peerIsBehind).nanoseconds + Self.ahead, at: at(came))
    }

    @Test func whatWasHeldUpIsLateAndWhatFollowsIsNot() {
        var clock = PeerClock(limit: .seconds(2))
        #expect(!isLate(&clock, left: 0, came: 3))
        #expect(!isLate(&clock, left: 1_000, came: 2_900))
        // A cut of 20 s: everything that was sent meanwhile comes at once.
        #expect(isLate(&clock, left: 5_000, came: 25_000))
        #expect(isLate(&clock, left: 22_900, came: 25_001))
        #expect(!isLate(&clock, left: 23_100, came: 25_002))
        #expect(!isLate(&clock, left: 25_100, came: 25_101))
    }

    @Test func aCutOfAnHourIsStillNoticed() {
        var clock = PeerClock(limit: .seconds(2))
        #expect(!isLate(&clock, left: 0, came: 1))
        #expect(isLate(&clock, left: 10_000, came: 3_600_000))
    }

    @Test func clocksThatDriftApartMakeNothingLate() {
        var clock = PeerClock(limit: .seconds(2))
        // The peer's loses 0.5 ms a second, which is ten times what a bad one does: 43 s in a day.
        for second in stride(from: Int64(0), through: 86_400, by: 60) {
            #expect(!isLate(&clock, left: second * 1_000, came: second * 1_000 + 1, peerIsBehind: second / 2))
        }
        // And what is late then is told from what is not.
        #expect(isLate(&clock, left: 86_401_000, came: 86_411_000, peerIsBehind: 43_200))
    }

    @Test func aClockThatStoodStillIsBelievedAgain() {
        var clock = PeerClock(limit: .seconds(2))
        #expect(!isLate(&clock, left: 0, came: 1))
        // The peer's machine was stopped for a minute, and its clock with it.
        var late = 0
        for second in Int64(60)..<90
        where isLate(&clock, left: second * 1_000, came: second * 1_000 + 1, peerIsBehind: 60_000) {
            late += 1
        }
        #expect(late == 4)
    }

    @Test func cutsOfAQuietLinkDoNotAddUp() {
        var clock = PeerClock(limit: .seconds(2))
        #expect(!isLate(&clock, left: 0, came: 1))
        // Each holds back one request, and nothing else is sent.
        for cut in stride(from: Int64(10_000), through: 100_000, by: 10_000) {
            #expect(isLate(&clock, left: cut, came: cut + 5_000))
        }
    }

    @Test func anyNumberMayBeAStamp() {
        let stamps: [Int64] = [.min, .max, 0, -1, 1, .min, .max]
        for first in stamps {
            var clock = PeerClock(limit: .seconds(2))
            let firstIsLate = clock.isLate(first, at: at(1))
            #expect(!firstIsLate)
            for (turn, stamp) in stamps.enumerated() { _ = clock.isLate(stamp, at: at(Int64(turn) * 3_000 + 2)) }
        }
    }
}
