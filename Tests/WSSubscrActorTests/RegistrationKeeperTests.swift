import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WSSubscrActor

struct RegistrationKeeperTests {
    private var keeper = RegistrationKeeper(ttl: .seconds(120), seed: 7)
    private let packed = contact("u1")
    private let granted = Reply.Result.registered(Position(epoch: 1, seq: 2), ttl: 120_000)
    private let done = Reply.Result.unregistered(Position(epoch: 1, seq: 3), count: 1)

    private func second(_ second: Double) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: 1_000_000_000_000 + Int64(second * 1_000_000_000))
    }

    private var register: RegistrationKeeper.Directive { .perform(.register(packed, ttl: 120_000), of: 1, on: demo) }
    private var unregister: RegistrationKeeper.Directive {
        .perform(.unregister(key: Array(packed.keyBytes), reason: .unregisterContact), of: 1, on: demo)
    }

    private mutating func open() {
        #expect(keeper.handle(.opened(1, demo, packed), at: second(0)) == [register])
        #expect(keeper.handle(.finished(1, granted), at: second(1)) == [.answered(1, granted)])
    }

    @Test mutating func renewsAtAboutHalfOfWhatWasGranted() {
        open()
        var renewedAt: Double?
        for time in stride(from: 2.0, to: 100, by: 0.5) where renewedAt == nil {
            if keeper.handle(.tick, at: second(time)) == [register] { renewedAt = time }
        }
        #expect((54...69).contains(renewedAt ?? 0))
        #expect(keeper.handle(.finished(1, granted), at: second(70)) == [])
    }

    @Test mutating func renewalsThatBeganTogetherSpreadOut() {
        var keeper = RegistrationKeeper(ttl: .seconds(120), seed: 1)
        for id in 1...200 {
            _ = keeper.handle(.opened(UInt64(id), demo, contact("u\(id)")), at: second(0))
            _ = keeper.handle(.finished(UInt64(id), granted), at: second(0))
        }
        let counts = (50...70).map { keeper.handle(.tick, at: second(Double($0))).count }
        #expect(counts.reduce(0, +) == 200)
        #expect((counts.max() ?? 0) < 60)
    }

    @Test mutating func closingEndsTheRegistration() {
        open()
        #expect(keeper.handle(.closed(1), at: second(2)) == [unregister])
        #expect(keeper.handle(.finished(1, done), at: second(3)) == [.released(1)])
        #expect(keeper.count == 0)
    }

    @Test mutating func unregisteringNeverOvertakesARegisterUnderWay() {
        #expect(keeper.handle(.opened(1, demo, packed), at: second(0)) == [register])
        #expect(keeper.handle(.closed(1), at: second(1)) == [])
        #expect(keeper.handle(.finished(1, granted), at: second(2)) == [.answered(1, granted), unregister])
    }

    @Test mutating func unregisteringIsTriedUntilTheTimeToLiveHasPassed() {
        open()
        #expect(keeper.handle(.closed(1), at: second(2)) == [unregister])
        var tries = 1
        var released = false
        for time in stride(from: 2.0, to: 140, by: 1) where !released {
            for directive in keeper.handle(.tick, at: second(time)) {
                if directive == unregister {
                    tries += 1
                    #expect(time <= 122)
                    _ = keeper.handle(.finished(1, .refused(.unavailable)), at: second(time))
                } else {
                    released = directive == .released(1)
                }
            }
            if tries == 1 { _ = keeper.handle(.finished(1, .refused(.unavailable)), at: second(time)) }
        }
        #expect(released)
        #expect(tries > 20)
    }

    @Test mutating func firstRegistrationThatMayHaveHappenedIsTakenBack() {
        _ = keeper.handle(.opened(1, demo, packed), at: second(0))
        let refused = Reply.Result.refused(.unavailable)
        #expect(keeper.handle(.finished(1, refused), at: second(8)) == [.answered(1, refused), unregister])
    }

    @Test mutating func firstRegistrationThatDidNotHappenIsForgotten() {
        _ = keeper.handle(.opened(1, demo, packed), at: second(0))
        let refused = Reply.Result.refused(.tooManyDevices(limit: 10))
        #expect(keeper.handle(.finished(1, refused), at: second(1)) == [.answered(1, refused), .released(1)])
    }

    @Test mutating func failedRenewalIsTriedAgainSoon() {
        open()
        var time = 2.0
        while keeper.handle(.tick, at: second(time)) != [register] { time += 1 }
        #expect(keeper.handle(.finished(1, .refused(.unavailable)), at: second(time)) == [])
        let again = stride(from: time + 0.5, to: time + 4, by: 0.5).contains { moment in
            keeper.handle(.tick, at: second(moment)) == [register]
        }
        #expect(again)
    }

    @Test mutating func domainsMinimumIsAskedForWhenItIsHigher() {
        _ = keeper.handle(.opened(1, demo, packed), at: second(0))
        #expect(
            keeper.handle(.finished(1, .refused(.intervalTooBrief(minimum: 300_000))), at: second(1))
                == [.perform(.register(packed, ttl: 300_000), of: 1, on: demo)])
    }

    /// Its owner is away: each operation takes until its deadline.
    @Test mutating func aDomainThatIsDownHoldsUpNoOther() throws {
        let dead = try #require(DomainName("dead.example"))
        var keeper = RegistrationKeeper(ttl: .seconds(120), maximumUnderWay: 64, seed: 3)
        var underWay: [(id: UInt64, ends: Double)] = []
        var renewed = 0.0
        var time = 0.0
        func carryOut(_ directives: [RegistrationKeeper.Directive]) {
            var directives = directives[...]
            while let directive = directives.popFirst() {
                guard case .perform(_, let id, let domain) = directive else { continue }
                if domain == dead {
                    underWay.append((id, time + 8))
                } else {
                    #expect(time - renewed < 75, "it is never without its turn for long")
                    renewed = time
                    directives += keeper.handle(.finished(id, granted), at: second(time))
                }
            }
        }
        for id in UInt64(1)...1_000 { carryOut(keeper.handle(.opened(id, dead, contact("u\(id)")), at: second(time))) }
        #expect(underWay.count == 16, "a quarter")
        carryOut(keeper.handle(.opened(2_000, demo, packed), at: second(time)))
        while time < 600 {
            time += 0.5
            let over = underWay.filter { $0.ends <= time }
            underWay.removeAll { $0.ends <= time }
            for (id, _) in over { carryOut(keeper.handle(.finished(id, .refused(.unavailable)), at: second(time))) }
            carryOut(keeper.handle(.tick, at: second(time)))
            #expect(underWay.count <= 16)
        }
        #expect(renewed > 520 && underWay.count == 8, "it is tried by a few")
        // Its owner is back.
        let last = underWay
        underWay = []
        for (id, _) in last { carryOut(keeper.handle(.finished(id, granted), at: second(time))) }
        #expect(underWay.count == 16)
    }

    @Test mutating func manyDomainsThatAreDownLeaveHalfToTheOthers() throws {
        var keeper = RegistrationKeeper(ttl: .seconds(120), maximumUnderWay: 64, seed: 3)
        var underWay: [UInt64] = []
        func begin(_ directives: [RegistrationKeeper.Directive]) {
            for case .perform(_, let id, _) in directives { underWay.append(id) }
        }
        for number in UInt64(0)..<1_000 {
            let domain = try #require(DomainName("d\(number % 50).example"))
            begin(keeper.handle(.opened(number, domain, contact("u\(number)")), at: second(0)))
        }
        #expect(underWay.count == 64)
        for _ in 0..<500 {
            let id = underWay.removeFirst()
            begin(keeper.handle(.finished(id, .refused(.unavailable)), at: second(1)))
        }
        #expect((8...32).contains(underWay.count))
        begin(keeper.handle(.opened(2_000, demo, packed), at: second(1)))
        #expect(underWay.last == 2_000)
    }

    @Test mutating func operationsUnderWayAreBounded() {
        var keeper = RegistrationKeeper(ttl: .seconds(120), maximumUnderWay: 3, seed: 1)
        var started = 0
        for id in 1...10 {
            started += keeper.handle(.opened(UInt64(id), demo, contact("u\(id)")), at: second(0)).count
        }
        #expect(started == 3)
        #expect(keeper.handle(.finished(1, granted), at: second(0)).count == 2)
    }
}
