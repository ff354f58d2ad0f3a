import JWTKit
import RegistrarEvents

/// The claims as they stand in the token. `domain` and `scope` are ours, the others RFC 7519's (section 4.1).
struct Payload: JWTPayload {
    var iss: String?
    var sub: String?
    var domain: String?
    var scope: String
    /// Seconds since 1970.
    var exp: Int64
    var iat: Int64

    /// Nothing: what the claims say is checked by the caller, with errors of its own.
    func verify(using algorithm: some JWTAlgorithm) async throws {}

    /// - Parameter issuer: who must have issued it; nil when the key alone says that.
    func claims(of issuer: String?) throws(AccessTokenError) -> AccessClaims {
        guard issuer == nil || iss == issuer else { throw .wrongIssuer(iss ?? "not said") }
        guard let scope = AccessScope(rawValue: scope) else { throw .malformed("its scope is \(scope)") }
        guard (sub != nil) == (scope == .user) else { throw .malformed("scope \(scope.rawValue) and sub disagree") }
        return AccessClaims(
            scope: scope, domain: try domainName(scope), user: sub, issuedAt: iat, expiresAt: exp)
    }

    private func domainName(_ scope: AccessScope) throws(AccessTokenError) -> DomainName? {
        guard let domain else {
            guard scope == .admin else { throw .malformed("scope \(scope.rawValue) without a domain") }
            return nil
        }
        guard let name = DomainName(domain) else { throw .malformed("its domain is no domain name") }
        return name
    }
}
