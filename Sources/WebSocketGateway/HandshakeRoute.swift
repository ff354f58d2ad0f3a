import NIOHTTP1
import WebSocketFrames

/// What a client's HTTP request asks for. Source: RFC 6455 section 4.2, RFC 9110 section 15.
enum HandshakeRoute: Equatable {
    /// `/ws`: people and apps, who log in.
    case user
    /// `/ws/token/v1/TOKEN`, or without the token in the path and a bearer header: programs of a domain.
    case service(token: String)
    /// `/ws/echo`: who tries out the protocol. Only where it was asked for.
    case echo
    case refused(HandshakeRefusal)

    static let tokenPath = "/ws/token/v1"

    init(_ head: HTTPRequestHead, _ rules: HandshakeRules) {
        let target: HandshakeRoute
        let path = head.uri.prefix { $0 != "?" && $0 != "#" }
        if path == "/ws" {
            target = .user
        } else if path == "/ws/echo", rules.hasEcho {
            target = .echo
        } else if path == Self.tokenPath || path.hasPrefix(Self.tokenPath + "/") {
            let inPath = String(path.dropFirst(Self.tokenPath.count + 1))
            guard let token = inPath.isEmpty ? Self.bearer(head.headers) : inPath else {
                self = .refused(.unauthorized)
                return
            }
            target = .service(token: token)
        } else {
            self = .refused(.notFound)
            return
        }
        let problem = OpeningHandshake.problem(head) ?? (rules.allows(head.headers["Origin"]) ? nil : .foreign)
        self = problem.map { .refused($0) } ?? target
    }

    /// Nil when the request is a handshake.
    var refusal: HandshakeRefusal? {
        switch self {
        case .user, .service, .echo: nil
        case .refused(let refusal): refusal
        }
    }

    private static func bearer(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "Authorization"), value.lowercased().hasPrefix("bearer ") else {
            return nil
        }
        let token = value.dropFirst("bearer ".count).drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }
}

extension HandshakeRefusal {
    static let notFound = HandshakeRefusal(
        status: .notFound, reason: "nothing is here; expected /ws or \(HandshakeRoute.tokenPath)")
    static let foreign = HandshakeRefusal(status: .forbidden, reason: "pages of this origin may not connect")
    static let drained = HandshakeRefusal(
        status: .serviceUnavailable, reason: "this node is going down; try another", headers: [["Retry-After", "1"]])
    static let unauthorized = HandshakeRefusal(
        status: .unauthorized, reason: "the token is missing or not accepted",
        headers: [["WWW-Authenticate", "Bearer"]])

    /// - Parameter rest: of the address's ban.
    static func throttled(_ rest: Duration) -> HandshakeRefusal {
        HandshakeRefusal(
            status: .tooManyRequests, reason: "too many failed logins of this address; try again later",
            headers: [["Retry-After", "\(rest.components.seconds + 1)"]])
    }
}
