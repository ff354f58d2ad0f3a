import Foundation
import RegistrarEvents
import Testing

extension Client {
    static func parse(_ tail: [UInt8]) throws -> Notification {
        let bytes = EventJSON.head(id: Array("1".utf8)) + tail
        let message = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [Any])
        let fields = try #require(message.last as? [String: Any])
        let event = try #require(fields["event"] as? [String: Any])
        let data = try #require(event["data"] as? [String: Any])
        let user = (data["user_id"] as? String).map { "user/\($0)/\(data["connection_id"] as? String ?? "")" }
        let sip = (data["sipuser_id"] as? String).map { "sipuser/\($0)/\(data["contact_id"] as? String ?? "")" }
        let lasting = data.filter { !["ttl", "reason", "call_id", "cseq"].contains($0.key) }
        return Notification(
            position: Position(
                epoch: try #require(fields["epoch"] as? UInt64), seq: try #require(fields["seq"] as? UInt64)),
            type: try #require(event["type"] as? String), contact: user ?? sip ?? "",
            reason: data["reason"] as? String ?? "", isReplay: fields["replay"] as? Bool ?? false,
            data: String(
                decoding: try JSONSerialization.data(withJSONObject: lasting, options: .sortedKeys), as: UTF8.self))
    }
}
