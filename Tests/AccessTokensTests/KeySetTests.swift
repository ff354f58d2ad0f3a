import AccessTokens
import ClusterRuntime
import Foundation
import JWTKit
import RegistrarEvents
import Testing

/// Keys as issuers publish them, and their change while a node runs.
@Suite final class KeySetTests {
    private let directory: String
    private var path: String { "\(directory)/jwks.json" }

    init() throws {
        directory =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("rollcall-jwks-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    // What stays behind in the temporary directory does no harm.
    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private struct Claims: JWTPayload {
        var domain = "demo.example"
        var scope = "service"
        var exp: Int64 = 2_000

        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    private func write(_ keys: [[String: String]]) throws {
        try JSONSerialization.data(withJSONObject: ["keys": keys]).write(
            to: URL(fileURLWithPath: path), options: .atomic)
    }

    private func tokens(_ trust: IssuerTrust = IssuerTrust()) async throws -> AccessTokens {
        try await AccessTokens(nil, settings: TokenSettings(keySets: [.init(path: path, trust: trust)])) { 1_500_000 }
    }

    private static func jwk(_ key: ES256PrivateKey, kid: String?) throws -> [String: String] {
        let parameters = try #require(key.publicKey.parameters)
        var jwk = ["kty": "EC", "crv": "P-256", "x": url(parameters.x), "y": url(parameters.y)]
        jwk["kid"] = kid
        return jwk
    }

    private static func url(_ base64: String) -> String {
        base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func token(_ key: ES256PrivateKey, kid: String?) async throws -> String {
        let header: JWTHeader = kid.map { ["kid": .string($0)] } ?? [:]
        return try await JWTKeyCollection().add(ecdsa: key).sign(Claims(), header: header)
    }

    @Test func keysOfASetAreFoundByTheirNames() async throws {
        let (first, second, nameless) = (ES256PrivateKey(), ES256PrivateKey(), ES256PrivateKey())
        let edwards = try EdDSA.PrivateKey()
        try write([
            try Self.jwk(first, kid: "1"), try Self.jwk(second, kid: "2"), try Self.jwk(nameless, kid: nil),
            [
                "kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "use": "sig",
                "x": Self.url(edwards.publicKey.rawRepresentation.base64EncodedString()),
            ],
            // Not for signatures, or of a kind that is not known: passed over.
            ["kty": "RSA", "use": "enc", "kid": "enc"], ["kty": "EC", "crv": "P-521", "kid": "big"],
            ["kty": "AKP", "alg": "ML-DSA-44", "kid": "new"], ["kty": "oct", "k": "AAAA", "kid": "secret"],
        ])
        let tokens = try await tokens()
        for (key, kid) in [(first, "1"), (second, "2"), (nameless, nil)] {
            #expect(try await tokens.verify(try await Self.token(key, kid: kid)).scope == .service)
        }
        let edToken = try await JWTKeyCollection().add(eddsa: edwards).sign(Claims(), header: ["kid": "ed"])
        #expect(try await tokens.verify(edToken).rights == AccessRights(domain: DomainName("demo.example")))
        for (key, kid) in [(first, "2"), (first, nil), (first, "none"), (first, "secret")] {
            let token = try await Self.token(key, kid: kid)
            await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(token) }
        }
    }

    @Test func theTrustInASetIsTheTrustInItsKeys() async throws {
        let key = ES256PrivateKey()
        try write([try Self.jwk(key, kid: "1")])
        let tokens = try await tokens(IssuerTrust(domains: [try #require(DomainName("acme.example"))]))
        let token = try await Self.token(key, kid: "1")
        await #expect(throws: AccessTokenError.beyondIssuer("the domain demo.example")) {
            try await tokens.verify(token)
        }
    }

    @Test func aChangedSetIsTakenOverAndABrokenOneIsNot() async throws {
        let (old, new) = (ES256PrivateKey(), ES256PrivateKey())
        try write([try Self.jwk(old, kid: "1")])
        let tokens = try await tokens()
        #expect(tokens.hasKeySets)
        #expect(await tokens.reloadIfChanged().isNothing)
        try write([try Self.jwk(new, kid: "2")])
        #expect(await tokens.reloadIfChanged().isChangeAlone)
        #expect(try await tokens.verify(try await Self.token(new, kid: "2")).scope == .service)
        let gone = try await Self.token(old, kid: "1")
        await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(gone) }

        try "{".write(toFile: path, atomically: true, encoding: .utf8)
        let problems = await tokens.reloadIfChanged().problems
        #expect(
            problems.map(\.description) == ["\(path) is no JWKS; expected {\"keys\": […]} as RFC 7517 has it"])
        // Said once, not at each look.
        #expect(await tokens.reloadIfChanged().isNothing)
        #expect(try await tokens.verify(try await Self.token(new, kid: "2")).scope == .service)
        try write([try Self.jwk(old, kid: "1")])
        #expect(await tokens.reloadIfChanged().isChanged)
        #expect(try await tokens.verify(gone).scope == .service)
    }

    @Test(arguments: [true, false])
    func aFileWithoutKeysAndOneThatIsGoneTakeTheKeysBack(isGone: Bool) async throws {
        let key = ES256PrivateKey()
        try write([try Self.jwk(key, kid: "1")])
        let tokens = try await tokens()
        let token = try await Self.token(key, kid: "1")
        #expect(try await tokens.verify(token).scope == .service)
        if isGone { try FileManager.default.removeItem(atPath: path) } else { try write([]) }
        #expect(await tokens.reloadIfChanged().isChangeAlone)
        await #expect(throws: AccessTokenError.noSecret) { try await tokens.verify(token) }
        #expect(await tokens.reloadIfChanged().isNothing)
        try write([try Self.jwk(key, kid: "1")])
        #expect(await tokens.reloadIfChanged().isChanged)
        #expect(try await tokens.verify(token).scope == .service)
    }

    /// A key that leaked is taken back although another issuer's file cannot be used.
    @Test func aBrokenFileHoldsUpNoOther() async throws {
        let (leaked, fresh) = (ES256PrivateKey(), ES256PrivateKey())
        let broken = "\(directory)/a.json"
        try write([try Self.jwk(leaked, kid: "1")])
        try FileManager.default.copyItem(atPath: path, toPath: broken)
        let trust = IssuerTrust()
        let tokens = try await AccessTokens(
            nil, settings: TokenSettings(keySets: [.init(path: broken, trust: trust), .init(path: path, trust: trust)])
        ) { 1_500_000 }
        try write([try Self.jwk(fresh, kid: "2")])
        try "{".write(toFile: broken, atomically: true, encoding: .utf8)
        let news = await tokens.reloadIfChanged()
        #expect(news.isChanged && news.problems.count == 1)
        #expect(try await tokens.verify(try await Self.token(fresh, kid: "2")).scope == .service)
        // The broken file's own keys stay until it can be used, or is gone.
        #expect(try await tokens.verify(try await Self.token(leaked, kid: "1")).scope == .service)
        try FileManager.default.removeItem(atPath: broken)
        #expect(await tokens.reloadIfChanged().isChanged)
        let token = try await Self.token(leaked, kid: "1")
        await #expect(throws: AccessTokenError.wrongSignature) { try await tokens.verify(token) }
    }

    /// A read that failed for want of something else than the file's contents is tried again: nothing changes the file.
    @Test func aFileThatCouldNotBeReadIsReadAtTheNextLook() async throws {
        let (old, new) = (ES256PrivateKey(), ES256PrivateKey())
        try write([try Self.jwk(old, kid: "1")])
        let tokens = try await tokens()
        // Bytes that are none for a while stand in for a read that fails: afterwards inode, size and time are the same.
        try write([try Self.jwk(new, kid: "2")])
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        var status = stat()
        #expect(stat(path, &status) == 0)
        func put(_ bytes: Data) throws {
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try file.write(contentsOf: bytes)
            try file.close()
            #expect(utimensat(AT_FDCWD, path, [status.st_atim, status.st_mtim], 0) == 0)
        }
        try put(Data(repeating: 0x7b, count: good.count))
        #expect(await tokens.reloadIfChanged().problems.count == 1)
        #expect(await tokens.reloadIfChanged().isNothing)
        try put(good)
        #expect(await tokens.reloadIfChanged().isChangeAlone)
        #expect(try await tokens.verify(try await Self.token(new, kid: "2")).scope == .service)
    }

    @Test func aSetThatCannotBeUsedIsNamed() async throws {
        let good = try Self.jwk(ES256PrivateKey(), kid: "1")
        var privateKey = good
        privateKey["d"] = "AAAA"
        var broken = good
        broken["y"] = good["x"]
        var incomplete = good
        incomplete["x"] = nil
        let short = ["kty": "RSA", "kid": "1", "n": String(repeating: "A", count: 100), "e": "AQAB"]
        let cases: [([[String: String]], wrong: String)] = [
            ([["kty": "oct", "k": "AAAA"]], " holds no key for signatures; expected one for RS256, ES256 or EdDSA"),
            ([privateKey], " (kid 1) holds a private key; expected public keys alone"),
            ([good, good], " (kid 1) holds two keys of that name; expected a kid of its own for each"),
            ([broken], " (kid 1) holds a broken ES256 key; expected a public key on the curve P-256"),
            ([incomplete], " (kid 1) holds a broken ES256 key; expected a public key on the curve P-256"),
            ([short], " (kid 1) holds a broken RS256 key; expected an RSA public key of at least 2048 bits"),
            (Array(repeating: good, count: 65), " holds 65 keys; expected at most 64"),
        ]
        for (keys, wrong) in cases {
            try write(keys)
            let error = await #expect(throws: TokenKeyError.self) { try await tokens() }
            #expect(error?.description == path + wrong)
        }
    }
}

extension AccessTokens.KeySetNews {
    fileprivate var isNothing: Bool { !isChanged && problems.isEmpty }
    fileprivate var isChangeAlone: Bool { isChanged && problems.isEmpty }
}
