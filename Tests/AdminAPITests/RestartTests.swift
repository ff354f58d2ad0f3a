import AccessTokens
import AdminAPI
import ClusterRuntime
import NIOHTTP1
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct RestartTests {
    private static let restart = "/rest/v1/node/restart"
    private static let order = #"{"incarnation":\#(AdminFixture.node.incarnation)}"#

    @Test func anOrderForThisLifeEndsTheNode() async throws {
        let count = Mutex(0)
        try await AdminFixture.with(change: {
            $0.restart = {
                count.withLock { $0 += 1 }
                return .accepted
            }
        }) { fixture in
            let answer = try await fixture.ask(.POST, Self.restart, Self.order)
            #expect(answer.status == 202)
            #expect(answer.text == #"{"accepted":true}"#)
        }
        #expect(count.withLock { $0 } == 1)
    }

    /// An order that comes late, or a second time, must not end the next life.
    @Test func anOrderForAnotherLifeDoesNothing() async throws {
        let count = Mutex(0)
        try await AdminFixture.with(change: {
            $0.restart = {
                count.withLock { $0 += 1 }
                return .accepted
            }
        }) { fixture in
            let answer = try await fixture.ask(.POST, Self.restart, #"{"incarnation":1}"#)
            #expect(answer.status == 412)
            #expect(try answer.message().contains("router1"))
            for body in ["", "{}", #"{"incarnation":"1"}"#, "incarnation=1"] {
                #expect(try await fixture.ask(.POST, Self.restart, body).status == 400)
            }
        }
        #expect(count.withLock { $0 } == 0)
    }

    @Test func aNodeThatNobodyStartsAgainStays() async throws {
        try await AdminFixture.with(change: { $0.restart = { .nobodyStartsItAgain } }) { fixture in
            let answer = try await fixture.ask(.POST, Self.restart, Self.order)
            #expect(answer.status == 409)
            #expect(try answer.message().contains("--supervised"))
        }
    }

    @Test func onlyAdministratorsOfTheWholeClusterRestartNodes() async throws {
        try await AdminFixture.with(open: false, change: { $0.restart = { .accepted } }) { fixture in
            let minute: Duration = .seconds(60)
            let service = try await fixture.tokens.mint(domain: AdminFixture.demo, ttl: minute)
            let ofDomain = try await fixture.tokens.mint(.admin, domain: AdminFixture.demo, ttl: minute)
            let admin = try await fixture.tokens.mint(.admin, domain: nil, ttl: minute)
            #expect(try await fixture.ask(.POST, Self.restart, Self.order).status == 401)
            for token in [service, ofDomain] {
                #expect(try await fixture.ask(.POST, Self.restart, Self.order, token: token).status == 403)
            }
            #expect(try await fixture.ask(.POST, Self.restart, Self.order, token: admin).status == 202)
        }
    }
}
