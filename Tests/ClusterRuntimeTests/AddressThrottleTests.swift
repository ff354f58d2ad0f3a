import ClusterRuntime
import Testing

@Suite struct AddressThrottleTests {
    private func at(_ seconds: Double) -> MonotonicInstant { MonotonicInstant(nanoseconds: Int64(seconds * 1e9)) }

    private func makeThrottle() -> AddressThrottle {
        AddressThrottle(maximumFailures: 4, window: .seconds(60), ban: .seconds(60), capacity: 2)
    }

    @Test func addressesThatFailAreSlowedAndThenTurnedAway() {
        var throttle = makeThrottle()
        #expect(throttle.admit("a", at: at(1)) == .check(after: .zero))
        throttle.failed("a", at: at(1))
        #expect(throttle.admit("a", at: at(1)) == .check(after: .milliseconds(200)))
        #expect(throttle.admit("a", at: at(1)) == .check(after: .milliseconds(400)))
        #expect(throttle.admit("b", at: at(1)) == .check(after: .zero))
        for _ in 0..<3 { throttle.failed("a", at: at(2)) }
        #expect(throttle.admit("a", at: at(3)) == .banned(.seconds(59)))
        #expect(throttle.admit("a", at: at(63)) == .check(after: .zero))
        throttle.failed("b", at: at(64))
        throttle.failed("c", at: at(64))
        #expect(throttle.count == 2)
    }

    @Test func bansAreListedAndLifted() {
        var throttle = makeThrottle()
        for _ in 0..<4 { throttle.failed("b", at: at(1)) }
        for _ in 0..<5 { throttle.failed("a", at: at(2)) }
        #expect(
            throttle.listed(at: at(3)) == [
                AddressBan(network: "a", rest: .seconds(59), failures: 5),
                AddressBan(network: "b", rest: .seconds(58), failures: 4),
            ])
        let lifted = ["a", "a", "c"].map { throttle.lift($0, at: at(3)) }
        #expect(lifted == [true, false, false])
        #expect(throttle.admit("a", at: at(3)) == .check(after: .zero))
        #expect(throttle.listed(at: at(3)).map(\.network) == ["b"])
        #expect(throttle.listed(at: at(61)).isEmpty)
        // Lifted, it begins anew, and is still the one that was added last.
        throttle.failed("a", at: at(4))
        #expect(throttle.listed(at: at(4)).map(\.network) == ["b"])
        throttle.failed("c", at: at(5))
        #expect(throttle.count == 2 && throttle.listed(at: at(5)).isEmpty)
    }

    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1::9", "2001:db8:0:1::/64"), ("2001:db8:0:1::/64", "2001:db8:0:1::/64"), ("::1", "::/64"),
        ("phone", "phone"), ("", ""),
    ])
    func addressesAreCountedByTheirNetwork(_ address: String, _ network: String) {
        #expect(NetworkOfAddress.text(address) == network)
    }
}
