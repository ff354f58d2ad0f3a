import AccessTokens
import AdminAPI
import ClusterRuntime
import NIOHTTP1
import RegistrarEvents
import Testing

/// What a token's rights leave of a domain's part of the address.
@Suite(.timeLimit(.minutes(1))) struct RightsTests {
    private static let body = #"{"kind":"user","account":"ACCOUNT","contact_id":"c","ttl":60}"#

    private static func status(
        _ fixture: AdminFixture, _ method: HTTPMethod, _ path: String, _ token: String, account: String? = nil
    ) async throws -> Int {
        try await fixture.ask(
            method, AdminFixture.contacts + path, account.map { body.replacing("ACCOUNT", with: $0) }, token: token
        ).status
    }

    private static func fill(_ fixture: AdminFixture) async throws {
        let all = try await fixture.tokens.mint(domain: AdminFixture.demo)
        for account in ["a", "b", "c", "d", "e"] {
            #expect(try await status(fixture, .POST, "", all, account: account) == 200)
        }
    }

    @Test func accountsAreAllThatIsSeenAndChanged() async throws {
        try await AdminFixture.with(open: false) { fixture in
            try await Self.fill(fixture)
            let token = try await fixture.tokens.mint(
                rights: AccessRights(domain: AdminFixture.demo, accounts: ["b", "d", "none"]))
            let listed = try await fixture.ask(.GET, AdminFixture.contacts, token: token).array()
            #expect(listed.map { $0["account"] as? String } == ["b", "d"])
            let limited = try await fixture.ask(.GET, AdminFixture.contacts + "?limit=1", token: token).array()
            #expect(limited.count == 1)
            #expect(try await Self.status(fixture, .GET, "?account=b", token) == 200)
            #expect(try await Self.status(fixture, .POST, "", token, account: "b") == 200)
            #expect(try await Self.status(fixture, .GET, "?account=a", token) == 403)
            #expect(try await Self.status(fixture, .POST, "", token, account: "a") == 403)
            for path in ["/user/a", "/user/a/c", "?confirm=demo.example"] {
                #expect(try await Self.status(fixture, .DELETE, path, token) == 403, "\(path)")
            }
            #expect(try await fixture.ask(.GET, "/rest/v1/registrar/verify", token: token).status == 403)
            #expect(try await Self.status(fixture, .DELETE, "/user/d", token) == 200)
        }
    }

    @Test func aSubtreeBringsWhatIsBeneath() async throws {
        let names = ["demo.example", "a.demo.example", "b.a.demo.example", "acme.example", "xdemo.example"]
        let domains = names.compactMap(DomainName.init)
        try await AdminFixture.with(open: false, change: { $0.domains = { domains } }) { fixture in
            func visible(_ rights: AccessRights) async throws -> [String?] {
                let token = try await fixture.tokens.mint(rights: rights)
                return try await fixture.ask(.GET, "/rest/v1/registrar/domains", token: token).array()
                    .map { $0["name"] as? String }.sorted { $0 ?? "" < $1 ?? "" }
            }
            #expect(try await visible(AccessRights(domain: AdminFixture.demo)) == ["demo.example"])
            #expect(
                try await visible(AccessRights(domain: AdminFixture.demo, includesSubtree: true))
                    == ["a.demo.example", "b.a.demo.example", "demo.example"])
            let token = try await fixture.tokens.mint(
                rights: AccessRights(domain: AdminFixture.demo, includesSubtree: true))
            for (name, status) in [("a.demo.example", 200), ("none.demo.example", 404), ("xdemo.example", 403)] {
                let path = "/rest/v1/registrar/domains/\(name)"
                #expect(try await fixture.ask(.GET, path, token: token).status == status, "\(name)")
            }
        }
    }

    @Test func capabilitiesAndClassesAreAskedFor() async throws {
        try await AdminFixture.with(open: false) { fixture in
            try await Self.fill(fixture)
            func token(_ rights: AccessRights) async throws -> String { try await fixture.tokens.mint(rights: rights) }
            let reads = try await token(AccessRights(domain: AdminFixture.demo, capabilities: [.read]))
            #expect(try await Self.status(fixture, .GET, "", reads) == 200)
            #expect(try await Self.status(fixture, .POST, "", reads, account: "a") == 403)
            #expect(try await Self.status(fixture, .DELETE, "/user/a", reads) == 403)
            let writes = try await token(AccessRights(domain: AdminFixture.demo, capabilities: [.write]))
            #expect(try await Self.status(fixture, .GET, "", writes) == 403)
            #expect(try await Self.status(fixture, .DELETE, "/user/a", writes) == 200)
            let views = try await token(AccessRights(domain: AdminFixture.demo, classes: [.modelEvents]))
            #expect(try await Self.status(fixture, .GET, "", views) == 403)
            #expect(try await fixture.ask(.GET, "/rest/v1/registrar/domains/demo.example", token: views).status == 200)
            let answer = try await fixture.ask(.DELETE, AdminFixture.contacts + "/user/a", token: reads)
            #expect(try answer.message() == "the token lacks the capability `write`")
        }
    }
}
