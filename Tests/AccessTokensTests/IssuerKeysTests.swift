import AccessTokens
import ClusterRuntime
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
        var iat: Int64 = 1_000

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
        try await AccessTokens(secret, keys: keys) { second * 1_000 }
    }

    /// A new key of an algorithm: what signs, and what a topology would name.
    private func key(
        _ algorithm: TokenKeySpec.Algorithm, kid: String?
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
        return (signer, TokenKeySpec(keyID: kid, algorithm: algorithm, path: path))
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
            scope: .user, domain: Self.domain, user: "u1", issuedAt: 1_000, expiresAt: 2_000)
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
        let (signer, spec) = try await key(.es256, kid: nil)
        let tokens = try await tokens([spec])
        let good = [
            Claims(iss: nil), Claims(sub: nil, scope: "service"), Claims(sub: nil, domain: nil, scope: "admin"),
        ]
        for claims in good { _ = try await tokens.verify(try await signer.sign(claims)) }
        let bad = [
            Claims(scope: "root"), Claims(domain: nil), Claims(sub: nil), Claims(scope: "service"),
            Claims(domain: "no domain"),
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
