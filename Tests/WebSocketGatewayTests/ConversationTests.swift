import AccessTokens
import ClusterRuntime
import NIOCore
import RegistrarEvents
import Testing
import WSSubscrActor

@testable import WebSocketGateway

/// What a connection knows of its subscriptions while their follower has not answered: machine alone.
@Suite struct ConversationTests {
    private static let everything = #""events":["*"]"#
    private var client = RightsTests.Client(AccessRights(domain: demo))

    private mutating func end(_ id: Int) {
        _ = client.conversation.received(
            ByteBuffer(string: #"["subscribe",{"qid":1,"id":\#(id),"expires":0}]"#), at: client.now)
    }

    /// Four may be there at once.
    @Test mutating func whatWasEndedTakesRoomUntilItsFollowerHasAnswered() throws {
        for _ in 0..<3 {
            _ = try client.subscribe(Self.everything)
            end(1)
        }
        _ = try client.subscribe(Self.everything)
        _ = try client.subscribe(#""expires":60"#)
        end(1)
        #expect(try client.subscribe(Self.everything) == .refused(429))
        // The last one has two answers to come.
        for _ in 0..<2 {
            #expect(client.conversation.answered(4, .accepted(.start)).isEmpty)
            let outcome = try client.subscribe(Self.everything, id: 2)
            #expect((outcome == .refused(429)) == (client.conversation.leaving[4] != nil))
        }
        #expect(client.conversation.entries.keys.sorted() == [5])
        #expect(try client.subscribe(Self.everything, id: 3) == .refused(429))
        client.conversation.ended(1)
        #expect(try client.subscribe(Self.everything, id: 3) != .refused(429))
        // What waited for the list is never answered.
        client.now.monotonic = client.now.monotonic + .seconds(10)
        #expect(try client.subscribe(Self.everything, id: 4) != .refused(429))
        #expect(client.conversation.leaving.isEmpty)
    }

    @Test mutating func whatWasAnsweredIsEndedAtOnce() throws {
        for number in 1...100 as ClosedRange<UInt32> {
            #expect(try client.subscribe(Self.everything) != .refused(429))
            #expect(client.conversation.answered(number, .accepted(.start)).count == 1)
            end(1)
        }
        #expect(client.conversation.leaving.isEmpty)
    }

    @Test mutating func aRefusedChangeLeavesTheSubscriptionAsItWas() throws {
        _ = try client.subscribe(#""events":["*"],"objects":["u1"]"#)
        _ = client.conversation.answered(1, .accepted(.start))
        _ = try client.subscribe(#""objects":["u2"],"exargs":{"mask":["user_id"]}"#)
        #expect(client.conversation.answered(1, .refused(.tooManyFilters(limit: 1))).count == 1)
        let entry = try #require(client.conversation.entries[1])
        #expect(entry.matcher.objects == ["u1"] && entry.matcher.mask == nil)
        // The next change is one to what it is.
        guard case .asked(let asked) = try client.subscribe(#""events":["registrarevents.user_registered"]"#) else {
            Issue.record("the change was refused")
            return
        }
        #expect(asked.matcher == SubscriptionMatcher(.userRegistered, objects: ["u1"]))
        _ = client.conversation.answered(1, .accepted(.start))
        #expect(client.conversation.entries[1]?.matcher == asked.matcher)
        client.conversation.ended(1)
        #expect(client.conversation.entries.isEmpty)
    }
}
