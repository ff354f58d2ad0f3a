import Digests
import RegistrarEvents
import Testing

@testable import ClusterRuntime

@Suite struct DirectoryPasswordTests {
    @Test func scryptAgreesWithTheStandardsVector() throws {
        // RFC 7914 section 12, third vector (N = 16384, r = 8, p = 1), its first 32 bytes.
        let digest = try #require(
            Hex.decode(
                Array(
                    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2".utf8)))
        let cost = PasswordHash.Cost(rounds: 16384, blockSize: 8, parallelism: 1)
        let hash = PasswordHash(cost: cost, salt: Array("SodiumChloride".utf8), digest: digest)
        #expect(hash.matches("pleaseletmein"))
        #expect(!hash.matches("pleaseletmeout"))
    }

    @Test func digestHashesAgreeWithTheStandardsExample() {
        // The A1 of RFC 2617 section 3.5, hashed by another implementation.
        let hashes = DigestHashes(name: "Mufasa", realm: "testrealm@host.com", password: "Circle Of Life")
        #expect(hashes.hash(.md5)?.description == "939e7578ed9e3c518a452acee763bce9")
        // The same of RFC 8760's algorithms, by OpenSSL.
        #expect(
            hashes.hash(.sha256)?.description == "3ba6cd94661c5ef34598040c868f13b8775df29109986be50ad35ae537dd3aa4")
        #expect(
            hashes.hash(.sha512_256)?.description == "4f89a1c293dd533bc27546c1da0608df9efcaa6bd1c350edca70a01c8a823360")
    }

    @Test func hashesWithoutTheNewestAlgorithmStillCheckAPassword() throws {
        let whole = DigestHashes(name: "2001", realm: "demo.example", password: "right")
        let old = try #require(DigestHashes(Array(whole.bytes.prefix(48))))
        #expect(old.hash(.sha512_256) == nil)
        #expect(old.hash(.md5) == whole.hash(.md5) && old.hash(.sha256) == whole.hash(.sha256))
        for hashes in [whole, old] {
            #expect(hashes.matches(name: "2001", realm: "demo.example", password: "right"))
            #expect(!hashes.matches(name: "2001", realm: "demo.example", password: "wrong"))
            #expect(!hashes.matches(name: "2002", realm: "demo.example", password: "right"))
        }
        #expect(DigestHashes([]) == nil && DigestHashes(Array(whole.bytes.dropLast())) == nil)
    }

    @Test func hashesSurviveBeingWritten() {
        let hash = PasswordHash(of: "secret", cost: .trivial)
        #expect(PasswordHash(hash.description) == hash)
        #expect(hash.matches("secret"))
        #expect(PasswordHash(of: "secret", cost: .trivial).salt != hash.salt)
    }

    @Test(arguments: [
        "", "secret", "scrypt$16$1$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAA",
        "scrypt$17$1$1$AAAAAAAAAAAAAAAAAAAAAA==$",
        "scrypt$1073741824$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$16384$1024$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$-16$1$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "bcrypt$16$1$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ])
    func hashesThatCannotBeCheckedOrWouldEatTheMachineAreRefused(_ text: String) {
        #expect(PasswordHash(text) == nil)
    }

    @Test func clientsComingBackTogetherShareOneCheck() async {
        var limits = Limits()
        limits.pendingLogins = 1
        let verifier = PasswordVerifier(limits: limits)
        let hash = PasswordHash(of: "secret", cost: .standard)
        let verdicts = await withTaskGroup(of: PasswordVerdict.self) { group in
            for _ in 0..<2000 { group.addTask { await verifier.verify("secret", against: hash) } }
            return await group.reduce(into: Set()) { $0.insert($1) }
        }
        // With room for one check, any second one would have been turned away.
        #expect(verdicts == [.accepted])
    }

    @Test func checksOverTheLimitAreTurnedAwayAtOnce() async {
        var limits = Limits()
        limits.pendingLogins = 1
        let verifier = PasswordVerifier(limits: limits)
        let hash = PasswordHash(of: "secret", cost: .init(rounds: 32768, blockSize: 8, parallelism: 1))
        let verdicts = await withTaskGroup(of: PasswordVerdict.self) { group in
            for number in 0..<32 { group.addTask { await verifier.verify("wrong \(number)", against: hash) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(verdicts.count == 32)
        #expect(verdicts.contains(.refused))
        #expect(verdicts.contains(.overloaded))
        #expect(!verdicts.contains(.accepted))
    }

    @Test func theOldestProvenPasswordIsForgottenFirst() async {
        var limits = Limits()
        limits.provenPasswords = 2
        let verifier = PasswordVerifier(limits: limits)
        let hashes = (0..<5).map { PasswordHash(of: "p\($0)", cost: .trivial) }
        for _ in 0..<3 {
            for (number, hash) in hashes.enumerated() {
                #expect(await verifier.verify("p\(number)", against: hash) == .accepted)
                #expect(await verifier.verify("p", against: hash) == .refused)
            }
        }
        verifier.forget()
        #expect(await verifier.verify("p0", against: hashes[0]) == .accepted)
    }

    @Test func aDecoyIsStableAndMatchesNothing() {
        let verifier = PasswordVerifier(limits: Limits())
        let decoy = verifier.decoy(for: "user/x@demo.example", cost: .trivial)
        #expect(decoy == verifier.decoy(for: "user/x@demo.example", cost: .trivial))
        #expect(decoy != verifier.decoy(for: "user/y@demo.example", cost: .trivial))
        #expect(!decoy.matches(""))
        #expect(decoy.salt.count == PasswordHash.saltLength)
    }
}
