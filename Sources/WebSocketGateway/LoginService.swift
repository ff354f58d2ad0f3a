import AccessTokens
import ClusterRuntime
import FoundationEssentials
import RegistrarEvents
import Synchronization
import WSSubscrActor
import WebSocketFrames

/// Checks logins, gives out sessions, and has connections registered.
final class LoginService: Sendable {
    private let directory: any AccountDirectory
    private let tokens: AccessTokens
    private let registrations: RegistrationActor
    private let node: WSSubscrNode
    private let counters: GatewayCounters
    private let waitingLimit: Int
    private let waiting = Atomic<Int>(0)
    private let nextRegistration = Atomic<UInt64>(1)
    private let throttle: Mutex<AddressThrottle>
    private let sessions: Mutex<SessionTable>

    init(
        directory: any AccountDirectory, tokens: AccessTokens, registrations: RegistrationActor, node: WSSubscrNode,
        counters: GatewayCounters, settings: GatewaySettings
    ) {
        self.directory = directory
        self.tokens = tokens
        self.registrations = registrations
        self.node = node
        self.counters = counters
        waitingLimit = settings.waitingLogins
        throttle = Mutex(
            AddressThrottle(
                maximumFailures: settings.limits.loginFailures, window: settings.periods.loginWindow,
                ban: settings.periods.loginBan, capacity: settings.throttledAddresses))
        sessions = Mutex(SessionTable(capacity: settings.sessions, lifetime: settings.sessionTime))
    }

    // MARK: Bans

    var bans: [AddressBan] { throttle.withLock { $0.listed(at: SystemClock.monotonic()) } }

    func liftBan(_ network: String) -> Bool {
        throttle.withLock { $0.lift(network, at: SystemClock.monotonic()) }
    }

    // MARK: Users

    /// Checks a login, and registers the connection. Slow on purpose for addresses whose logins failed.
    func login(_ attempt: LoginAttempt) async -> LoginResult {
        guard waiting.add(1, ordering: .relaxed).newValue <= waitingLimit else {
            waiting.subtract(1, ordering: .relaxed)
            return .failure(.unavailable("too many logins are waiting; try again"))
        }
        defer { waiting.subtract(1, ordering: .relaxed) }
        do {
            try await slow(attempt.peer)
            let (owner, session) = try await check(attempt)
            return .success(try await register(owner, session: session, attempt))
        } catch {
            return .failure(error)
        }
    }

    /// The end of a login, to be called where its socket lives, which is the socket of a user from now on. The account
    /// may have been removed while the connection was being registered: who closed its websockets did not see this one.
    func confirmed(_ result: LoginResult) -> LoginResult {
        var result = result
        if case .success(let member) = result,
            let problem = problem(with: member.domain, member.account, needsAccount: member.needsAccount)
        {
            close(member)
            result = .failure(problem)
        }
        switch result {
        case .success: counters.loginsAccepted.count()
        case .failure: counters.loginsRefused.count()
        }
        return result
    }

    private func slow(_ peer: Peer) async throws(ReplyError) {
        switch throttle.withLock({ $0.admit(peer.network, at: SystemClock.monotonic()) }) {
        case .check(let delay):
            // Ends early only when the process ends.
            if delay > .zero { try? await Task.sleep(for: delay) }
        case .banned(let rest):
            counters.loginsBanned.count()
            throw .tooMany("too many failed logins; try again in \(rest.components.seconds + 1) s")
        }
    }

    /// - Returns: who it is, and the session that is resumed, if one is.
    private func check(_ attempt: LoginAttempt) async throws(ReplyError) -> (SessionTable.Owner, session: String?) {
        switch attempt.credentials {
        case .password(let login, let password, let domain):
            // An unknown domain takes as long as a wrong password.
            let domain = DomainName(domain)
            let checked = domain ?? Self.nowhere
            let verdict = await directory.verify(checked, AccountID(.user, login), password: password)
            guard verdict != .overloaded else { throw .unavailable("too many logins are waiting; try again") }
            guard verdict == .accepted, let domain, node.serves(domain) else { throw refuse(attempt.peer) }
            return (SessionTable.Owner(domain: domain, account: login, rights: AccessRights(domain: domain)), nil)
        case .session(let id):
            guard let owner = sessions.withLock({ $0.resume(id, at: SystemClock.monotonic()) }) else {
                throw refuse(attempt.peer)
            }
            do throws(ReplyError) {
                try check(owner, attempt.peer)
            } catch {
                leave(id)
                throw error
            }
            return (owner, id)
        case .token(let token):
            guard let claims = try? await tokens.verify(token), claims.scope == .user,  // why not is not told
                let domain = claims.rights.domain, let user = claims.user, node.serves(domain)
            else { throw refuse(attempt.peer) }
            let owner = SessionTable.Owner(
                domain: domain, account: user, rights: claims.rights, expiresAt: claims.expiresAt,
                needsAccount: claims.isOwn)
            try check(owner, attempt.peer)
            return (owner, nil)
        }
    }

    /// Whether a session's or a token's owner may still log in.
    private func check(_ owner: SessionTable.Owner, _ peer: Peer) throws(ReplyError) {
        let isOver = owner.expiresAt.map { SystemClock.now().wall / 1_000 >= $0 } ?? false
        guard !isOver else { throw refuse(peer) }
        guard let problem = problem(with: owner.domain, owner.account, needsAccount: owner.needsAccount) else { return }
        throw problem == .credentials ? refuse(peer) : problem
    }

    /// Why there can be no connection of an account; nil when there can.
    private func problem(with domain: DomainName, _ account: String, needsAccount: Bool) -> ReplyError? {
        guard node.serves(domain) else { return .credentials }
        guard needsAccount else { return nil }
        switch directory.presence(domain, AccountID(.user, account)) {
        case .present: return nil
        case .absent: return .credentials
        case .unavailable: return .unavailable("accounts cannot be read at the moment; try again")
        }
    }

    private static let nowhere: DomainName = {
        guard let name = DomainName("unknown.invalid") else { preconditionFailure("a valid name was refused") }
        return name
    }()

    private func refuse(_ peer: Peer) -> ReplyError {
        throttle.withLock { $0.failed(peer.network, at: SystemClock.monotonic()) }
        return .credentials
    }

    // MARK: Registrations

    private func register(
        _ owner: SessionTable.Owner, session: String?, _ attempt: LoginAttempt
    ) async throws(ReplyError) -> Member {
        let sessionID = session ?? SessionTable.newID()
        let member = Member(
            domain: owner.domain, account: owner.account, sessionID: sessionID,
            connectionID: UUID().uuidString.lowercased(),
            registration: nextRegistration.add(1, ordering: .relaxed).oldValue, rights: owner.rights, expiresAt: nil,
            needsAccount: owner.needsAccount)
        let granted = attempt.capabilities.filter { $0.refusal(owner.rights) == nil }
        let details = UserDetails(
            sessionID: SessionTable.published(sessionID), app: attempt.app, caps: granted.map(\.key),
            peerAddress: attempt.peer.address, peerPort: attempt.peer.port)
        let registration = Registration(account: member.account, contact: member.connectionID, user: details)
        guard let contact = PackedContact(registration), let number = member.registration else {
            session.map(leave)
            throw .badRequest("the account's name is too long to be registered")
        }
        let result = await registrations.open(number, contact, on: member.domain)
        guard case .registered = result else {
            session.map(leave)
            throw ReplyError(result)
        }
        // Not before: one that nobody is told of would take the place of another.
        if session == nil { sessions.withLock { $0.begin(sessionID, owner, at: SystemClock.monotonic()) } }
        return member
    }

    /// A logged-in connection is gone.
    func close(_ member: Member) {
        guard let registration = member.registration else { return }
        registrations.close(registration)
        leave(member.sessionID)
    }

    private func leave(_ session: String) {
        sessions.withLock { $0.leave(session, at: SystemClock.monotonic()) }
    }

    // MARK: Services

    /// Checks a service's token.
    /// - Returns: the connection's rights.
    /// - Throws: `.unauthorized` when the token is not accepted, `.throttled` when the address is banned. Others of the
    ///   address whose tokens are not accepted do not slow it down: nobody guesses tokens.
    func service(_ token: String, from peer: Peer) async throws(HandshakeRefusal) -> Member {
        if let rest = throttle.withLock({ $0.ban(of: peer.network, at: SystemClock.monotonic()) }) {
            counters.loginsBanned.count()
            throw .throttled(rest)
        }
        guard let claims = try? await tokens.verify(token), claims.scope == .service,  // why not is not told
            let domain = claims.rights.domain, isOfUse(claims.rights, of: domain)
        else {
            _ = refuse(peer)
            counters.loginsRefused.count()
            throw .unauthorized
        }
        counters.loginsAccepted.count()
        return Member(
            domain: domain, account: "", sessionID: "", connectionID: UUID().uuidString.lowercased(),
            registration: nil, rights: claims.rights, expiresAt: claims.expiresAt)
    }

    /// Whether any domain that they are for is served here.
    private func isOfUse(_ rights: AccessRights, of domain: DomainName) -> Bool {
        node.serves(domain) || rights.includesSubtree && node.domains.contains { rights.include($0) }
    }
}
