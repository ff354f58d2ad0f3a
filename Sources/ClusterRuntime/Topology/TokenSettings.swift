public import RegistrarEvents

/// Which tokens of other issuers are accepted, and what the roles that tokens name are good for. The cluster's own
/// tokens need no key here: theirs comes from the secret.
public struct TokenSettings: Hashable, Sendable {
    public var keys: [TokenKeySpec] = []
    public var keySets: [TokenKeySetSpec] = []
    /// By name.
    public var roles: [String: TokenRole] = [:]

    public init(keys: [TokenKeySpec] = [], keySets: [TokenKeySetSpec] = [], roles: [String: TokenRole] = [:]) {
        self.keys = keys
        self.keySets = keySets
        self.roles = roles
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

/// What can be done with a domain, each of which a token may be without.
public enum AccessCapability: String, CaseIterable, Sendable {
    /// Subscriptions at a websocket.
    case subscribe = "subscr"
    /// Reading over REST.
    case read
    /// Registering and deleting over REST.
    case write
}

/// A key that tokens of other issuers are signed with.
public struct TokenKeySpec: Hashable, Sendable {
    /// The signature algorithms of RFC 7518 section 3.1 and RFC 8037 that are accepted.
    public enum Algorithm: String, CaseIterable, Sendable {
        case hs256 = "HS256"
        case es256 = "ES256"
        case edDSA = "EdDSA"
        case rs256 = "RS256"
    }

    /// The `kid` of the tokens it is for; nil for tokens without one.
    public let keyID: String?
    public let algorithm: Algorithm
    /// For HS256 a file whose bytes are the secret, for the others the public key in PEM.
    public let path: String
    public let trust: IssuerTrust

    public init(keyID: String?, algorithm: Algorithm, path: String, trust: IssuerTrust = IssuerTrust()) {
        self.keyID = keyID
        self.algorithm = algorithm
        self.path = path
        self.trust = trust
    }
}

/// A file of keys as issuers publish them (JWKS, RFC 7517 section 5), read again when it has changed.
public struct TokenKeySetSpec: Hashable, Sendable {
    public let path: String
    public let trust: IssuerTrust

    public init(path: String, trust: IssuerTrust = IssuerTrust()) {
        self.path = path
        self.trust = trust
    }
}

/// How far an issuer is believed: a token that claims more is refused as a whole.
public struct IssuerTrust: Hashable, Sendable {
    /// What `iss` must be; nil for anything.
    public var issuer: String?
    /// What `aud` must hold; nil for anything.
    public var audience: String?
    /// The domains that its tokens may be for, each with what is beneath it; nil for all.
    public var domains: [DomainName]?
    public var scopes: Set<AccessScope>

    /// Whoever can make admin tokens has the whole cluster, so that has to be said.
    public static let defaultScopes: Set<AccessScope> = [.user, .service]

    public init(
        issuer: String? = nil, audience: String? = nil, domains: [DomainName]? = nil,
        scopes: Set<AccessScope> = defaultScopes
    ) {
        self.issuer = issuer
        self.audience = audience
        self.domains = domains
        self.scopes = scopes
    }
}

/// What a role that tokens name is good for.
public struct TokenRole: Hashable, Sendable {
    public let classes: Set<EventClass>
    public let capabilities: Set<AccessCapability>

    public init(classes: Set<EventClass>, capabilities: Set<AccessCapability>) {
        self.classes = classes
        self.capabilities = capabilities
    }
}
