package import ClusterRuntime
import Foundation
import NIOCore
package import RegistrarEvents

/// Follows a domain's events at one node, over one websocket, until that ends.
package struct DomainFollower: Sendable {
    package var domain: DomainName
    package var node: NodeSpec
    /// A service token; nil where none can be had, which the server will refuse.
    package var token: String?
    /// Where to go on, when events were seen before.
    package var after: Position?
    /// Whether to begin with the live list, when `after` is not given.
    package var snapshot = false
    /// Whether only net changes are wanted.
    package var changes = false
    package var keepJSON = false

    package init(
        domain: DomainName, node: NodeSpec, token: String?, after: Position? = nil, snapshot: Bool = false,
        changes: Bool = false, keepJSON: Bool = false
    ) {
        self.domain = domain
        self.node = node
        self.token = token
        self.after = after
        self.snapshot = snapshot
        self.changes = changes
        self.keepJSON = keepJSON
    }

    /// How long a subscription lasts; renewed at five sixths.
    static let expires: Int64 = 3_600
    static let renewal: Duration = .seconds(3000)
    static let pingInterval: Duration = .seconds(2)

    /// Hands over each notification, in order.
    /// - Parameter onSynced: called when everything up to this position has been handed over, after a snapshot as well
    ///   as after a position. Before that, what is missing of a snapshot comes after no position.
    /// - Throws: when the connection cannot be made or breaks, or the subscription is refused; `DomainRemoved` when the
    ///   topology has the domain no more. Returns when the server closes the connection.
    package func run(
        onSynced: (Position?) -> Void = { _ in }, _ take: (RegistrarNotification) async throws -> Void
    ) async throws {
        let endpoint = WebSocketClient.Endpoint(node, path: "/ws/token/v1/\(token ?? "")")
        try await WebSocketClient().withConnection(to: endpoint) { connection in
            try await connection.send("subscribe", subscription)
            try await connection.whileAlive(pinging: Self.pingInterval) {
                var messages = connection.messages.makeAsyncIterator()
                var renewAt = SystemClock.monotonic() + Self.renewal
                while let message = try await messages.next() {
                    if let notification = try RegistrarNotification.read(message, keepingJSON: keepJSON) {
                        try await take(notification)
                    } else if let reply = try checkReply(message), reply.method == "synced" {
                        onSynced(Self.position(in: reply.fields))
                    }
                    if SystemClock.monotonic() >= renewAt {
                        renewAt += Self.renewal
                        try await connection.send(
                            "subscribe", ["qid": "renew", "id": "follow", "expires": .integer(Self.expires)])
                    }
                }
            }
            if connection.farewell == DomainRemoved.farewell { throw DomainRemoved() }
        }
    }

    /// The topology has the domain no more: everything of it was told.
    package struct DomainRemoved: Error {
        /// What `wssubscr` nodes close connections with then.
        static let farewell = "the domain was removed"
    }

    private var subscription: [String: JSONValue] {
        var extra: [String: JSONValue] = ["synced": true]
        if let after {
            extra["after"] = .object(["epoch": .integer(Int64(after.epoch)), "seq": .integer(Int64(after.seq))])
        } else if snapshot {
            extra["snapshot"] = true
        }
        if changes { extra["changes"] = true }
        return [
            "qid": "follow", "id": "follow", "expires": .integer(Self.expires), "events": ["registrarevents.*"],
            "exargs": .object(extra),
        ]
    }

    private static func position(in fields: [String: JSONValue]) -> Position? {
        guard case .integer(let epoch) = fields["epoch"], case .integer(let seq) = fields["seq"], epoch >= 0, seq >= 0
        else { return nil }
        return Position(epoch: UInt64(epoch), seq: UInt64(seq))
    }

    /// - Throws: `RequestRefused` when it is a refusal.
    private func checkReply(_ message: ByteBuffer) throws -> (method: String, fields: [String: JSONValue])? {
        guard let (method, fields) = JSONValue.message(message) else { return nil }
        if method.hasSuffix("_result"), fields["result"] != .string("ok") {
            throw RequestRefused(method: method, reply: fields)
        }
        return (method, fields)
    }
}
