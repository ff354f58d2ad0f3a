import FoundationEssentials
package import NIOCore
package import NIOHTTP1
import NIOWebSocket

/// What the opening handshake of every websocket needs. Source: RFC 6455 section 4.2.
package enum OpeningHandshake {
    /// What is read of a request: more than any handshake has, and little enough to be looked at on an event loop. A
    /// service's token, of 4 KiB at most, is in one of its headers.
    package static let decoderLimits: NIOHTTPDecoderLimitConfiguration = {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 16 << 10
        limits.maxHeaderListSize = 32 << 10
        limits.maxHeaderFieldCount = 64
        return limits
    }()

    /// What keeps a request from being an opening handshake; nil when nothing does.
    package static func problem(_ head: HTTPRequestHead) -> HandshakeRefusal? {
        guard head.method == .GET else { return .method }
        guard (head.version.major, head.version.minor) >= (1, 1) else { return .bad("a websocket needs HTTP/1.1") }
        guard head.headers["Host"].count == 1 else { return .bad("expected one Host") }
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

    /// The headers of the answer that accepts. NIO's own upgrader checks the key and computes the answer to it.
    package static func response(
        to request: HTTPRequestHead, _ initial: HTTPHeaders, _ channel: any Channel, adding headers: HTTPHeaders = [:]
    ) -> EventLoopFuture<HTTPHeaders> {
        NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(headers) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() }
        ).buildUpgradeResponse(channel: channel, upgradeRequest: request, initialResponseHeaders: initial)
    }
}

/// How a request that becomes no websocket is answered. Source: RFC 9110 section 15.
package struct HandshakeRefusal: Equatable, Error {
    package let status: HTTPResponseStatus
    package let reason: String
    /// Names and values.
    package let headers: [[String]]

    package init(status: HTTPResponseStatus, reason: String, headers: [[String]] = []) {
        self.status = status
        self.reason = reason
        self.headers = headers
    }

    package static let method = HandshakeRefusal(
        status: .methodNotAllowed, reason: "expected GET", headers: [["Allow", "GET"]])
    package static let upgradeNeeded = HandshakeRefusal(
        status: .upgradeRequired, reason: "expected a websocket", headers: [["Upgrade", "websocket"]])
    package static let version = HandshakeRefusal(
        status: .upgradeRequired, reason: "expected version 13",
        headers: [["Upgrade", "websocket"], ["Sec-WebSocket-Version", "13"]])
    package static func bad(_ reason: String) -> HandshakeRefusal {
        HandshakeRefusal(status: .badRequest, reason: reason)
    }
}
