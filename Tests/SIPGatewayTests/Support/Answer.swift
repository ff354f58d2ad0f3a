import SIP
import Testing

@testable import SIPGateway

/// Something that the gateway sent to a device.
struct Answer {
    let bytes: [UInt8]
    let message: SIPMessage

    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        // A phone reads over a stream what is longer than a datagram.
        message = try SIPMessage.parse(bytes, limits: SIPLimits(messageBytes: 1 << 20))
    }

    /// 0 of a request.
    var status: Int { message.status ?? 0 }

    /// What stands behind the status.
    var reason: String {
        let line = String(decoding: bytes.prefix { $0 != 13 }, as: UTF8.self)
        return line.split(separator: " ", maxSplits: 2).last.map(String.init) ?? ""
    }

    subscript(_ header: HeaderName) -> String? { message.first(header)?.string }

    func all(_ header: HeaderName) -> [String] { message.all(header).map(\.string) }

    var toTag: String? {
        get throws { try NameAddress(parsing: #require(message.first(.to))).tag?.string }
    }

    /// The contacts' URIs, sorted.
    var contacts: [String] {
        get throws { try message.all(.contact).map { try NameAddress(parsing: $0).uriText.string }.sorted() }
    }

    /// What is granted, by contact.
    var grants: [String: UInt32] {
        get throws {
            var grants: [String: UInt32] = [:]
            for text in message.all(.contact) {
                let field = try ContactField(parsing: text)
                guard case .address(let address, let expires, _, _, _) = field else { continue }
                grants[address.uriText.string] = expires
            }
            return grants
        }
    }

    /// The nonce of a challenge.
    var nonce: String {
        get throws {
            let challenge = try #require(self[.wwwAuthenticate])
            return String(try #require(challenge.firstMatch(of: #/nonce="([^"]+)"/#)).1)
        }
    }
}
