public import RegistrarEvents

/// What a valid token says: who may do what, until when.
public struct AccessClaims: Hashable, Sendable {
    public let scope: AccessScope
    /// The one domain it is for; nil (admin tokens only) for all.
    public let domain: DomainName?
    /// The account of a user's token; nil otherwise.
    public let user: String?
    /// Seconds since 1970.
    public let issuedAt: Int64
    public let expiresAt: Int64

    public init(scope: AccessScope, domain: DomainName?, user: String?, issuedAt: Int64, expiresAt: Int64) {
        self.scope = scope
        self.domain = domain
        self.user = user
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// Whether it is good for one of these scopes and, when one is given, for this domain.
    /// - Throws: `.wrongScope` or `.wrongDomain`.
    public func require(_ scopes: [AccessScope], domain wanted: DomainName?) throws(AccessTokenError) {
        guard scopes.contains(scope) else { throw .wrongScope(scope, expected: scopes) }
        guard let domain else { return }
        guard let wanted else { throw .oneDomainOnly(domain) }
        guard domain == wanted else { throw .wrongDomain(domain, expected: wanted) }
    }
}

/// What a token is for.
public enum AccessScope: String, CaseIterable, Sendable {
    /// One user's `login` at a websocket.
    case user
    /// A program that works for a domain: `/ws/token/v1/`, and the domain's part of the admin address.
    case service
    /// The admin address: everything, of one domain or of all.
    case admin
}
