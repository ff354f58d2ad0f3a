import ClusterRuntime
import Crypto
import Digests
import RegistrarEvents
import SIP
import Synchronization

/// Checks who a request is from by digest, and makes the challenges.
///
/// Source: RFC 3261 section 22, RFC 7616, RFC 8760; RFC 2617 section 3.2.2.1 for clients without `qop`.
final class Authenticator: Sendable {
    enum Verdict: Sendable {
        /// - login: the name in the credentials, which is the account's.
        case accepted(login: String)
        /// Who it is has to be proven, or proven anew.
        case challenge(stale: Bool)
        /// The proof is wrong.
        case wrong(login: String)
        /// The accounts cannot be read at the moment, so it is neither right nor wrong.
        case unavailable
        /// Not looked at, so soon after a wrong one.
        case tooSoon
        case malformed(String)
    }

    private let directory: any AccountDirectory
    /// Of this process alone, so a nonce is good where its counts are kept.
    private let key = SymmetricKey(size: .bits256)
    private let nextNumber = Atomic<UInt64>(UInt64.random(in: 0...UInt64.max >> 1))
    private let book = Mutex(NonceBook(capacity: 262_144))

    /// How long a nonce may be used. Own decision.
    static let lifetime = Duration.seconds(600)

    init(directory: any AccountDirectory) { self.directory = directory }

    /// - Parameters:
    ///   - network: of the sender. A nonce is good where it was sent to.
    ///   - mayGuess: whether credentials for an account are looked at now.
    func check(
        _ message: SIPMessage, method: StaticString, domain spec: DomainSpec, network: String, at now: Moment,
        mayGuess: (String) -> Bool
    ) -> Verdict {
        let domain = spec.name
        let found: DigestAuthorization?
        do throws(SIPParseError) {
            found = try credentials(message, realm: domain.rawValue)
        } catch {
            return .malformed(error.reason)
        }
        guard let found, let algorithm = DigestAlgorithm(found.algorithm), spec.digest.contains(algorithm)
        else { return .challenge(stale: false) }
        guard let nonce = Nonce(found.nonce.bytes, key: key, domain: domain.rawValue, network: network) else {
            return .challenge(stale: true)
        }
        // Which address the digest is of does not matter: a proxy may have changed the request's (RFC 3261 section
        // 22.4), and clients hash where they send to instead (sipp). A nonce is ours and good for each count but once.
        guard let login = found.account else { return .malformed("a username that is not UTF-8") }
        if let qop = found.qop, !qop.matches("auth") { return .challenge(stale: false) }
        guard found.qop == nil || (found.nc != nil && found.cnonce != nil) else {
            return .malformed("qop without nc and cnonce")
        }
        // No account has such a name: there is nothing to guess, and so nothing to remember.
        guard login.utf8.count <= NewAccount.maximumNameLength else { return .challenge(stale: false) }
        guard mayGuess(login) else { return .tooSoon }
        let lookup = directory.digest(domain, login, algorithm)
        if case .unavailable = lookup { return .unavailable }
        let expected = response(found, algorithm, lookup.secret(algorithm), method)
        let isRight = found.response.withUnsafeBytes { expected.matches($0) }
        guard isRight, lookup.isFound else { return .wrong(login: login) }
        // Only who knows the password learns that the nonce is old.
        let age = now.wall - nonce.made
        guard age >= 0, age <= Self.lifetime.milliseconds else { return .challenge(stale: true) }
        let isFresh = book.withLock { $0.use(nonce, count: found.nc ?? 1) }
        return isFresh ? .accepted(login: login) : .challenge(stale: true)
    }

    /// The values of the WWW-Authenticate headers: one an algorithm, all with the same nonce.
    /// The first that a client knows is the one it takes.
    func challenges(domain spec: DomainSpec, network: String, stale: Bool, at now: Moment) -> [String] {
        let nonce = Nonce(made: now.wall, number: nextNumber.add(1, ordering: .relaxed).oldValue)
            .text(key: key, domain: spec.name.rawValue, network: network)
        return spec.digest.map { algorithm in
            "Digest realm=\"\(spec.name)\", nonce=\"\(nonce)\", algorithm=\(algorithm.name), qop=\"auth\""
                + (stale ? ", stale=true" : "")
        }
    }

    /// The credentials for this realm; others are for proxies on the way.
    private func credentials(_ message: SIPMessage, realm: String) throws(SIPParseError) -> DigestAuthorization? {
        for text in message.all(.authorization) {
            guard let found = try DigestAuthorization(parsing: text) else { continue }
            if found.realm.string.lowercased() == realm { return found }
        }
        return nil
    }

    private func response(
        _ found: DigestAuthorization, _ algorithm: DigestAlgorithm, _ secret: HexDigest, _ method: StaticString
    ) -> HexDigest {
        let colon = UInt8(ascii: ":")
        let second = algorithm.hex { input in
            input.append(UnsafeRawBufferPointer(start: method.utf8Start, count: method.utf8CodeUnitCount))
            input.append(colon)
            found.uri.withUnsafeBytes { input.append($0) }
        }
        return algorithm.hex { input in
            input.append(secret)
            input.append(colon)
            found.nonce.withUnsafeBytes { input.append($0) }
            input.append(colon)
            if let qop = found.qop, let count = found.nonceCount, let cnonce = found.cnonce {
                for text in [count, cnonce, qop] {
                    text.withUnsafeBytes { input.append($0) }
                    input.append(colon)
                }
            }
            input.append(second)
        }
    }
}

extension DigestAlgorithm {
    /// Nil for those that are not offered.
    fileprivate init?(_ algorithm: DigestAuthorization.Algorithm) {
        switch algorithm {
        case .md5: self = .md5
        case .sha256: self = .sha256
        case .sha512_256: self = .sha512_256
        case .md5Session, .sha256Session, .sha512_256Session, .other: return nil
        }
    }
}
