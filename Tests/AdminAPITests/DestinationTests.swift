import AccessTokens
import AdminAPI
import ClusterRuntime
import NIOHTTP1
import RegistrarEvents
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct DestinationTests {
    private static let list = "/rest/v1/registrar/destinations"

    private func withDestination(
        open: Bool = true, resumed: @escaping @Sendable (String) -> Void = { _ in },
        _ body: (AdminFixture) async throws -> Void
    ) async throws {
        let change = { (backend: inout AdminBackend) in
            backend.destinations = { [DestinationStatus(name: "audit", kind: "webhook", state: .gone)] }
            backend.resume = { name in
                guard name == "audit" else { return false }
                resumed(name)
                return true
            }
        }
        try await AdminFixture.with(open: open, change: change, body)
    }

    @Test func aDestinationIsResumedByItsName() async throws {
        let resumed = Mutex<[String]>([])
        try await withDestination(resumed: { name in resumed.withLock { $0.append(name) } }) { fixture in
            let held = try await fixture.ask(.GET, Self.list).array()
            #expect(held.map { $0["state"] as? String } == ["gone"])
            let answer = try await fixture.ask(.POST, Self.list + "/audit/resume")
            #expect(answer.status == 202 && answer.text == #"{"accepted":true}"#)
            let unknown = try await fixture.ask(.POST, Self.list + "/tight/resume")
            #expect(unknown.status == 404)
            #expect(try unknown.message().contains("tight"))
        }
        #expect(resumed.withLock { $0 } == ["audit"])
    }

    @Test func nodesThatDeliverNothingHaveNoneToResume() async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.POST, Self.list + "/audit/resume")
            #expect(answer.status == 404)
            #expect(try answer.message().contains("sr nodes"))
        }
    }

    @Test func onlyAdminsOfTheWholeClusterResume() async throws {
        let resumed = Mutex(0)
        try await withDestination(open: false, resumed: { _ in resumed.withLock { $0 += 1 } }) { fixture in
            let path = Self.list + "/audit/resume"
            #expect(try await fixture.ask(.POST, path).status == 401)
            let minute: Duration = .seconds(60)
            let service = try await fixture.tokens.mint(domain: AdminFixture.demo, ttl: minute)
            #expect(try await fixture.ask(.POST, path, token: service).status == 403)
            let tenant = try await fixture.tokens.mint(.admin, domain: AdminFixture.demo, ttl: minute)
            #expect(try await fixture.ask(.POST, path, token: tenant).status == 403)
            #expect(resumed.withLock { $0 } == 0)
            let admin = try await fixture.tokens.mint(.admin, domain: nil, ttl: minute)
            #expect(try await fixture.ask(.POST, path, token: admin).status == 202)
        }
        #expect(resumed.withLock { $0 } == 1)
    }
}
