/// The extension permessage-deflate as a connection has it. Source: RFC 7692 section 7.
///
/// Neither side keeps context from message to message: the server so that one compressed form serves all connections,
/// the client so that the server holds nothing for a connection.
package struct DeflateTerms: Hashable, Sendable {
    /// How far back the server's matches reach, as a power of two.
    package let windowBits: Int

    /// More than a message of this server's usually has; so few connections ask for less that nearly all share a form.
    package static let defaultWindowBits = 12
    /// zlib cannot do with 8.
    private static let leastWindowBits = 9

    /// Chooses the first offer that can be met.
    /// - Parameter headers: the values of `Sec-WebSocket-Extensions`.
    /// - Returns: nil when there is none.
    /// - Throws: when they do not follow the grammar, for which a server has to refuse (RFC 6455 section 9.1).
    package static func choose(from headers: [String]) throws(HandshakeRefusal) -> DeflateTerms? {
        for header in headers {
            for offer in try ExtensionOffer.list(header) {
                if let terms = DeflateTerms(offer) { return terms }
            }
        }
        return nil
    }

    /// Nil when the offer has to be declined (RFC 7692 section 7.1).
    private init?(_ offer: ExtensionOffer) {
        guard offer.name == "permessage-deflate" else { return nil }
        var windowBits = Self.defaultWindowBits
        var seen: Set<String> = []
        for (name, value) in offer.parameters {
            guard seen.insert(name).inserted else { return nil }
            switch name {
            case "server_no_context_takeover", "client_no_context_takeover":
                guard value == nil else { return nil }
            case "client_max_window_bits":
                guard value == nil || Self.bits(value) != nil else { return nil }
            case "server_max_window_bits":
                guard let asked = Self.bits(value), asked >= Self.leastWindowBits else { return nil }
                windowBits = min(windowBits, asked)
            default: return nil
            }
        }
        self.windowBits = windowBits
    }

    /// 8 to 15, without leading zeros.
    private static func bits(_ value: String?) -> Int? {
        guard let value, let bits = Int(value), (8...15).contains(bits), value == "\(bits)" else { return nil }
        return bits
    }

    /// The answer's `Sec-WebSocket-Extensions`.
    package var answer: String {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            + "server_max_window_bits=\(windowBits)"
    }
}

/// One extension that a client would use. Source: RFC 6455 section 9.1.
struct ExtensionOffer {
    let name: String
    let parameters: [(name: String, value: String?)]

    /// - Throws: when the header is malformed.
    static func list(_ header: String) throws(HandshakeRefusal) -> [ExtensionOffer] {
        var cursor = HeaderCursor(header)
        var offers: [ExtensionOffer] = []
        repeat {
            let name = try cursor.token()
            var parameters: [(String, String?)] = []
            while cursor.skip(";") {
                let parameter = try cursor.token()
                parameters.append((parameter, cursor.skip("=") ? try cursor.tokenOrQuoted() : nil))
            }
            offers.append(ExtensionOffer(name: name, parameters: parameters))
        } while cursor.skip(",")
        guard cursor.isAtEnd else { throw cursor.malformed }
        return offers
    }
}

/// Reads a header of tokens and separators. Source: RFC 9110 section 5.6.
private struct HeaderCursor {
    private var rest: Substring.UTF8View

    init(_ header: String) { rest = Substring(header).utf8 }

    var malformed: HandshakeRefusal { .bad("Sec-WebSocket-Extensions is malformed") }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return rest.isEmpty
        }
    }

    mutating func skip(_ separator: Unicode.Scalar) -> Bool {
        skipSpace()
        guard rest.first == UInt8(ascii: separator) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func token() throws(HandshakeRefusal) -> String {
        skipSpace()
        let token = rest.prefix(while: Token.allows)
        guard !token.isEmpty else { throw malformed }
        rest = rest[token.endIndex...]
        return String(Substring(token))
    }

    /// A value in quotes has to be a token as well.
    mutating func tokenOrQuoted() throws(HandshakeRefusal) -> String {
        guard skip("\"") else { return try token() }
        var value = ""
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            guard let plain = byte == UInt8(ascii: "\\") ? rest.popFirst() : byte, Token.allows(plain) else {
                throw malformed
            }
            value.unicodeScalars.append(Unicode.Scalar(plain))
            guard !rest.isEmpty else { throw malformed }
        }
        guard !value.isEmpty else { throw malformed }
        return value
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == 32 || $0 == 9 } }
}

/// What names in headers are made of. Source: RFC 9110 section 5.6.2.
enum Token {
    static func allows(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
