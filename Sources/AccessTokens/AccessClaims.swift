public import ClusterRuntime
public import RegistrarEvents

/// What a valid token says: who may do what, until when.
public struct AccessClaims: Hashable, Sendable {
    public let scope: AccessScope
    /// Of all domains for admin tokens alone.
    public let rights: AccessRights
    /// The account of a user's token; nil otherwise.
    public let user: String?
    /// Seconds since 1970; nil when it does not say.
    public let issuedAt: Int64?
    /// Seconds since 1970.
    public let expiresAt: Int64
    /// Whether the cluster has issued it itself. Users of other issuers need not be in the directory.
    public var isOwn: Bool

    public init(
        scope: AccessScope, rights: AccessRights, user: String?, issuedAt: Int64?, expiresAt: Int64, isOwn: Bool = true
    ) {
        self.scope = scope
        self.rights = rights
        self.user = user
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.isOwn = isOwn
    }

    /// Whether it is good for one of these scopes and for this domain or, when none is given, for the whole cluster.
    /// - Throws: `.wrongScope`, `.wrongDomain` or `.oneDomainOnly`.
    public func require(_ scopes: [AccessScope], domain wanted: DomainName?) throws(AccessTokenError) {
        guard scopes.contains(scope) else { throw .wrongScope(scope, expected: scopes) }
        guard let domain = rights.domain else { return }
        guard let wanted else { throw .oneDomainOnly(domain) }
        guard rights.include(wanted) else { throw .wrongDomain(domain, expected: wanted) }
    }

    /// Whether it is good for this.
    /// - Throws: `.lacksCapability`.
    public func require(_ capability: AccessCapability) throws(AccessTokenError) {
        guard rights.include(capability) else { throw .lacksCapability(capability) }
    }
}
