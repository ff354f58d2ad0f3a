import Crypto
import Foundation

/// A Digest challenge, and the answer to it for MD5 (RFC 7616 section 3.4, RFC 2617 section 3.2.2).
struct SIPChallenge: Hashable, Sendable {
    var realm: String
    var nonce: String
    var opaque: String?
    var offersAuth: Bool

    /// Reads the value of a `WWW-Authenticate`.
    /// - Returns: nil for another scheme or another algorithm than MD5.
    init?(_ value: String) {
        guard value.lowercased().hasPrefix("digest ") else { return nil }
        let parameters = Self.parameters(value.dropFirst(7))
        guard let realm = parameters["realm"], let nonce = parameters["nonce"],
            (parameters["algorithm"] ?? "MD5").uppercased() == "MD5"
        else { return nil }
        self.realm = realm
        self.nonce = nonce
        opaque = parameters["opaque"]
        offersAuth = (parameters["qop"] ?? "").split(separator: ",").contains {
            $0.trimmingCharacters(in: .whitespaces).lowercased() == "auth"
        }
    }

    /// The value of an `Authorization` for a REGISTER to this URI.
    /// - Parameter count: how often the nonce has been used, this time included.
    func authorization(account: String, password: String, uri: String, count: UInt32, cnonce: String) -> String {
        let nonceCount = String(UInt64(count) + 0x1_0000_0000, radix: 16).dropFirst()
        let secret = Self.md5("\(account):\(realm):\(password)")
        let subject = Self.md5("REGISTER:\(uri)")
        let response =
            offersAuth
            ? Self.md5("\(secret):\(nonce):\(nonceCount):\(cnonce):auth:\(subject)")
            : Self.md5("\(secret):\(nonce):\(subject)")
        var value =
            "Digest username=\"\(account)\", realm=\"\(realm)\", nonce=\"\(nonce)\", uri=\"\(uri)\", "
            + "response=\"\(response)\", algorithm=MD5"
        if offersAuth { value += ", qop=auth, nc=\(nonceCount), cnonce=\"\(cnonce)\"" }
        if let opaque { value += ", opaque=\"\(opaque)\"" }
        return value
    }

    private static func md5(_ text: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let bytes = Insecure.MD5.hash(data: Data(text.utf8)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `name=value` and `name="value"`, separated by commas, which quoted values may hold too.
    private static func parameters(_ text: Substring) -> [String: String] {
        var result: [String: String] = [:]
        var rest = text
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals].trimmingCharacters(in: CharacterSet(charactersIn: " ,\t")).lowercased()
            rest = rest[rest.index(after: equals)...]
            let isQuoted = rest.first == "\""
            if isQuoted { rest = rest.dropFirst() }
            let value = rest.prefix { $0 != (isQuoted ? "\"" : ",") }
            rest = rest[value.endIndex...].dropFirst()
            result[name] = isQuoted ? String(value) : value.trimmingCharacters(in: .whitespaces)
        }
        return result
    }
}
