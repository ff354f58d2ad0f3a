public import ClusterRuntime
public import RegistrarEvents

/// Why a token is not accepted, or cannot be issued. None of the texts repeats the token.
public enum AccessTokenError: Error, Hashable, Sendable {
    /// The topology says `secret: none`, so there is no key that all nodes have and nobody else.
    case noSecret
    /// It is not a token of ours at all: what is wrong with it.
    case malformed(String)
    /// It was signed with another cluster's secret, or changed.
    case wrongSignature
    /// When it expired, in seconds since 1970.
    case expired(at: Int64)
    /// When it begins to be valid, in seconds since 1970.
    case tooEarly(until: Int64)
    case wrongIssuer(String, expected: String)
    /// The `aud` that the topology wants for its key is not in it.
    case wrongAudience(expected: String)
    /// It claims more than its issuer is believed: what.
    case beyondIssuer(String)
    case wrongScope(AccessScope, expected: [AccessScope])
    case wrongDomain(DomainName, expected: DomainName)
    /// A token for one domain was shown where the whole cluster is at stake.
    case oneDomainOnly(DomainName)
    case lacksCapability(AccessCapability)
    /// It cannot be issued so: what is wrong.
    case notIssued(String)
}

extension AccessTokenError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noSecret: "this cluster has no secret (`secret: none`), so it issues and accepts no tokens"
        case .malformed(let wrong): "this is no token: \(wrong); expected one that `rollcall token` printed"
        case .wrongSignature: "the token's signature is wrong: it was changed, or belongs to another cluster"
        case .expired(let instant): "the token expired at \(instant) (seconds since 1970)"
        case .tooEarly(let instant): "the token is not valid before \(instant) (seconds since 1970)"
        case .wrongIssuer(let issuer, let expected): "the token's issuer is \(issuer); expected \(expected)"
        case .wrongAudience(let expected): "the token is not for here: its `aud` does not hold \(expected)"
        case .beyondIssuer(let claim): "the token's issuer may not give \(claim)"
        case .wrongScope(let scope, let expected):
            "the token is for \(scope.rawValue); expected \(expected.map(\.rawValue).joined(separator: " or "))"
        case .wrongDomain(let domain, let expected): "the token is for \(domain); expected \(expected)"
        case .oneDomainOnly(let domain): "the token is for \(domain) alone; expected one for the whole cluster"
        case .lacksCapability(let capability): "the token lacks the capability `\(capability.rawValue)`"
        case .notIssued(let wrong): "no token was issued: \(wrong)"
        }
    }
}
