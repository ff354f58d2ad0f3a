import Foundation
import Testing

@testable import ClusterRuntime

@Suite struct TopologySettingsTests {
    @Test func defaultsHoldEveryRelation() {
        #expect(Periods().violations == [])
        #expect(Limits().violations == [])
    }

    @Test func aLoneOwnerMustStopBeforeAnotherIsPromoted() {
        var periods = Periods()
        periods.ownerLease = .milliseconds(900)
        #expect(periods.violations.map(\.setting) == ["owner_lease"])
    }

    @Test func oneLostHeartbeatEndsNoLoneOwnersLease() {
        var periods = Periods()
        (periods.heartbeat, periods.suspect, periods.down) = (.seconds(2), .seconds(4), .seconds(6))
        (periods.leadership, periods.restartGrace, periods.requestDeadline) = (.seconds(6), .seconds(6), .seconds(12))
        #expect(periods.violations.map(\.setting) == ["owner_lease"])
        periods.ownerLease = .seconds(4)
        #expect(periods.violations == [])
    }

    @Test func aShortDownBreaksEveryPeriodThatHangsOnIt() {
        var periods = Periods()
        periods.down = .milliseconds(500)
        #expect(periods.violations.map(\.setting) == ["down", "owner_lease"])
    }

    @Test func everyPeriodAndLimitHasItsKey() {
        #expect(Mirror(reflecting: Periods()).children.count == Periods.fields.count)
        #expect(Mirror(reflecting: Limits()).children.count == Limits.fields.count)
        #expect(Set(Periods.fields.map(\.path)).count == Periods.fields.count)
        #expect(Set(Limits.fields.map(\.path)).count == Limits.fields.count)
    }

    @Test(arguments: [
        ("200ms", Duration.milliseconds(200)), ("1s", .seconds(1)), ("1.5s", .milliseconds(1500)),
        ("2m", .seconds(120)), ("0.25h", .seconds(900)), ("0s", .zero), ("0.000001s", .microseconds(1)),
    ])
    func durationsAreRead(_ text: String, _ expected: Duration) {
        #expect(Quantity.duration(text) == expected)
    }

    @Test(arguments: [
        "", "s", "1", "1 s", "-1s", "1.s", ".5s", "1.2.3s", "1d", "1S", "9999999s", "1e3s", "٣s",
    ])
    func whatIsNotADurationIsRefused(_ text: String) {
        #expect(Quantity.duration(text) == nil)
    }

    @Test(arguments: [("0", 0), ("64KiB", 65_536), ("8MiB", 8 << 20), ("1GiB", 1 << 30), ("12B", 12)])
    func sizesAreRead(_ text: String, _ expected: Int) {
        #expect(Quantity.bytes(text) == expected)
    }

    @Test(arguments: ["", "KiB", "1KB", "1.5KiB", "-1", "999999999999999GiB", "1kib"])
    func whatIsNotASizeIsRefused(_ text: String) {
        #expect(Quantity.bytes(text) == nil)
    }

    @Test func theNearestNameIsTheOneMeant() {
        #expect(NearestName.of("replica", among: ["name", "replicas", "limits"]) == "replicas")
        #expect(NearestName.of("hartbeet", among: ["heartbeat", "down"]) == "heartbeat")
        #expect(NearestName.of("xyz", among: ["heartbeat", "suspect"]) == nil)
    }
}
