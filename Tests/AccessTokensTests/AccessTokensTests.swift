import AccessTokens
import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@Suite struct AccessTokensTests {
    private static let demo = DomainName("demo.example")!
    private static let acme = DomainName("acme.example")!
    private static let secret = [UInt8](repeating: 7, count: 32)
    private static let start: Int64 = 1_700_000_000

    private static func tokens(
        _ secret: [UInt8] = secret, at second: Int64 = start
    ) async -> AccessTokens {
        await AccessTokens(ClusterSecret(secret)) { second * 1_000 }
    }

    @Test func whatWasIssuedIsAcceptedByEveryNodeOfTheCluster() async throws {
        let token = try await Self.tokens().mint(domain: Self.demo, user: "u1", ttl: .seconds(60))
        let claims = try await Self.tokens(at: Self.start + 59).verify(token)
        #expect(
            claims
                == AccessClaims(
                    scope: .user, rights: AccessRights(domain: Self.demo), user: "u1", issuedAt: Self.start,
                    expiresAt: Self.start + 60))
    }

    @Test func withoutAUserItIsForAService() async throws {
        let tokens = await Self.tokens()
        let service = try await tokens.verify(try await tokens.mint(domain: Self.demo))
        #expect(service.scope == .service)
        #expect(service.user == nil)
        let admin = try await tokens.verify(try await tokens.mint(.admin, domain: nil))
        #expect(admin.rights.domain == nil)
    }

    @Test func anExpiredTokenIsRefused() async throws {
        let token = try await Self.tokens().mint(domain: Self.demo, ttl: .seconds(60))
        let later = await Self.tokens(at: Self.start + 60)
        await #expect(throws: AccessTokenError.expired(at: Self.start + 60)) { try await later.verify(token) }
    }

    @Test func anotherClustersTokenIsRefused() async throws {
        let token = try await Self.tokens([UInt8](repeating: 8, count: 32)).mint(domain: Self.demo)
        let tokens = await Self.tokens()
        await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(token) }
    }

    @Test func aChangedTokenIsRefused() async throws {
        let tokens = await Self.tokens()
        let parts = try await tokens.mint(domain: Self.demo).split(separator: ".")
        let claims = #"{"iss":"rollcall","scope":"admin","iat":0,"exp":99999999999}"#
        let forged = Data(claims.utf8).base64EncodedString().replacing("=", with: "")
        await #expect(throws: AccessTokenError.wrongSignature) {
            try await tokens.verify("\(parts[0]).\(forged).\(parts[2])")
        }
        // The algorithm is ours to say, not the token's.
        let none = Data(#"{"alg":"none","typ":"JWT"}"#.utf8).base64EncodedString().replacing("=", with: "")
        for token in ["\(none).\(parts[1]).", "\(none).\(parts[1]).\(parts[2])"] {
            await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(token) }
        }
    }

    @Test(arguments: ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "ä.ö.ü", String(repeating: "a", count: 5_000)])
    func whatIsNoTokenIsMalformed(_ text: String) async {
        let tokens = await Self.tokens()
        await #expect {
            try await tokens.verify(text)
        } throws: { error in
            guard case .malformed = error as? AccessTokenError else { return false }
            return true
        }
    }

    @Test func aClusterWithoutASecretIssuesAndAcceptsNone() async throws {
        let tokens = await AccessTokens(clusterSecret: [])
        #expect(!tokens.isEnabled)
        let token = try await Self.tokens().mint(domain: Self.demo)
        await #expect(throws: AccessTokenError.noSecret) { try await tokens.verify(token) }
        await #expect(throws: AccessTokenError.noSecret) { try await tokens.mint(domain: Self.demo) }
    }

    @Test func scopeAndDomainAreHeldTo() throws {
        func claims(_ scope: AccessScope, _ domain: DomainName?) -> AccessClaims {
            AccessClaims(
                scope: scope, rights: AccessRights(domain: domain), user: nil, issuedAt: 0, expiresAt: 1)
        }
        try claims(.service, Self.demo).require([.service, .admin], domain: Self.demo)
        try claims(.admin, nil).require([.admin], domain: Self.demo)
        try claims(.admin, nil).require([.admin], domain: nil)
        #expect(throws: AccessTokenError.wrongDomain(Self.demo, expected: Self.acme)) {
            try claims(.service, Self.demo).require([.service], domain: Self.acme)
        }
        #expect(throws: AccessTokenError.oneDomainOnly(Self.demo)) {
            try claims(.admin, Self.demo).require([.admin], domain: nil)
        }
        #expect(throws: AccessTokenError.wrongScope(.user, expected: [.service])) {
            try claims(.user, Self.demo).require([.service], domain: Self.demo)
        }
    }

    @Test func rightsSurviveTheToken() async throws {
        let tokens = await Self.tokens()
        let wide = AccessRights(domain: Self.demo)
        let narrow = AccessRights(
            domain: Self.demo, includesSubtree: true, classes: [.registrarEvents], accounts: ["u2", "u1", "u1"],
            capabilities: [.subscribe])
        for rights in [wide, narrow, AccessRights(domain: Self.demo, classes: [], accounts: [], capabilities: [])] {
            #expect(try await tokens.verify(try await tokens.mint(rights: rights)).rights == rights)
        }
        #expect(narrow.accounts == ["u1", "u2"])
    }

    @Test func rightsAreAskedForOneByOne() throws {
        let below = try #require(DomainName("a.demo.example"))
        let beside = try #require(DomainName("notdemo.example"))
        let exact = AccessRights(domain: Self.demo)
        #expect(exact.include(Self.demo) && !exact.include(below) && !exact.include(Self.acme))
        let subtree = AccessRights(domain: Self.demo, includesSubtree: true)
        #expect(subtree.include(Self.demo) && subtree.include(below) && !subtree.include(beside))
        let parent = try #require(DomainName("example"))
        #expect(!subtree.include(parent))
        #expect(AccessRights(domain: nil).include(Self.acme))

        let few = AccessRights(domain: Self.demo, classes: [.modelEvents], accounts: ["\u{e9}"], capabilities: [.read])
        #expect(few.include(.modelEvents) && !few.include(.registrarEvents))
        #expect(few.include(.read) && !few.include(.write) && !few.include(.subscribe))
        #expect(few.include(account: "\u{e9}"))
        // The same letter in two ways of writing it: two accounts.
        #expect(!few.include(account: "e\u{301}"))
        let both = AccessRights(domain: Self.demo, accounts: ["\u{e9}", "e\u{301}", "\u{e9}"])
        #expect(both.accounts?.count == 2)
        #expect(both.include(account: "\u{e9}") && both.include(account: "e\u{301}"))
        #expect(exact.include(account: "anybody"))
    }

    @Test func whatMakesNoSenseIsNotIssued() async {
        let tokens = await Self.tokens()
        func expectRefusal(_ scope: AccessScope?, _ domain: DomainName?, _ user: String?, _ ttl: Duration) async {
            await #expect {
                try await tokens.mint(scope, domain: domain, user: user, ttl: ttl)
            } throws: { error in
                guard case .notIssued = error as? AccessTokenError else { return false }
                return true
            }
        }
        await expectRefusal(.service, nil, nil, .seconds(60))
        await expectRefusal(.service, Self.demo, "u1", .seconds(60))
        await expectRefusal(.user, Self.demo, nil, .seconds(60))
        await expectRefusal(nil, Self.demo, "", .seconds(60))
        await expectRefusal(nil, Self.demo, "u1", .zero)
        await expectRefusal(nil, Self.demo, "u1", .seconds(400 * 86_400))
    }
}
