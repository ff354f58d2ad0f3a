import AccessTokens
import ClusterRuntime
import RegistrarEvents

/// A client that wants to log in.
struct LoginAttempt: Sendable {
    enum Credentials: Sendable {
        case password(login: String, password: String, domain: String)
        case session(String)
        case token(String)
    }
    let credentials: Credentials
    let app: String
    let capabilities: [Capability]
    let peer: Peer
}

/// Where a client's connection comes from.
struct Peer: Sendable, Hashable {
    let address: String
    let port: UInt16
    /// What failed logins are counted by: the address, or of IPv6 its network of 64 bits.
    let network: String
}

/// A logged-in connection.
struct Member: Sendable, Hashable {
    /// Where it belongs: subscriptions are for this domain when they do not say otherwise.
    let domain: DomainName
    let account: String
    let sessionID: String
    let connectionID: String
    /// The number of its registration; nil for a service, which has none.
    let registration: UInt64?
    /// What it may follow.
    let rights: AccessRights
    /// When the right to subscribe ends, in seconds since 1970; nil when it does not.
    let expiresAt: Int64?
    /// Whether its account has to be in the directory.
    var needsAccount = true
}

/// How a login went.
typealias LoginResult = Result<Member, ReplyError>
