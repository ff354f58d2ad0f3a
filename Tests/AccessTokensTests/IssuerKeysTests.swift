import AccessTokens
import ClusterRuntime
import Crypto
import Foundation
import JWTKit
import RegistrarEvents
import Testing

/// Tokens that others issue, accepted by the keys of the topology.
@Suite final class IssuerKeysTests {
    private static let domain = DomainName("demo.example")!
    private static let secret = ClusterSecret([UInt8](repeating: 7, count: 32))
    private static let sharedSecret = String(repeating: "s", count: 32)

    private let directory: String

    init() throws {
        directory =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("rollcall-keys-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    // What stays behind in the temporary directory does no harm.
    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// Another issuer's claims.
    private struct Claims: JWTPayload {
        var iss: String? = "https://sso.example"
        var sub: String? = "u1"
        var domain: String? = "demo.example"
        var scope = "user"
        var exp: Int64 = 2_000
        var iat: Int64? = 1_000
        var nbf: Double?
        var aud: [String]?
        var subtree: Bool?
        var roles: [String]?
        var classes: [String]?
        var accounts: [String]?
        var capabilities: [String]?

        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    private func file(_ name: String, _ text: String) throws -> String {
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func tokens(
        _ keys: [TokenKeySpec], secret: ClusterSecret? = secret, at second: Int64 = 1_500
    ) async throws -> AccessTokens {
        try await tokens(TokenSettings(keys: keys), secret: secret, at: second)
    }

    private func tokens(
        _ settings: TokenSettings, secret: ClusterSecret? = secret, at second: Int64 = 1_500
    ) async throws -> AccessTokens {
        try await AccessTokens(secret, settings: settings) { second * 1_000 }
    }

    /// A new key of an algorithm: what signs, and what a topology would name.
    private func key(
        _ algorithm: TokenKeySpec.Algorithm, kid: String?, trust: IssuerTrust = IssuerTrust()
    ) async throws -> (signer: JWTKeyCollection, spec: TokenKeySpec) {
        let signer = JWTKeyCollection()
        let text: String
        switch algorithm {
        case .hs256:
            text = Self.sharedSecret
            await signer.add(hmac: HMACKey(from: text), digestAlgorithm: .sha256)
        case .es256:
            let key = ES256PrivateKey()
            text = key.publicKey.pemRepresentation
            await signer.add(ecdsa: key)
        case .edDSA:
            let key = try EdDSA.PrivateKey()
            text = key.publicKey.pemRepresentation
            await signer.add(eddsa: key)
        case .rs256:
            let key = try Insecure.RSA.PrivateKey(pem: try Self.openssl("genrsa", "2048"))
            text = key.publicKey.pemRepresentation
            await signer.add(rsa: key, digestAlgorithm: .sha256)
        }
        let path = try file("\(algorithm.rawValue)-\(kid ?? "none")", text)
        return (signer, TokenKeySpec(keyID: kid, algorithm: algorithm, path: path, trust: trust))
    }

    private static func openssl(_ arguments: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    @Test(arguments: TokenKeySpec.Algorithm.allCases, ["web", nil])
    func aTokenOfAnotherIssuerIsAccepted(algorithm: TokenKeySpec.Algorithm, kid: String?) async throws {
        let (signer, spec) = try await key(algorithm, kid: kid)
        let header: JWTHeader = kid.map { ["kid": .string($0)] } ?? [:]
        let token = try await signer.sign(Claims(), header: header)
        let expected = AccessClaims(
            scope: .user, rights: AccessRights(domain: Self.domain), user: "u1", issuedAt: 1_000, expiresAt: 2_000,
            isOwn: false)
        #expect(try await tokens([spec]).verify(token) == expected)
        #expect(try await tokens([spec], secret: nil).verify(token) == expected)

        // Neither another key under that name, nor no key at all, nor a time past its end.
        let stranger = try await key(algorithm == .es256 ? .edDSA : .es256, kid: kid).spec
        for wrong in [[stranger], []] {
            let others = try await tokens(wrong)
            await #expect(throws: AccessTokenError.wrongSignature) { try await others.verify(token) }
        }
        let later = try await tokens([spec], at: 2_000)
        await #expect(throws: AccessTokenError.expired(at: 2_000)) { try await later.verify(token) }
    }

    @Test func ownTokensAreAcceptedBesideThem() async throws {
        let specs = [try await key(.es256, kid: "web").spec, try await key(.hs256, kid: nil).spec]
        let tokens = try await tokens(specs)
        let token = try await tokens.mint(domain: Self.domain)
        #expect(try await tokens.verify(token).scope == .service)
    }

    @Test func aKeyIsGoodForItsNameAlone() async throws {
        let (signer, spec) = try await key(.es256, kid: "web")
        let tokens = try await tokens([spec])
        for header: JWTHeader in [[:], ["kid": "other"]] {
            let token = try await signer.sign(Claims(), header: header)
            await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(token) }
        }
    }

    /// The public key is public: with it as an HS256 secret anybody could sign.
    @Test func thePublicKeyIsNoSecret() async throws {
        for algorithm in [TokenKeySpec.Algorithm.es256, .edDSA, .rs256] {
            let spec = try await key(algorithm, kid: "web").spec
            let forger = JWTKeyCollection()
            let text = try String(contentsOfFile: spec.path, encoding: .utf8)
            await forger.add(hmac: HMACKey(from: text), digestAlgorithm: .sha256)
            let token = try await forger.sign(Claims(), header: ["kid": "web"])
            let tokens = try await tokens([spec])
            await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(token) }
        }
    }

    @Test func theClaimsAreThoseOfOwnTokens() async throws {
        let (signer, spec) = try await key(.es256, kid: nil, trust: IssuerTrust(scopes: [.user, .service, .admin]))
        let tokens = try await tokens([spec])
        let good = [
            Claims(iss: nil), Claims(sub: nil, scope: "service"), Claims(sub: nil, domain: nil, scope: "admin"),
            Claims(iat: nil), Claims(nbf: 1_499.5),
        ]
        for claims in good { _ = try await tokens.verify(try await signer.sign(claims)) }
        let bad = [
            Claims(scope: "root"), Claims(domain: nil), Claims(sub: nil), Claims(scope: "service"),
            Claims(domain: "no domain"), Claims(sub: ""), Claims(roles: ["nobody"]),
        ]
        for claims in bad {
            let token = try await signer.sign(claims)
            await #expect {
                try await tokens.verify(token)
            } throws: { error in
                guard case .malformed = error as? AccessTokenError else { return false }
                return true
            }
        }
    }

    @Test func anIssuerGivesNoMoreThanItIsBelieved() async throws {
        let trust = IssuerTrust(
            issuer: "https://sso.example", audience: "rollcall", domains: [Self.domain], scopes: [.service])
        let (signer, spec) = try await key(.es256, kid: nil, trust: trust)
        let tokens = try await tokens([spec])
        func verify(_ claims: Claims) async throws -> AccessClaims {
            try await tokens.verify(try await signer.sign(claims))
        }
        let good = Claims(sub: nil, scope: "service", aud: ["other", "rollcall"])
        #expect(try await verify(good).rights == AccessRights(domain: Self.domain))
        var below = good
        below.domain = "a.demo.example"
        #expect(try await verify(below).rights.domain?.rawValue == "a.demo.example")

        func expect(_ error: AccessTokenError, _ change: (inout Claims) -> Void) async throws {
            var claims = good
            change(&claims)
            let token = try await signer.sign(claims)
            await #expect(throws: error) { try await tokens.verify(token) }
        }
        try await expect(.wrongIssuer("https://evil.example", expected: "https://sso.example")) {
            $0.iss = "https://evil.example"
        }
        try await expect(.wrongIssuer("not said", expected: "https://sso.example")) { $0.iss = nil }
        try await expect(.wrongAudience(expected: "rollcall")) { $0.aud = ["other"] }
        try await expect(.wrongAudience(expected: "rollcall")) { $0.aud = nil }
        try await expect(.beyondIssuer("the domain acme.example")) { $0.domain = "acme.example" }
        try await expect(.beyondIssuer("the domain example")) { $0.domain = "example" }
        try await expect(.beyondIssuer("the scope admin")) { $0.scope = "admin" }
        try await expect(.beyondIssuer("the scope user")) { ($0.scope, $0.sub) = ("user", "u1") }
        try await expect(.tooEarly(until: 1_501)) { $0.nbf = 1_501 }
    }

    @Test func onlyTheNamedMayMakeAdmins() async throws {
        let (signer, spec) = try await key(.es256, kid: nil)
        let tokens = try await tokens([spec])
        let token = try await signer.sign(Claims(sub: nil, domain: nil, scope: "admin"))
        await #expect(throws: AccessTokenError.beyondIssuer("the scope admin")) { try await tokens.verify(token) }
    }

    @Test func aCriticalHeaderIsNotOverlooked() async throws {
        let (signer, spec) = try await key(.es256, kid: nil)
        let tokens = try await tokens([spec])
        let token = try await signer.sign(Claims(), header: ["crit": ["b64"], "b64": false])
        await #expect {
            try await tokens.verify(token)
        } throws: { error in
            guard case .malformed = error as? AccessTokenError else { return false }
            return true
        }
    }

    /// Which of two equal claims counts would be the decoder's choice.
    @Test func whatIsSaidTwiceIsRefused() async throws {
        let spec = try await key(.hs256, kid: nil).spec
        let tokens = try await tokens([spec])
        func token(_ header: String, _ claims: String) -> String {
            func encoded(_ bytes: some Sequence<UInt8>) -> String {
                Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
                    .replacing("=", with: "")
            }
            let data = "\(encoded(header.utf8)).\(encoded(claims.utf8))"
            let code = HMAC<SHA256>.authenticationCode(
                for: Data(data.utf8), using: SymmetricKey(data: Data(Self.sharedSecret.utf8)))
            return "\(data).\(encoded(code))"
        }
        let header = #"{"alg":"HS256"}"#
        let claims = #"{"scope":"service","domain":"demo.example","exp":2000,"x":["domain",{"domain":"\"domain"}]}"#
        #expect(try await tokens.verify(token(header, claims)).scope == .service)
        let twice = [
            (header, claims.replacing(#""exp""#, with: #""domain":"demo.example","exp""#)),
            (header, claims.replacing(#""exp""#, with: #""dom\u0061in":"acme.example","exp""#)),
            (header, claims.replacing(#""exp""#, with: #""scope" : "service", "exp""#)),
            (#"{"alg":"HS256","typ":"JWT","alg":"HS256"}"#, claims),
        ]
        for (header, claims) in twice {
            await #expect(throws: AccessTokenError.malformed("it says something twice")) {
                try await tokens.verify(token(header, claims))
            }
        }
    }

    @Test func claimsNarrowWhatRolesAreGoodFor() async throws {
        let (signer, spec) = try await key(.es256, kid: nil)
        let roles = [
            "viewer": TokenRole(classes: [.registrarEvents], capabilities: [.subscribe, .read]),
            "status": TokenRole(classes: [.modelEvents], capabilities: [.read]),
        ]
        let tokens = try await tokens(TokenSettings(keys: [spec], roles: roles))
        func rights(_ claims: Claims) async throws -> AccessRights {
            try await tokens.verify(try await signer.sign(claims)).rights
        }
        #expect(try await rights(Claims()) == AccessRights(domain: Self.domain))
        #expect(
            try await rights(Claims(subtree: true, roles: ["status", "somewhere-else"]))
                == AccessRights(
                    domain: Self.domain, includesSubtree: true, classes: [.modelEvents], capabilities: [.read]))
        #expect(
            try await rights(Claims(roles: ["viewer", "status"], accounts: ["u1"]))
                == AccessRights(domain: Self.domain, accounts: ["u1"], capabilities: [.subscribe, .read]))
        #expect(
            try await rights(Claims(roles: ["viewer"], classes: ["registrarevents", "modelevents", "news"]))
                == AccessRights(
                    domain: Self.domain, classes: [.registrarEvents], capabilities: [.subscribe, .read]))
        // What is not known gives nothing.
        #expect(try await rights(Claims(classes: ["news"], capabilities: [])).classes.isEmpty)
    }

    @Test func aKeyThatCannotBeUsedIsNamed() async throws {
        let short = try file("short", "too short")
        let text = try file("text", "no key at all")
        let large = try file("large", String(repeating: "x", count: 100_000))
        let own = try file("private", ES256PrivateKey().pemRepresentation)
        let edPath = try await key(.edDSA, kid: nil).spec.path
        let cases: [(TokenKeySpec.Algorithm, String, wrong: String)] = [
            (.hs256, short, "holds 9 bytes; expected a secret of at least 32"),
            (.hs256, large, "is too large; expected at most 65536 bytes"),
            (.es256, "\(directory)/missing", "cannot be read; expected a readable file"),
            (.es256, directory, "cannot be read; expected a readable file"),
            (.es256, text, "holds no key for ES256; expected a public key on the curve P-256 in PEM"),
            (.es256, edPath, "holds no key for ES256; expected a public key on the curve P-256 in PEM"),
            (.edDSA, text, "holds no key for EdDSA; expected an Ed25519 public key in PEM"),
            (.rs256, text, "holds no key for RS256; expected an RSA public key of at least 2048 bits in PEM"),
            (.es256, own, "holds a private key; expected the public key alone"),
        ]
        for (algorithm, path, wrong) in cases {
            let error = await #expect(throws: TokenKeyError.self) {
                try await tokens([TokenKeySpec(keyID: "web", algorithm: algorithm, path: path)])
            }
            #expect(error?.description == "\(path) (kid web) \(wrong)")
        }
    }
}
