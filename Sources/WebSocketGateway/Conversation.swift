import ClusterRuntime
import NIOCore
import RegistrarEvents
import WSSubscrActor
import WebSocketFrames

/// One client's side of the protocol: what it may ask in which state, and what it is answered.
///
/// Legal transitions: `fresh` -> `loggingIn` -> `member`, or back to `fresh` when the login is refused. A service's
/// connection begins as `member`. While a login is under way nothing else may be given to it.
///
/// It knows the socket's subscriptions by the client's ids and by their numbers, which followers know them by; numbers
/// are not used again.
struct Conversation {
    enum Action {
        case reply([UInt8])
        case login(LoginAttempt)
        /// Begin, change or renew this subscription.
        case subscribe(
            number: UInt32, on: DomainName, matcher: SubscriptionMatcher?, expires: Duration,
            start: SubscribeRequest.Start?)
        case cancel(number: UInt32, on: DomainName)
        case close(CloseCode, String)
    }

    enum State {
        case fresh
        case loggingIn(qid: JSONValue)
        case member(Member)
    }

    /// A subscription as the client's connection knows it.
    struct Entry {
        /// The client's id, encoded.
        let id: [UInt8]
        /// `EventJSON.head` for it.
        let head: [UInt8]
        let domain: DomainName
        /// What was asked for last, and was not refused.
        var matcher = SubscriptionMatcher.everything
        /// What was accepted last.
        var accepted = SubscriptionMatcher.everything
        /// Whether the client wants to be told when everything up to now has been sent.
        var wantsSynced = false
        /// Requests that the follower has not answered, in order.
        var pending: [(qid: JSONValue, expires: Int64, matcher: SubscriptionMatcher?)] = []
    }

    /// A subscription that the client ended before all of its requests were answered.
    struct Leaving {
        var answers: Int
        let until: MonotonicInstant
    }

    /// What clients can ask for.
    enum Method: String, CaseIterable {
        case setup
        case login
        case ping
        case connectionInfo = "connection_info"
        case subscribe
    }

    let peer: Peer
    let site: String
    let maximumSubscriptions: Int
    /// Whether this node has a domain's list.
    let serves: @Sendable (DomainName) -> Bool
    var state: State
    var app = ""
    var capabilities = [Capability.subscribe]
    var entries: [UInt32: Entry] = [:]
    var numbers: [[UInt8]: UInt32] = [:]
    var leaving: [UInt32: Leaving] = [:]
    var nextNumber: UInt32 = 0

    /// - Parameter service: of a service's connection, its rights.
    init(
        peer: Peer, site: String, maximumSubscriptions: Int, serves: @escaping @Sendable (DomainName) -> Bool,
        service: Member?
    ) {
        self.peer = peer
        self.site = site
        self.maximumSubscriptions = maximumSubscriptions
        self.serves = serves
        state = service.map { .member($0) } ?? .fresh
    }

    var member: Member? {
        if case .member(let member) = state { return member }
        return nil
    }

    var isLoggingIn: Bool {
        if case .loggingIn = state { return true }
        return false
    }

    // MARK: Requests

    mutating func received(_ text: ByteBuffer, at now: Moment) -> [Action] {
        precondition(!isLoggingIn, "a request was handled while a login is under way")
        let message: ClientMessage
        do {
            message = try ClientMessage.parse(text)
        } catch {
            return [.reply(ServerMessage.error(error.error)), .close(error.code, error.error.message)]
        }
        do {
            return try handle(message, at: now)
        } catch {
            return [.reply(ServerMessage.error(message.method, message.parameters.qid, error))]
        }
    }

    private mutating func handle(_ message: ClientMessage, at now: Moment) throws(ReplyError) -> [Action] {
        let parameters = message.parameters
        guard parameters.qid.isShort else {
            throw .badRequest("`qid` must have at most \(JSONValue.maximumQID) bytes")
        }
        switch Method(rawValue: message.method) {
        case .setup: return try setup(parameters)
        case .login: return try login(parameters)
        case .ping:
            return [.reply(ServerMessage.ok("ping", parameters.qid) { $0.member("timestamp", now.wall) })]
        case .connectionInfo: return [.reply(connectionInfo(parameters.qid, at: now))]
        case .subscribe: return try subscribe(parameters, at: now)
        case nil: throw .unknown("there is no method `\(message.method)`")
        }
    }

    private static let maximumCapabilities = 32

    private mutating func setup(_ parameters: Parameters) throws(ReplyError) -> [Action] {
        guard case .fresh = state else { throw .conflict("`setup` comes before the login") }
        let app = parameters.has("app") ? try parameters.string("app", maximum: 128) : ""
        if parameters.has("capabilities") {
            capabilities = try parameters.strings("capabilities", maximum: Self.maximumCapabilities)
                .map { Capability(key: $0) }
        }
        self.app = app
        let reply = ServerMessage.ok("setup", parameters.qid) { [capabilities] json in
            json.member("app", app)
            json.capabilities(capabilities, nil)
        }
        return [.reply(reply)]
    }

    private func connectionInfo(_ qid: JSONValue, at now: Moment) -> [UInt8] {
        ServerMessage.ok("connection_info", qid) { json in
            json.member("site", site)
            if let member {
                json.member("ownertype", member.registration == nil ? "service" : "user")
                json.member("domain", member.domain.rawValue)
                if member.registration != nil {
                    json.member("login", member.account)
                    json.member("sessionid", member.sessionID)
                }
                json.member("connectionid", member.connectionID)
            } else {
                json.member("ownertype", "none")
            }
            json.capabilities(capabilities, member?.rights)
            json.member("datetime", Timestamp.text(now.wall))
            json.member("timestamp", now.wall)
        }
    }

    // MARK: Login

    private mutating func login(_ parameters: Parameters) throws(ReplyError) -> [Action] {
        if let member {
            throw member.registration == nil
                ? .forbidden("a service's connection has no login") : .conflict("this connection is logged in")
        }
        let credentials: LoginAttempt.Credentials
        if parameters.has("token") {
            credentials = .token(try parameters.string("token", maximum: 8_192))
        } else if parameters.has("rsessionid") {
            credentials = .session(try parameters.string("rsessionid", maximum: 128))
        } else {
            credentials = .password(
                login: try parameters.string("login"), password: try parameters.string("pwd"),
                domain: try parameters.string("td", maximum: DomainName.maximumLength))
        }
        state = .loggingIn(qid: parameters.qid)
        return [.login(LoginAttempt(credentials: credentials, app: app, capabilities: capabilities, peer: peer))]
    }

    mutating func loginFinished(_ result: LoginResult) -> [Action] {
        guard case .loggingIn(let qid) = state else { preconditionFailure("a login ended that was not under way") }
        switch result {
        case .success(let member):
            state = .member(member)
            let reply = ServerMessage.ok("login", qid) { [capabilities] json in
                json.member("td", member.domain.rawValue)
                json.member("login", member.account)
                json.member("register", "ok")
                json.member("connectionid", member.connectionID)
                json.member("sessionid", member.sessionID)
                json.capabilities(capabilities, member.rights)
            }
            return [.reply(reply)]
        case .failure(let error):
            state = .fresh
            return [.reply(ServerMessage.error("login", qid, error))]
        }
    }
}
