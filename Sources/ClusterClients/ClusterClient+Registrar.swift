package import ClusterRuntime
import Foundation
package import NIOCore
import NIOHTTP1
package import RegistrarEvents

/// A contact of the owner's list, as far as the drill looks into it.
package struct ListedContact: Codable, Hashable, Sendable {
    package var kind: String
    package var account: String
    package var contactID: String
    /// Seconds.
    package var expiresIn: Double
    /// Of SIP contacts alone.
    package var contactURI: String?
    /// Of SIP contacts alone: of the request that registered or renewed it last.
    package var cseq: UInt32?

    enum CodingKeys: String, CodingKey {
        case kind, account, cseq
        case contactURI = "contact_uri"
        case contactID = "contact_id"
        case expiresIn = "expires_in"
    }
}

/// What a write was answered.
package enum WriteAnswer: Hashable, Sendable {
    /// Committed; `ttl` is what was granted, `changed` is false when there was nothing to unregister.
    case acknowledged(Position, ttl: Duration?, changed: Bool)
    case refused(String)
    /// It was never sent.
    case unreachable(String)
    case unknown(String)
}

extension ClusterClient {
    /// The path of a domain's contacts, of one account's, or of one contact.
    package static func contactsPath(_ domain: DomainName, _ parts: String...) -> String {
        let allowed = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
        return
            (["/rest/v1/registrar/domains", domain.rawValue, "contacts"]
            + parts.map { part in
                part.addingPercentEncoding(withAllowedCharacters: allowed) ?? part
            }).joined(separator: "/")
    }

    /// The owner's list, asked of the first node that answers.
    /// - Throws: `Failure.unanswered` with what the nodes said, when none has the list.
    package func contacts(
        of domain: DomainName, timeout: Duration = .seconds(20)
    ) async throws(Failure) -> [ListedContact] {
        let body = try await contactsJSON(of: domain, account: nil, timeout: timeout)
        do {
            return try JSONDecoder().decode([ListedContact].self, from: body)
        } catch {
            throw .unanswered("the list of \(domain) cannot be read: \(error)")
        }
    }

    /// How long a list may take from its first byte to its last: that of a million contacts is some 300 MB.
    private static let listTimeout: Duration = .seconds(300)

    /// The owner's list as it came.
    package func contactsJSON(
        of domain: DomainName, account: String?, timeout: Duration = .seconds(20)
    ) async throws(Failure) -> ByteBuffer {
        var path = Self.contactsPath(domain)
        if let account {
            let allowed = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
            path += "?account=" + (account.addingPercentEncoding(withAllowedCharacters: allowed) ?? account)
        }
        var refusals: [String] = []
        for node in topology.nodes {
            do throws(Failure) {
                let answer = try await send(
                    .GET, path, to: node, timeout: timeout, bodyTimeout: Self.listTimeout)
                if answer.isOK { return answer.body }
                refusals.append("\(node.name): HTTP \(answer.status) \(answer.text)")
            } catch {
                refusals.append("\(node.name): \(error)")
            }
        }
        throw .unanswered(refusals.joined(separator: "\n"))
    }

    /// Registers or renews a SIP contact through a node's REST address.
    /// - Parameter cseq: by which events and lists tell this registration of the contact from others.
    package func register(
        _ contact: String, in domain: DomainName, ttl: Duration, cseq: UInt32 = 0, through node: NodeSpec,
        timeout: Duration
    ) async -> WriteAnswer {
        let body: [String: JSONValue] = [
            "kind": "sipuser", "account": .string(contact), "contact_id": .string(contact),
            "ttl": .integer(ttl.components.seconds), "contact_uri": .string("sip:\(contact)@192.0.2.1:5060"),
            "user_agent": "rollcall drill", "transport": "udp", "cseq": .integer(Int64(cseq)),
        ]
        // A dictionary of strings and numbers can always be encoded.
        guard let bytes = try? JSONEncoder().encode(body) else { preconditionFailure("\(body) is not JSON") }
        return await write(.POST, Self.contactsPath(domain), node, ByteBuffer(bytes: bytes), timeout)
    }

    package func unregister(
        _ contact: String, in domain: DomainName, through node: NodeSpec, timeout: Duration
    ) async -> WriteAnswer {
        await write(.DELETE, Self.contactsPath(domain, "sipuser", contact, contact), node, nil, timeout)
    }

    private func write(
        _ method: HTTPMethod, _ path: String, _ node: NodeSpec, _ body: ByteBuffer?, _ timeout: Duration
    ) async -> WriteAnswer {
        do throws(Failure) {
            let answer = try await send(method, path, to: node, body: body, timeout: timeout)
            if answer.isOK { return Self.acknowledgement(answer) }
            let text = "HTTP \(answer.status) \(answer.text)"
            // A server's own failure leaves open how far the write got.
            return answer.status >= 500 ? .unknown(text) : .refused(text)
        } catch {
            switch error {
            case .unreachable(let reason): return .unreachable(reason)
            case .unanswered(let reason): return .unknown(reason)
            }
        }
    }

    private static func acknowledgement(_ answer: Answer) -> WriteAnswer {
        guard let fields = JSONValue.decode(answer.body)?.object else {
            return .unknown("HTTP \(answer.status) without JSON: \(answer.text)")
        }
        let place = fields["position"]?.object ?? fields
        guard let epoch = place["epoch"]?.integer, let seq = place["seq"]?.integer else {
            return .unknown("HTTP \(answer.status) without a position: \(answer.text)")
        }
        return .acknowledged(
            Position(epoch: UInt64(epoch), seq: UInt64(seq)), ttl: fields["ttl"]?.integer.map { .seconds($0) },
            changed: fields["count"]?.integer != 0)
    }
}
