public import ClusterRuntime
import Crypto
import JWTKit
public import RegistrarEvents
import Synchronization

/// Issues and checks the cluster's access tokens: JSON web tokens (RFC 7519) signed with HS256.
///
/// The key is derived from the cluster secret, so every node accepts what any other, or the command line, has issued;
/// nothing is stored, and a token cannot be taken back before it expires. A cluster without a secret has no such key
/// and issues none.
///
/// Tokens of other issuers are accepted as well when they were signed with one of the topology's keys, and claim no
/// more than that issuer may give. The key decides on the algorithm, never the token.
public final class AccessTokens: Sendable {
    /// The `iss` claim of every token.
    public static let issuer = "rollcall"
    /// Longest token looked at, in bytes.
    public static let maximumLength = 4_096
    public static let defaultTTL: Duration = .seconds(3_600)
    /// Longest that a token may be valid for.
    public static let maximumTTL: Duration = .seconds(366 * 86_400)

    private struct Others {
        /// The topology's.
        let fixed: IssuerKeys
        /// As in the settings.
        var sets: [KeySet]
        /// All of them.
        var keys: IssuerKeys

        init(fixed: IssuerKeys, sets: [KeySet]) {
            self.fixed = fixed
            self.sets = sets
            keys = fixed.adding(sets)
        }
    }

    /// Nil when there is no secret.
    private let own: IssuerKey?
    private let settings: TokenSettings
    private let others: Mutex<Others>
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - secret: nil when the topology says `secret: none`.
    ///   - settings: other issuers' keys, and roles.
    ///   - now: milliseconds since 1970.
    /// - Throws: when a key's file cannot be read, or holds no key for its algorithm.
    public init(
        _ secret: ClusterSecret?, settings: TokenSettings,
        now: @escaping @Sendable () -> Int64 = { SystemClock.wall() }
    ) async throws(TokenKeyError) {
        self.now = now
        self.settings = settings
        var sets: [KeySet] = []
        for spec in settings.keySets { sets.append(try await KeySet(spec)) }
        others = Mutex(Others(fixed: try await IssuerKeys(settings.keys), sets: sets))
        guard let secret else {
            own = nil
            return
        }
        let keys = await JWTKeyCollection()
            .add(hmac: HMACKey(from: secret.key(for: "access token")), digestAlgorithm: .sha256)
        own = IssuerKey(
            .hs256, IssuerTrust(issuer: Self.issuer, scopes: Set(AccessScope.allCases)), keys)
    }

    /// Without other issuers and roles.
    public convenience init(
        _ secret: ClusterSecret?, now: @escaping @Sendable () -> Int64 = { SystemClock.wall() }
    ) async {
        do throws(TokenKeyError) {
            try await self.init(secret, settings: TokenSettings(), now: now)
        } catch {
            preconditionFailure("no keys, and yet: \(error)")
        }
    }

    /// - Parameter clusterSecret: the secret's bytes (at least 32); empty when there is none.
    public convenience init(clusterSecret: [UInt8]) async {
        await self.init(clusterSecret.isEmpty ? nil : ClusterSecret(clusterSecret))
    }

    /// Whether there is a secret to issue tokens with.
    public var isEnabled: Bool { own != nil }

    // MARK: Key sets

    /// Whether there is a file that `reloadIfChanged` has to look after.
    public var hasKeySets: Bool { !settings.keySets.isEmpty }

    /// What came of a look at the key sets' files.
    public struct KeySetNews: Hashable, Sendable {
        /// Whether keys of any issuer are others now.
        public var isChanged = false
        /// Why files cannot be used, as far as it is news; the keys of those issuers stay as they were.
        public var problems: [TokenKeyError] = []
    }

    /// Reads each key set again whose file has changed, or could not be used at the last look. A file that is gone, or
    /// holds no key at all, takes back the keys of its issuer. Calls must not overlap.
    public func reloadIfChanged() async -> KeySetNews {
        var sets = others.withLock(\.sets)
        var news = KeySetNews()
        for index in sets.indices {
            let former = sets[index].problem
            if await sets[index].reloadIfChanged() { news.isChanged = true }
            if let problem = sets[index].problem, problem != former { news.problems.append(problem) }
        }
        others.withLock { [sets] others in others = Others(fixed: others.fixed, sets: sets) }
        return news
    }

    // MARK: Issuing

    /// Issues a token with everything of a domain.
    ///
    /// - Parameters:
    ///   - scope: when left out, `user` with a user and `service` without.
    ///   - domain: nil only for an admin token, which is then for all domains.
    ///   - user: the account; exactly for the scope `user`.
    ///   - ttl: how long it is valid, from 1 second to `maximumTTL`; whole seconds.
    /// - Throws: `.noSecret`, `.notIssued`.
    public func mint(
        _ scope: AccessScope? = nil, domain: DomainName?, user: String? = nil, ttl: Duration = defaultTTL
    ) async throws(AccessTokenError) -> String {
        try await mint(scope, rights: AccessRights(domain: domain), user: user, ttl: ttl)
    }

    /// Issues a token with these rights.
    public func mint(
        _ scope: AccessScope? = nil, rights: AccessRights, user: String? = nil, ttl: Duration = defaultTTL
    ) async throws(AccessTokenError) -> String {
        guard let own else { throw .noSecret }
        let scope = scope ?? (user == nil ? .service : .user)
        guard rights.domain != nil || scope == .admin else {
            throw .notIssued("a \(scope.rawValue) token without a domain; expected one")
        }
        guard (user != nil) == (scope == .user), user?.isEmpty != true else {
            throw .notIssued("a user belongs to a token for a user, and to no other")
        }
        guard (.seconds(1)...Self.maximumTTL).contains(ttl) else {
            throw .notIssued("a validity of \(ttl); expected 1 second to \(Self.maximumTTL)")
        }
        let issuedAt = now() / 1_000
        let payload = Payload(
            issuer: Self.issuer, scope: scope, rights: rights, user: user, issuedAt: issuedAt,
            expiresAt: issuedAt + ttl.milliseconds / 1_000)
        let token: String
        do {
            token = try await own.sign(payload)
        } catch {
            throw .notIssued("\(error)")
        }
        guard token.utf8.count <= Self.maximumLength else {
            throw .notIssued("it would have more than \(Self.maximumLength) bytes; expected fewer accounts")
        }
        return token
    }

    // MARK: Checking

    /// Checks a token's signature, issuer and time.
    /// - Throws: why it is not accepted.
    public func verify(_ token: String) async throws(AccessTokenError) -> AccessClaims {
        let others = others.withLock(\.keys)
        guard own != nil || !others.isEmpty else { throw .noSecret }
        guard token.utf8.count <= Self.maximumLength else {
            throw .malformed("it has more than \(Self.maximumLength) bytes")
        }
        let (payload, key, isOwn) = try await payload(of: token, others)
        var claims = try payload.claims(trusting: key.trust, roles: settings.roles)
        claims.isOwn = isOwn
        let now = now() / 1_000
        guard now < claims.expiresAt else { throw .expired(at: claims.expiresAt) }
        if let start = payload.nbf?.seconds, now < start { throw .tooEarly(until: start) }
        return claims
    }

    /// What a token says once its signature is found right: its `kid` names another issuer's key; without one it may
    /// be ours, or be signed with the key that has no `kid`.
    private func payload(
        of token: String, _ others: IssuerKeys
    ) async throws(AccessTokenError) -> (Payload, IssuerKey, isOwn: Bool) {
        let header = try Self.header(of: token)
        if let key = header.keyID.flatMap({ others[$0] }) { return (try await key.verify(token, header), key, false) }
        if let own {
            do throws(AccessTokenError) {
                return (try await own.verify(token, header), own, true)
            } catch {
                guard error == .wrongSignature else { throw error }
            }
        }
        guard header.keyID == nil, let unnamed = others.unnamed else { throw .wrongSignature }
        return (try await unnamed.verify(token, header), unnamed, false)
    }

    private static func header(of token: String) throws(AccessTokenError) -> TokenHeader {
        let header: JWTHeader
        do {
            header = try DefaultJWTParser().parse(Array(token.utf8), as: Payload.self).header
        } catch {
            throw AccessTokenError(error)
        }
        guard token.split(separator: ".").prefix(2).allSatisfy(UniqueNames.hold) else {
            throw .malformed("it says something twice")
        }
        return try TokenHeader(header)
    }
}

extension AccessTokenError {
    /// Without the library's own reasons, which quote parts of the token.
    init(_ error: any Error) {
        // What a signature's bytes are not fit for at all, the cryptographic library says in its own words.
        if error is CryptoKitError {
            self = .wrongSignature
            return
        }
        switch (error as? JWTError)?.errorType {
        case .signatureVerificationFailed: self = .wrongSignature
        default: self = .malformed("it has not the form of a JSON web token")
        }
    }
}
