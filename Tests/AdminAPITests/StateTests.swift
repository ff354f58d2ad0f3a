import AccessTokens
import AdminAPI
import ClusterRuntime
import Foundation
import NIOHTTP1
import RegistrarEvents
import Testing

@Suite(.timeLimit(.minutes(1))) struct StateTests {
    private static let path = "/rest/v1/uc/sipuser_states"

    /// Sipusers 1001 to 1009 are in the directory; 1003 and 1005 have contacts, and so has `guest`, who is not in it.
    private static func with(
        open: Bool = true, change: (inout AdminBackend) -> Void = { _ in }, limits: AdminLimits = AdminLimits(),
        _ body: (AdminFixture) async throws -> Void
    ) async throws {
        try await AdminFixture.with(open: open, change: change, limits: limits) { fixture in
            try fixture.directory.addRange(AdminFixture.demo, .sipuser, "1001..1009", password: "p")
            try fixture.directory.add(AdminFixture.demo, AccountID(.user, "u1"), password: "p")
            for (kind, account, contact) in [
                (AccountKind.sipuser, "1003", "a"), (.sipuser, "1003", "b"), (.sipuser, "1005", "a"),
                (.sipuser, "guest", "a"), (.user, "u1", "a"), (.user, "u7", "a"),
            ] { await fixture.registrar.put(kind, account, contact) }
            try await body(fixture)
        }
    }

    private static func ids(_ fixture: AdminFixture, _ query: [String: String]) async throws -> [String] {
        var address = URLComponents()
        address.queryItems = ([("domain", "demo.example")] + query.sorted { $0.key < $1.key }).map(URLQueryItem.init)
        let answer = try await fixture.ask(.GET, "\(path)?\(try #require(address.percentEncodedQuery))")
        #expect(answer.status == 200, "\(answer.text)")
        return try answer.array().compactMap { $0["id"] as? String }
    }

    @Test func anAccountIsOnlineOfflineOrUnknown() async throws {
        try await Self.with { fixture in
            func ask(_ path: String) async throws -> String {
                let answer = try await fixture.ask(.GET, "\(path)?domain=demo.example")
                return answer.status == 200 ? answer.text : "\(answer.status)"
            }
            #expect(
                try await ask("\(Self.path)/1003") == #"{"id":"1003","username":"1003","status":"online"}"#)
            #expect(
                try await ask("\(Self.path)/1004") == #"{"id":"1004","username":"1004","status":"offline"}"#)
            #expect(try await ask("\(Self.path)/guest").contains("online"))
            #expect(try await ask("\(Self.path)/u1") == "404")
            #expect(try await ask("/rest/v1/uc/user_states/u7").contains("online"))
            #expect(try await ask("/rest/v1/uc/user_states/u8") == "404")
            let masked = try await fixture.ask(.GET, "\(Self.path)/1003?domain=demo.example&mask=status")
            #expect(masked.text == #"{"status":"online"}"#)
        }
    }

    @Test func listsHoldTheDirectoryAndWhoeverElseIsOnline() async throws {
        try await Self.with { fixture in
            let all = (1001...1009).map(String.init) + ["guest"]
            #expect(try await Self.ids(fixture, [:]) == all)
            let online = #"["==",["property","status"],"online"]"#
            #expect(try await Self.ids(fixture, ["filter": online]) == ["1003", "1005", "guest"])
            #expect(try await Self.ids(fixture, ["filter": online, "offset": "1", "limit": "1"]) == ["1005"])
            #expect(try await Self.ids(fixture, ["offset": "8"]) == ["1009", "guest"])
            #expect(
                try await Self.ids(fixture, ["order": "-status,-id", "limit": "4"]) == [
                    "guest", "1005", "1003", "1009",
                ])
            let users = try await fixture.ask(.GET, "/rest/v1/uc/user_states?domain=demo.example&mask=id,status")
            #expect(users.text == #"[{"id":"u1","status":"online"},{"id":"u7","status":"online"}]"#)
        }
    }

    @Test func aNodeThatFollowsTheDomainListsFromItsCopy() async throws {
        let copy = PackedContact(Registration(account: "copied", contact: "c", sipuser: SIPUserDetails()))
        let follow: (inout AdminBackend) -> Void = { backend in
            backend.onlineAccounts = { _, kind in kind == .sipuser ? [copy].compactMap(\.self) : [] }
        }
        try await Self.with(change: follow) { fixture in
            await fixture.registrar.always(.refused(.notOwner))
            let online = try await Self.ids(fixture, ["filter": #"["!=",["property","status"],"offline"]"#])
            #expect(online == ["copied"])
            #expect(try await fixture.ask(.GET, "\(Self.path)/1003?domain=demo.example").status == 503)
        }
    }

    @Test func clearingEndsTheContactsOfAnAccount() async throws {
        try await Self.with { fixture in
            func clear(_ account: String) async throws -> Int {
                let answer = try await fixture.ask(.DELETE, "\(Self.path)/\(account)?domain=demo.example")
                #expect(answer.status != 204 || answer.text.isEmpty)
                return answer.status
            }
            let first = try await clear("1003")
            #expect(first == 204)
            #expect(await fixture.registrar.performed.last == .deleteAccount(AccountID(.sipuser, "1003")))
            #expect(try await fixture.ask(.GET, "\(Self.path)/1003?domain=demo.example").text.contains("offline"))
            #expect(try await clear("1003") == 204)
            #expect(try await clear("guest") == 204)
            #expect(try await clear("guest") == 404)
            #expect(try await fixture.ask(.DELETE, "/rest/v1/uc/user_states/u1?domain=demo.example").status >= 404)
        }
    }

    @Test func theDomainIsTheTokensOrTheAddresss() async throws {
        try await Self.with(open: false) { fixture in
            let path = "\(Self.path)/1003"
            #expect(try await fixture.ask(.GET, path).status == 401)
            let service = try await fixture.tokens.mint(domain: AdminFixture.demo)
            #expect(try await fixture.ask(.GET, path, token: service).status == 200)
            #expect(try await fixture.ask(.GET, "\(path)?domain=demo.example", token: service).status == 200)
            for other in ["acme.example", "none.example"] {
                for method in [HTTPMethod.GET, .DELETE] {
                    #expect(try await fixture.ask(method, "\(path)?domain=\(other)", token: service).status == 403)
                }
            }
            let admin = try await fixture.tokens.mint(.admin, domain: nil)
            #expect(try await fixture.ask(.GET, path, token: admin).status == 400)
            // There is a 1004 in the other domain.
            #expect(
                try await fixture.ask(.GET, "\(Self.path)/1004?domain=acme.example", token: admin).status == 404)
            #expect(try await fixture.ask(.GET, "\(path)?domain=none.example", token: admin).status == 404)
            let user = try await fixture.tokens.mint(domain: AdminFixture.demo, user: "u1")
            #expect(try await fixture.ask(.GET, path, token: user).status == 403)
        }
    }

    @Test func aTokensRightsHoldHereToo() async throws {
        try await Self.with(open: false) { fixture in
            func ask(_ rights: AccessRights, _ rest: String, _ method: HTTPMethod = .GET) async throws -> String {
                let token = try await fixture.tokens.mint(rights: rights)
                let answer = try await fixture.ask(method, Self.path + rest, token: token)
                return answer.status == 200 ? answer.text : "\(answer.status)"
            }
            let events = AccessRights(domain: AdminFixture.demo, classes: [.registrarEvents])
            let some = AccessRights(domain: AdminFixture.demo, accounts: ["1003", "1004"])
            let reader = AccessRights(domain: AdminFixture.demo, capabilities: [.read])
            for rest in ["", "/1003"] {
                let refused = try await ask(events, rest)
                #expect(refused == "403")
            }
            #expect(try await ask(some, "?mask=id") == #"[{"id":"1003"},{"id":"1004"}]"#)
            #expect(try await ask(some, "/1004?mask=status") == #"{"status":"offline"}"#)
            #expect(try await ask(some, "/1005") == "403")
            #expect(try await ask(some, "/1005", .DELETE) == "403")
            #expect(try await ask(reader, "/1003?mask=id") == #"{"id":"1003"}"#)
            #expect(try await ask(reader, "/1003", .DELETE) == "403")
        }
    }

    @Test(arguments: [
        "?filter=x", "?filter=%5B%22==%22%5D", "?mask=color", "?order=color", "?offset=-1", "?limit=0", "?limit=10001",
        "?order=id&offset=100000", "?color=red", "?domain=-", "/1003?limit=1", "/1003?mask=color",
    ])
    func mistakesAreToldWithAStatus(_ query: String) async throws {
        try await Self.with { fixture in
            let query = query.contains("domain") ? query : query + "&domain=demo.example"
            let answer = try await fixture.ask(.GET, Self.path + query)
            #expect(answer.status == 400, "\(answer.text)")
            #expect(try !answer.message().isEmpty)
        }
    }

    @Test func aNodeWithoutAccountsAndTooManyListsSayTryAgain() async throws {
        let broken: (inout AdminBackend) -> Void = {
            $0.accounts = { () throws(DirectoryError) in throw .file("there is no file x") }
        }
        try await Self.with(change: broken) { fixture in
            for path in [Self.path, "\(Self.path)/1004"] {
                let answer = try await fixture.ask(.GET, "\(path)?domain=demo.example")
                #expect(answer.status == 503)
                #expect(try answer.message().contains("there is no file x"))
            }
            #expect(try await fixture.ask(.GET, "\(Self.path)/1003?domain=demo.example").status == 200)
        }
        var limits = AdminLimits()
        limits.stateLists = 0
        try await Self.with(limits: limits) { fixture in
            let answer = try await fixture.ask(.GET, "\(Self.path)?domain=demo.example")
            #expect(answer.status == 503 && answer.headers["Retry-After"] == ["1"])
        }
    }

    /// Pages of two owners do not make a whole.
    @Test func aListIsNotMadeOfPagesOfTwoOwners() async throws {
        try await AdminFixture.with { fixture in
            for number in 0..<10 { await fixture.registrar.put(.sipuser, "20\(number)", "c") }
            await fixture.registrar.changeOwner(afterPages: 2)
            let answer = try await fixture.ask(.GET, "\(Self.path)?domain=demo.example")
            #expect(answer.status == 503 && answer.headers["Retry-After"] == ["1"])
            #expect(try answer.message().contains("the owner of demo.example changed"))
            #expect(try await fixture.ask(.GET, "\(Self.path)?domain=demo.example").status == 200)
        }
    }

    /// More than a page of the directory, with others among them.
    @Test func aLongListIsInOrderAndWhole() async throws {
        try await AdminFixture.with { fixture in
            try fixture.directory.addRange(AdminFixture.demo, .user, "u0..u24999", password: "p")
            for account in ["a", "u", "u17", "u171", "u24999", "u3x", "z"] {
                await fixture.registrar.put(.user, account, "c")
            }
            var found: [String] = []
            var online = 0
            for offset in stride(from: 0, to: 30_000, by: 10_000) {
                let page = try await fixture.ask(
                    .GET, "/rest/v1/uc/user_states?domain=demo.example&limit=10000&offset=\(offset)"
                ).array()
                found += page.compactMap { $0["id"] as? String }
                online += page.count { $0["status"] as? String == "online" }
            }
            let expected = (0..<25_000).map { "u\($0)" } + ["a", "u", "u3x", "z"]
            #expect(found == expected.sorted())
            #expect(online == 7)
        }
    }
}
