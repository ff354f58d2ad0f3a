public import ClusterRuntime
import NIOHTTP1
import WebSocketFrames

/// Which handshakes a gateway takes, beyond what the protocol asks.
public struct HandshakeRules: Sendable {
    /// The pages that may connect; nil when all may.
    public var origins: [OriginPattern]?
    public var deflates = true
    /// Whether `/ws/echo` is there.
    public var hasEcho = false

    public init() {}

    /// - Parameter claims: the values of `Origin`. Who is no browser has none, and could have any.
    func allows(_ claims: [String]) -> Bool {
        guard let origins, let claim = claims.first else { return true }
        return claims.count == 1 && origins.contains { $0.matches(claim) }
    }
}

/// What a handshake has agreed on.
struct HandshakeTerms {
    var service: Member?
    var isEcho = false
    let subprotocol: String?
    let deflate: DeflateTerms?

    /// The name of what `docs/websocket.md` describes.
    static let subprotocol = "rollcall.v1"

    init() {
        subprotocol = nil
        deflate = nil
    }

    /// - Throws: when a header is malformed. What is only unknown is not agreed on, and the client decides.
    init(_ headers: HTTPHeaders, _ rules: HandshakeRules) throws(HandshakeRefusal) {
        subprotocol = try Subprotocols.offered(headers).first { $0 == Self.subprotocol }
        let deflate = try DeflateTerms.choose(from: headers["Sec-WebSocket-Extensions"])
        self.deflate = rules.deflates ? deflate : nil
    }

    /// What the answer says of it.
    var headers: HTTPHeaders {
        var headers = HTTPHeaders()
        if let subprotocol { headers.add(name: Subprotocols.header, value: subprotocol) }
        if let deflate { headers.add(name: "Sec-WebSocket-Extensions", value: deflate.answer) }
        return headers
    }
}
