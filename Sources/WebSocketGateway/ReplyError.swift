import ClusterRuntime
import WSSubscrActor

/// Why a request was not done. The codes are our own, after HTTP's; `docs/websocket.md` has the table.
struct ReplyError: Error, Sendable, Hashable {
    enum Code: Int, CaseIterable, Sendable {
        case badRequest = 400
        case credentials = 401
        case forbidden = 403
        case unknown = 404
        case conflict = 409
        case ended = 410
        case notSupported = 422
        case tooMany = 429
        case unavailable = 503
    }

    let code: Code
    let message: String

    /// A parameter is missing or not what was expected.
    static func badRequest(_ message: String) -> Self { Self(code: .badRequest, message: message) }
    /// Login, password, session or token is not right; which of them is not told.
    static let credentials = Self(code: .credentials, message: "login, password, domain, session or token is not right")
    /// The request needs a login.
    static let loginNeeded = Self(code: .forbidden, message: "log in first")
    static func forbidden(_ message: String) -> Self { Self(code: .forbidden, message: message) }
    static func unknown(_ message: String) -> Self { Self(code: .unknown, message: message) }
    /// The request does not fit the connection's state.
    static func conflict(_ message: String) -> Self { Self(code: .conflict, message: message) }
    /// It was ended before it began.
    static let ended = Self(code: .ended, message: "the subscription was ended by `expires: 0` before it began")
    static func notSupported(_ message: String) -> Self { Self(code: .notSupported, message: message) }
    /// Too many, or too often.
    static func tooMany(_ message: String) -> Self { Self(code: .tooMany, message: message) }
    /// Try again later.
    static func unavailable(_ message: String) -> Self { Self(code: .unavailable, message: message) }

    private init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    init(_ refusal: SubscribeRefusal) {
        switch refusal {
        case .unavailable: self = .unavailable("the domain's list has not reached this node yet; try again")
        case .overloaded: self = .unavailable("too many subscriptions are waiting; try again")
        case .tooManyFilters(let limit):
            self = .tooMany("\(limit) filters are in use for the domain, which is all that there may be")
        case .unknown: self = .unknown("there is no such subscription any more; subscribe with `events`")
        }
    }

    /// Why the connection could not be registered.
    init(_ result: Reply.Result) {
        guard case .refused(let refusal) = result else {
            self = .unavailable("the registrar gave an unexpected answer")
            return
        }
        switch refusal {
        case .notOwner, .unavailable, .overloaded:
            self = .unavailable("the connection could not be registered in time; try again")
        case .intervalTooBrief(let minimum):
            self = .unavailable("the domain wants registrations of at least \(minimum) ms")
        case .tooManyDevices(let limit):
            self = .tooMany("the account has \(limit) connections, as many as it may")
        case .domainFull(let limit):
            self = .tooMany("the domain has \(limit) registrations, as many as it may")
        case .outOfOrder: self = .unavailable("the registrar gave an unexpected answer")
        }
    }
}
