import FoundationEssentials
import NIOHTTP1

/// What a client's HTTP request asks for. Source: RFC 6455 section 4.2, RFC 9110 section 15.
enum HandshakeRoute: Equatable {
    /// `/ws`: people and apps, who log in.
    case user
    /// `/ws/token/v1/TOKEN`, or without the token in the path and a bearer header: programs of a domain.
    case service(token: String)
    case refused(HandshakeRefusal)

    static let tokenPath = "/ws/token/v1"

    init(_ head: HTTPRequestHead) {
        let target: HandshakeRoute
        let path = head.uri.prefix { $0 != "?" && $0 != "#" }
        if path == "/ws" {
            target = .user
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
        self = Self.problem(head).map { .refused($0) } ?? target
    }

    private static func bearer(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "Authorization"), value.lowercased().hasPrefix("bearer ") else {
            return nil
        }
        let token = value.dropFirst("bearer ".count).drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }

    /// What keeps the request from being an opening handshake.
    private static func problem(_ head: HTTPRequestHead) -> HandshakeRefusal? {
        guard head.method == .GET else { return .method }
        guard (head.version.major, head.version.minor) >= (1, 1) else { return .bad("a websocket needs HTTP/1.1") }
        let upgrades = head.headers[canonicalForm: "Upgrade"].contains { $0.lowercased() == "websocket" }
        let connects = head.headers[canonicalForm: "Connection"].contains { $0.lowercased() == "upgrade" }
        guard upgrades, connects else { return .upgradeNeeded }
        guard head.headers["Sec-WebSocket-Version"] == ["13"] else { return .version }
        let keys = head.headers["Sec-WebSocket-Key"]
        guard keys.count == 1, let key = Data(base64Encoded: keys[0]), key.count == 16 else {
            return .bad("Sec-WebSocket-Key must be 16 bytes in base64")
        }
        return nil
    }
}

/// How a request that becomes no websocket is answered.
struct HandshakeRefusal: Equatable, Sendable {
    let status: HTTPResponseStatus
    let reason: String
    var headers: [[String]] = []

    static let notFound = HandshakeRefusal(
        status: .notFound, reason: "nothing is here; expected /ws or \(HandshakeRoute.tokenPath)")
    static let unauthorized = HandshakeRefusal(
        status: .unauthorized, reason: "the token is missing or not accepted",
        headers: [["WWW-Authenticate", "Bearer"]])
    static let method = HandshakeRefusal(
        status: .methodNotAllowed, reason: "expected GET", headers: [["Allow", "GET"]])
    static let upgradeNeeded = HandshakeRefusal(
        status: .upgradeRequired, reason: "expected a websocket", headers: [["Upgrade", "websocket"]])
    static let version = HandshakeRefusal(
        status: .upgradeRequired, reason: "expected version 13",
        headers: [["Upgrade", "websocket"], ["Sec-WebSocket-Version", "13"]])
    static func bad(_ reason: String) -> HandshakeRefusal { HandshakeRefusal(status: .badRequest, reason: reason) }
}
