import Foundation
import SIP
import Testing

/// The messages of RFC 4475 and RFC 5118, byte for byte, named as the RFCs name them, and nine of RFC 3261 section 24.
///
/// Different from the RFCs: `ipv6-in-sdp` has the Content-Length of its body, which the RFC gives wrongly, and the
/// requests of section 24 whose bodies the RFC does not show have no Content-Length.
enum Vectors {
    static let names: [String] = {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Vectors")
        let files = FileManager.default.enumerator(atPath: directory.path)?.compactMap { $0 as? String } ?? []
        return files.filter { $0.hasSuffix(".sip") }.map { String($0.dropLast(4)) }.sorted()
    }()

    static func bytes(_ name: String) throws -> [UInt8] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Vectors/\(name).sip")
        return [UInt8](try Data(contentsOf: file))
    }

    static func message(_ name: String) throws -> SIPMessage { try SIPMessage.parse(try bytes(name)) }
}

/// Reads everything that a message has by every reader there is, as a registrar does and more; errors are counted.
struct ReadEverything {
    private(set) var errors = 0

    mutating func read(_ message: SIPMessage) {
        attempt { _ in _ = try message.essentials() }
        for header in HeaderName.allCases {
            _ = message.first(header)
            for text in message.all(header) { read(header, text) }
        }
        attempt { _ in _ = try message.accept() }
        for header in [HeaderName.require, .proxyRequire, .supported, .unsupported] {
            attempt { _ in _ = try OptionTags(message, header).others(than: ["path", "gruu"]) }
        }
        if let uri = message.requestURI { readURI(uri) }
        _ = message.headers.map { $0.name.string + $0.value.string }
    }

    private mutating func read(_ header: HeaderName, _ text: SIPText) {
        switch header {
        case .via: attempt { _ in _ = try Via(parsing: text).parameters.all.count }
        case .from, .to, .route, .recordRoute, .path, .serviceRoute, .referTo:
            attempt { $0.read(try NameAddress(parsing: text)) }
        case .contact:
            attempt { reader in
                if case .address(let address, _, _, _, _) = try ContactField(parsing: text) { reader.read(address) }
            }
        case .cseq: attempt { _ in _ = try CSeq(parsing: text) }
        case .maxForwards: attempt { _ in _ = try MaxForwards(parsing: text) }
        case .expires, .minExpires: _ = Expires(parsing: text).seconds
        case .authorization, .proxyAuthorization:
            attempt { _ in _ = try DigestAuthorization(parsing: text)?.account }
        case .event: attempt { _ in _ = try EventHeader(parsing: text).id }
        default: _ = text.unquoted.percentDecoded.number
        }
    }

    private mutating func read(_ address: NameAddress) {
        _ = address.displayName?.string
        _ = address.parameters.all.map(\.name.string)
        _ = address.tag
        readURI(address.uriText)
    }

    private mutating func readURI(_ text: SIPText) {
        attempt { _ in
            let uri = try SIPURI(parsing: text)
            let again = try SIPURI(parsing: SIPText(uri.canonical))
            #expect(again.canonical == uri.canonical, "the canonical text of \(text) is not canonical")
            #expect(uri.isEquivalent(to: uri))
            _ = (uri.decodedUser, uri.parameters.count, uri.headers.count, uri.transport, uri.gruu)
        }
    }

    /// - Parameter body: is given the reader itself, to go on with what it read.
    private mutating func attempt(_ body: (inout Self) throws -> Void) {
        do { try body(&self) } catch { errors += 1 }
    }
}
