import AccessTokens
import AdminAPI
import ClusterRuntime
import Foundation
import NIOHTTP1
import RegistrarEvents
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct MovementTests {
    private static let drain = "/rest/v1/cluster/nodes/sr1/drain"
    private static let move = "/rest/v1/cluster/domains/demo.example/move"
    private static let explanation = "/rest/v1/cluster/domains/demo.example/explanation"

    @Test func ordersReachTheRouterAndAreAnsweredWhenStored() async throws {
        let orders = Mutex<[MovementOrder]>([])
        try await AdminFixture.with(change: {
            $0.order = { order in
                orders.withLock { $0.append(order) }
                return .accepted
            }
        }) { fixture in
            let drained = try await fixture.ask(.POST, Self.drain)
            #expect(drained.status == 202)
            let undrained = try await fixture.ask(.DELETE, Self.drain)
            #expect(undrained.text == #"{"accepted":true}"#)
            let moved = try await fixture.ask(.POST, Self.move, #"{"node":"sr2"}"#)
            #expect(moved.status == 202)
        }
        #expect(
            orders.withLock { $0 } == [
                .drain(NodeName("sr1")), .undrain(NodeName("sr1")), .move(AdminFixture.demo, to: NodeName("sr2")),
            ])
    }

    @Test(arguments: [
        (OrderOutcome.unknown("there is no node sr1"), 404), (.refused("nobody else is up"), 409),
        (.tooManyWaiting, 503),
    ])
    func whatIsNotAcceptedHasAReason(outcome: OrderOutcome, status: Int) async throws {
        try await AdminFixture.with(change: { $0.order = { _ in outcome } }) { fixture in
            let answer = try await fixture.ask(.POST, Self.drain)
            #expect(answer.status == status)
            #expect(try !answer.message().isEmpty)
        }
    }

    @Test func awayFromTheActiveRouterOrdersAreSentThere() async throws {
        try await AdminFixture.with(change: { $0.status = { .elsewhere("http://127.0.0.1:8081") } }) { fixture in
            let answer = try await fixture.ask(.POST, Self.drain)
            #expect(answer.status == 307)
            #expect(answer.headers["Location"] == ["http://127.0.0.1:8081" + Self.drain])
            #expect(try await fixture.ask(.GET, Self.explanation).status == 307)
            #expect(try await fixture.ask(.GET, Self.explanation + "?redirect=no").status == 421)
        }
        try await AdminFixture.with(change: { $0.status = { .elsewhere(nil) } }) { fixture in
            let order = try await fixture.ask(.POST, Self.drain)
            #expect(order.status == 503)
            let explanation = try await fixture.ask(.GET, Self.explanation)
            #expect(explanation.status == 503)
        }
    }

    @Test(arguments: ["", "{}", #"{"node":7}"#, "node=sr1"])
    func aMoveNeedsANode(body: String) async throws {
        try await AdminFixture.with(change: { $0.order = { _ in .accepted } }) { fixture in
            let answer = try await fixture.ask(.POST, Self.move, body)
            #expect(answer.status == 400)
        }
    }

    @Test func onlyAdministratorsOfTheWholeClusterMoveAnything() async throws {
        try await AdminFixture.with(open: false, change: { $0.order = { _ in .accepted } }) { fixture in
            let minute: Duration = .seconds(60)
            let service = try await fixture.tokens.mint(domain: AdminFixture.demo, ttl: minute)
            let ofDomain = try await fixture.tokens.mint(.admin, domain: AdminFixture.demo, ttl: minute)
            let admin = try await fixture.tokens.mint(.admin, domain: nil, ttl: minute)
            #expect(try await fixture.ask(.POST, Self.drain).status == 401)
            for token in [service, ofDomain] {
                #expect(try await fixture.ask(.POST, Self.drain, token: token).status == 403)
                #expect(try await fixture.ask(.POST, Self.move, #"{"node":"sr2"}"#, token: token).status == 403)
            }
            #expect(try await fixture.ask(.POST, Self.drain, token: admin).status == 202)
        }
    }

    @Test func anExplanationHasItsPublishedForm() async throws {
        let explanation = DomainExplanation(
            name: "demo.example", epoch: 3, owner: "sr1#5", since: 1_700_000_000_000, cause: "moved", replicas: 2,
            standbys: [.init(name: "sr2", inSync: true)], movingTo: "sr2",
            candidates: [
                .init(
                    name: "sr1", site: "main", server: "a", order: 1, weight: 100, status: .drained, owns: 1,
                    part: .owner)
            ], reasons: ["it was moved"], changes: [])
        try await AdminFixture.with(change: { $0.explanation = { _ in explanation } }) { fixture in
            let answer = try await fixture.ask(.GET, Self.explanation)
            #expect(answer.status == 200)
            #expect(answer.text.contains(#""moving_to":"sr2""#))
            #expect(answer.text.contains(#""status":"drained""#))
            let read = try JSONDecoder().decode(DomainExplanation.self, from: Data(answer.text.utf8))
            #expect(read == explanation)
        }
    }
}
