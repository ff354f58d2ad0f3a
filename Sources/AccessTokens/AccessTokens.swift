public import ClusterRuntime
import Crypto
import JWTKit
public import RegistrarEvents

/// Issues and checks the cluster's access tokens: JSON web tokens (RFC 7519) signed with HS256.
///
/// The key is derived from the cluster secret, so every node accepts what any other, or the command line, has issued;
/// nothing is stored, and a token cannot be taken back before it expires. A cluster without a secret has no such key
/// and issues none.
///
/// Tokens of other issuers are accepted as well when they were signed with one of the keys given, and make the same
/// claims; only their `iss` may be anything. The key decides on the algorithm, never the token.
public struct AccessTokens: Sendable {
    /// The `iss` claim of every token.
    public static let issuer = "rollcall"
    /// Longest token looked at, in bytes.
    public static let maximumLength = 4_096
    public static let defaultTTL: Duration = .seconds(3_600)
    /// Longest that a token may be valid for.
    public static let maximumTTL: Duration = .seconds(366 * 86_400)

    /// Nil when there is no secret.
    private let own: JWTKeyCollection?
    private let others: IssuerKeys
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - secret: nil when the topology says `secret: none`.
    ///   - keys: of other issuers.
    ///   - now: milliseconds since 1970.
    /// - Throws: when a key's file cannot be read, or holds no key for its algorithm.
    public init(
        _ secret: ClusterSecret?, keys: [TokenKeySpec],
        now: @escaping @Sendable () -> Int64 = { SystemClock.wall() }
    ) async throws(TokenKeyError) {
        self.now = now
        others = try await IssuerKeys(keys)
        guard let secret else {
            own = nil
            return
        }
        own = await JWTKeyCollection()
            .add(hmac: HMACKey(from: secret.key(for: "access token")), digestAlgorithm: .sha256)
    }

    /// Without other issuers.
    public init(
        _ secret: ClusterSecret?, now: @escaping @Sendable () -> Int64 = { SystemClock.wall() }
    ) async {
        do throws(TokenKeyError) {
            try await self.init(secret, keys: [], now: now)
        } catch {
            preconditionFailure("no keys, and yet: \(error)")
        }
    }

    /// - Parameter clusterSecret: the secret's bytes (at least 32); empty when there is none.
    public init(clusterSecret: [UInt8]) async {
        await self.init(clusterSecret.isEmpty ? nil : ClusterSecret(clusterSecret))
    }

    /// Whether there is a secret to issue tokens with.
    public var isEnabled: Bool { own != nil }

    /// Issues a token.
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
        guard let own else { throw .noSecret }
        let scope = scope ?? (user == nil ? .service : .user)
        guard domain != nil || scope == .admin else {
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
            iss: Self.issuer, sub: user, domain: domain?.rawValue, scope: scope.rawValue,
            exp: issuedAt + ttl.milliseconds / 1_000, iat: issuedAt)
        do {
            return try await own.sign(payload)
        } catch {
            throw .notIssued("\(error)")
        }
    }

    /// Checks a token's signature, issuer and time.
    /// - Throws: why it is not accepted.
    public func verify(_ token: String) async throws(AccessTokenError) -> AccessClaims {
        guard own != nil || !others.isEmpty else { throw .noSecret }
        guard token.utf8.count <= Self.maximumLength else {
            throw .malformed("it has more than \(Self.maximumLength) bytes")
        }
        let claims = try await claims(token)
        guard now() / 1_000 < claims.expiresAt else { throw .expired(at: claims.expiresAt) }
        return claims
    }

    /// What a token claims once its signature is found right: its `kid` names another issuer's key; without one it may
    /// be ours, or be signed with the key that has no `kid`.
    private func claims(_ token: String) async throws(AccessTokenError) -> AccessClaims {
        let kid = others.isEmpty ? nil : try Self.keyID(of: token)
        if let key = kid.flatMap({ others[$0] }) { return try await Self.verify(token, with: key).claims(of: nil) }
        if let own {
            do throws(AccessTokenError) {
                return try await Self.verify(token, with: own).claims(of: Self.issuer)
            } catch {
                guard error == .wrongSignature else { throw error }
            }
        }
        guard kid == nil, let unnamed = others.unnamed else { throw .wrongSignature }
        return try await Self.verify(token, with: unnamed).claims(of: nil)
    }

    private static func keyID(of token: String) throws(AccessTokenError) -> String? {
        do {
            return try DefaultJWTParser().parse(Array(token.utf8), as: Payload.self).header.kid
        } catch {
            throw AccessTokenError(error)
        }
    }

    private static func verify(_ token: String, with key: JWTKeyCollection) async throws(AccessTokenError) -> Payload {
        do {
            return try await key.verify(token)
        } catch {
            throw AccessTokenError(error)
        }
    }
}

extension AccessTokenError {
    /// Without the library's own reasons, which quote parts of the token.
    fileprivate init(_ error: any Error) {
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
