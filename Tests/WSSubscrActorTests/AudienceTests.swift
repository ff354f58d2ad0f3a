import Filtering
import RegistrarEvents
import Testing

@testable import WSSubscrActor

struct AudienceTests {
    /// Who asks for what only looks the same is told what it asked for.
    @Test func subscribersAreGroupedByTheBytesOfTheirFilters() throws {
        var audience = Audience()
        for (number, text) in ["\u{e9}", "e\u{301}", "\u{e9}"].enumerated() {
            let filter = try Filter<EventProperty>(["startswith", ["property", "user_id"], .string(text)])
            let id = SubscriberID(lane: 0, connection: 1, number: UInt32(number))
            audience.insert(id, SubscriptionMatcher(.all, filter: filter))
        }
        #expect(audience.broad.map { $0.members.ids.map(\.number) } == [[0, 2], [1]])
    }
}
