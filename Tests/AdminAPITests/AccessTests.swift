import AccessTokens
import AdminAPI
import ClusterRuntime
import NIOHTTP1
import RegistrarEvents
import Testing

@Suite(.timeLimit(.minutes(1))) struct AccessTests {
    private static let wholeCluster = ["/metrics", "/rest/v1/master/nodes", "/rest/v1/cluster/status"]

    @Test func withoutATokenOnlyHealthAndTheEmptyPageAnswer() async throws {
        try await AdminFixture.with(open: false) { fixture in
            for path in ["/health", "/"] { #expect(try await fixture.ask(.GET, path).status == 200) }
            let guarded =
                Self.wholeCluster + ["/rest/v1/registrar/domains", "/rest/v1/registrar/verify", AdminFixture.contacts]
            for path in guarded {
                let answer = try await fixture.ask(.GET, path)
                #expect(answer.status == 401, "\(path)")
                #expect(answer.headers["WWW-Authenticate"] == [#"Bearer realm="rollcall""#])
            }
            #expect(
                try await fixture.ask(.GET, AdminFixture.contacts, headers: ["Authorization": "Basic eDp5"]).status
                    == 401)
            #expect(try await fixture.ask(.GET, AdminFixture.contacts, token: "nonsense").status == 401)
        }
    }

    @Test func aServiceMaySeeAndChangeItsDomainAlone() async throws {
        try await AdminFixture.with(open: false) { fixture in
            let token = try await fixture.tokens.mint(domain: AdminFixture.demo)
            let body = #"{"kind":"user","account":"a","contact_id":"c","ttl":60}"#
            #expect(try await fixture.ask(.POST, AdminFixture.contacts, body, token: token).status == 200)
            #expect(try await fixture.ask(.GET, AdminFixture.contacts, token: token).array().count == 1)
            for domain in ["acme.example", "none.example"] {
                let path = "/rest/v1/registrar/domains/\(domain)/contacts"
                #expect(try await fixture.ask(.GET, path, token: token).status == 403)
            }
            for path in Self.wholeCluster { #expect(try await fixture.ask(.GET, path, token: token).status == 403) }
            let domains = try await fixture.ask(.GET, "/rest/v1/registrar/domains", token: token).array()
            #expect(domains.map { $0["name"] as? String } == ["demo.example"])
        }
    }

    @Test func anAdminMaySeeEverythingAndAUsersTokenNothing() async throws {
        try await AdminFixture.with(open: false) { fixture in
            let admin = try await fixture.tokens.mint(.admin, domain: nil)
            for path in Self.wholeCluster + [AdminFixture.contacts] {
                #expect(try await fixture.ask(.GET, path, token: admin).status == 200)
            }
            let user = try await fixture.tokens.mint(domain: AdminFixture.demo, user: "u1")
            #expect(try await fixture.ask(.GET, AdminFixture.contacts, token: user).status == 403)
        }
    }

    @Test func anOpenAddressDoesNotTrustPagesOfOtherSites() async throws {
        try await AdminFixture.with { fixture in
            let own = "http://127.0.0.1:\(fixture.port)"
            for headers: HTTPHeaders in [[:], ["Origin": own], ["Host": "localhost"], ["Host": "[::1]:8080"]] {
                #expect(
                    try await fixture.ask(.GET, AdminFixture.contacts, headers: headers).status == 200, "\(headers)")
            }
            for headers: HTTPHeaders in [
                ["Origin": "http://evil.example"], ["Origin": "null"], ["Origin": "http://127.0.0.1:1"],
                ["Host": "evil.example"], ["Host": "127.0.0.1.evil.example:80"],
            ] {
                let answer = try await fixture.ask(
                    .POST, AdminFixture.contacts, #"{"kind":"user","account":"a","contact_id":"c","ttl":60}"#,
                    headers: headers)
                #expect(answer.status == 401, "\(headers)")
            }
            #expect(await !fixture.registrar.performed.contains { if case .register = $0 { true } else { false } })
        }
    }

    @Test func aWrongTokenIsNotOverlookedWhereNoneIsNeeded() async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.GET, AdminFixture.contacts, token: "nonsense")
            #expect(answer.status == 401)
        }
    }
}
