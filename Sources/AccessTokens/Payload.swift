import ClusterRuntime
import JWTKit
import RegistrarEvents

/// The claims as they stand in the token: RFC 7519's (section 4.1), and ours.
struct Payload: JWTPayload {
    var iss: String?
    var sub: String?
    var aud: Audience?
    /// Seconds since 1970.
    var exp: NumericDate
    var nbf: NumericDate?
    var iat: NumericDate?

    var scope: String
    var domain: String?
    /// Whether the domain brings what is beneath it.
    var subtree: Bool?
    /// What is left out of these is not limited; what of them is not known here gives nothing.
    var roles: [String]?
    var classes: [String]?
    var accounts: [String]?
    var capabilities: [String]?

    init(
        issuer: String, scope: AccessScope, rights: AccessRights, user: String?, issuedAt: Int64, expiresAt: Int64
    ) {
        iss = issuer
        sub = user
        exp = NumericDate(expiresAt)
        iat = NumericDate(issuedAt)
        self.scope = scope.rawValue
        domain = rights.domain?.rawValue
        // Said only where it says something, so that most tokens stay short.
        subtree = rights.includesSubtree ? true : nil
        classes = rights.classes == Set(EventClass.allCases) ? nil : rights.classes.map(\.rawValue).sorted()
        accounts = rights.accounts
        capabilities =
            rights.capabilities == Set(AccessCapability.allCases)
            ? nil : rights.capabilities.map(\.rawValue).sorted()
    }

    /// Nothing: what the claims say is checked by the caller, with errors of its own.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    /// - Parameters:
    ///   - trust: how far whoever signed it is believed.
    ///   - roles: what the roles of the topology are good for.
    func claims(
        trusting trust: IssuerTrust, roles known: [String: TokenRole]
    ) throws(AccessTokenError) -> AccessClaims {
        if let expected = trust.issuer, iss != expected { throw .wrongIssuer(iss ?? "not said", expected: expected) }
        if let expected = trust.audience, aud?.names.contains(expected) != true {
            throw .wrongAudience(expected: expected)
        }
        guard let scope = AccessScope(rawValue: scope) else { throw .malformed("its scope is \(scope)") }
        guard trust.scopes.contains(scope) else { throw .beyondIssuer("the scope \(scope.rawValue)") }
        guard (sub != nil) == (scope == .user), sub?.isEmpty != true else {
            throw .malformed("scope \(scope.rawValue) and sub disagree")
        }
        let domain = try domainName(scope)
        if let trusted = trust.domains {
            guard let domain else { throw .beyondIssuer("all domains") }
            guard trusted.contains(where: domain.isWithin) else { throw .beyondIssuer("the domain \(domain)") }
        }
        return AccessClaims(
            scope: scope, rights: try rights(domain, roles: known), user: sub, issuedAt: iat?.seconds,
            expiresAt: exp.seconds)
    }

    private func domainName(_ scope: AccessScope) throws(AccessTokenError) -> DomainName? {
        guard let domain else {
            guard scope == .admin else { throw .malformed("scope \(scope.rawValue) without a domain") }
            return nil
        }
        guard let name = DomainName(domain) else { throw .malformed("its domain is no domain name") }
        return name
    }

    /// What the roles are good for together, and of that what the token's own claims leave.
    private func rights(_ domain: DomainName?, roles known: [String: TokenRole]) throws(AccessTokenError)
        -> AccessRights
    {
        var classes = Set(EventClass.allCases)
        var allowed = Set(AccessCapability.allCases)
        if let roles {
            let own = roles.compactMap { known[$0] }
            guard !own.isEmpty else { throw .malformed("none of its roles is known here") }
            classes = own.reduce(into: []) { $0.formUnion($1.classes) }
            allowed = own.reduce(into: []) { $0.formUnion($1.capabilities) }
        }
        if let claimed = self.classes { classes.formIntersection(claimed.compactMap(EventClass.init(rawValue:))) }
        if let claimed = capabilities {
            allowed.formIntersection(claimed.compactMap(AccessCapability.init(rawValue:)))
        }
        return AccessRights(
            domain: domain, includesSubtree: subtree ?? false, classes: classes, accounts: accounts,
            capabilities: allowed)
    }
}

/// Seconds since 1970. Source: RFC 7519 section 2, which allows fractions; they are cut off.
struct NumericDate: Codable, Sendable, Equatable {
    let seconds: Int64

    init(_ seconds: Int64) { self.seconds = seconds }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let whole = try? container.decode(Int64.self) {  // anything else is a fraction, or no number
            seconds = whole
            return
        }
        guard let whole = Int64(exactly: try container.decode(Double.self).rounded(.down)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a time out of range")
        }
        seconds = whole
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(seconds)
    }
}

/// One name or several. Source: RFC 7519 section 4.1.3.
struct Audience: Codable, Sendable {
    let names: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // A single name, or else it has to be a list.
        names = try (try? [container.decode(String.self)]) ?? container.decode([String].self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(names)
    }
}

/// What of a token's header decides on how it is checked. Source: RFC 7515 section 4.1.
struct TokenHeader {
    let algorithm: String?
    let keyID: String?

    /// - Throws: when it asks for something that is not understood (`crit`, section 4.1.11).
    init(_ header: JWTHeader) throws(AccessTokenError) {
        guard header.fields["crit"] == nil else { throw .malformed("its header has a `crit`, of which none is known") }
        algorithm = header.alg
        keyID = header.kid
    }
}
