import AccessTokens
import ClusterRuntime
import HTTPTypes
import Hummingbird
import NIOCore
import RegistrarEvents

/// Who asks, as far as it matters for what they may do.
enum Caller: Sendable {
    /// Somebody on this machine, where the topology trusts them (`admin.open`).
    case trusted
    case token(AccessClaims)

    /// Throws 403 unless they may act on the domain or, when none is given, on the whole cluster.
    func require(_ domain: DomainName?) throws(AdminError) {
        guard case .token(let claims) = self else { return }
        do throws(AccessTokenError) {
            try claims.require([.service, .admin], domain: domain)
        } catch {
            throw AdminError(.forbidden, error.description)
        }
    }

    /// Throws 403 unless they may do this.
    func require(_ capability: AccessCapability) throws(AdminError) {
        guard case .token(let claims) = self else { return }
        do throws(AccessTokenError) {
            try claims.require(capability)
        } catch {
            throw AdminError(.forbidden, error.description)
        }
    }

    /// Throws 403 unless they may change the cluster itself, which services that work for domains may not.
    func requireWholeCluster() throws(AdminError) {
        guard case .token(let claims) = self else { return }
        do throws(AccessTokenError) {
            try claims.require([.admin], domain: nil)
        } catch {
            throw AdminError(.forbidden, error.description)
        }
    }

    /// Throws 403 unless they may see what events of this class tell.
    func require(_ eventClass: EventClass) throws(AdminError) {
        guard rights?.include(eventClass) ?? true else {
            throw AdminError(.forbidden, "the token is not for \(eventClass.rawValue)")
        }
    }

    /// Throws 403 unless they may see the account or, when none is given, every account of their domain.
    func require(account: String?) throws(AdminError) {
        guard let rights, rights.accounts != nil else { return }
        guard let account else { throw AdminError(.forbidden, "the token is for single accounts alone") }
        guard rights.include(account: account) else {
            throw AdminError(.forbidden, "the token is not for that account")
        }
    }

    /// The domain that they belong to, for requests that name none; nil for nobody's.
    var onlyDomain: DomainName? { rights?.domain }

    func sees(_ domain: DomainName) -> Bool { rights?.include(domain) ?? true }

    func sees(account: String) -> Bool { rights?.include(account: account) ?? true }

    /// The accounts that they may see; nil for all.
    var accounts: [String]? { rights?.accounts }

    /// Nil: everything.
    private var rights: AccessRights? {
        guard case .token(let claims) = self else { return nil }
        return claims.rights
    }
}

/// Decides who asks.
struct AdminAccess: Sendable {
    let tokens: AccessTokens
    let isOpen: Bool

    /// Throws 401 when the caller has to show a token and shows none that is accepted, 403 when it is for something
    /// else than this address or what the request's method does.
    func caller(of request: Request, _ context: AdminContext) async throws(AdminError) -> Caller {
        let caller = try await identify(request, context)
        try caller.require(Self.isReading(request) ? .read : .write)
        return caller
    }

    private static func isReading(_ request: Request) -> Bool { request.method == .get || request.method == .head }

    private func identify(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Caller {
        if let header = request.headers[.authorization] {
            return .token(try await claims(header))
        }
        guard isOpen else { throw .unauthorized("no token; expected Authorization: Bearer TOKEN") }
        guard context.isFromLoopback else {
            throw .unauthorized("no token; only requests from this machine need none")
        }
        guard Self.isOfThisSite(request) else {
            throw .unauthorized("no token; requests that pages of other sites make need one")
        }
        return .trusted
    }

    private func claims(_ header: String) async throws(AdminError) -> AccessClaims {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw .unauthorized("the Authorization header is not of the form Bearer TOKEN")
        }
        let claims: AccessClaims
        do throws(AccessTokenError) {
            claims = try await tokens.verify(String(parts[1]))
        } catch {
            throw .unauthorized(error.description)
        }
        guard claims.scope != .user else {
            throw AdminError(.forbidden, "the token is for a user's login; expected one for service or admin")
        }
        return claims
    }

    /// Keeps pages from elsewhere from using the trust in this machine through a browser that runs on it: neither a
    /// form or script of theirs (its Origin is theirs), nor a name of theirs that they let point here (DNS rebinding).
    private static func isOfThisSite(_ request: Request) -> Bool {
        guard let authority = request.head.authority, isThisMachine(authority) else { return false }
        guard let origin = request.headers[.origin] else { return true }
        return origin == "http://\(authority)" || origin == "https://\(authority)"
    }

    private static func isThisMachine(_ authority: String) -> Bool {
        var host = Substring(authority)
        if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") { host = host[..<colon] }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        // The error says only that it is a name and no address.
        return host == "localhost" || (try? SocketAddress(ipAddress: String(host), port: 0)) != nil
    }
}

extension HTTPField.Name {
    static let origin = HTTPField.Name("Origin")!
}
