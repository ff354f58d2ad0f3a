/// The credentials of a request by the Digest scheme: one Authorization or Proxy-Authorization header.
///
/// Sources: RFC 7616 section 3.4, RFC 2617 section 3.2.2 for those without `qop`, RFC 8760 for SIP. A request may have
/// several, one a realm; which of them counts the realm tells.
public struct DigestAuthorization: Sendable {
    public enum Algorithm: Hashable, Sendable {
        case md5, md5Session
        case sha256, sha256Session
        case sha512_256, sha512_256Session
        case other(String)
    }

    public let realm: SIPText
    public let nonce: SIPText
    /// The URI as the client hashed it.
    public let uri: SIPText
    public let response: SIPText
    /// Without escapes. Empty when the client sent `username*`.
    public let username: SIPText
    /// `username*` as it was written: `UTF-8''J%C3%A4s%C3%B8n`.
    public let extendedUsername: SIPText?
    /// MD5 when the client names none.
    public let algorithm: Algorithm
    public let cnonce: SIPText?
    public let opaque: SIPText?
    /// As it was written, since it is hashed so.
    public let qop: SIPText?
    /// The nonce count as it was written, since it is hashed so.
    public let nonceCount: SIPText?
    /// The nonce count.
    public let nc: UInt32?
    /// Whether the username is a hash of it (RFC 7616 section 3.4.4).
    public let userhash: Bool

    /// - Returns: nil when the scheme is another than Digest.
    /// - Throws: when it is Digest but malformed, lacks a field that the scheme needs, or has one twice.
    public init?(parsing text: SIPText) throws(SIPParseError) {
        var cursor = Cursor(text)
        cursor.skipBlanks()
        let scheme = try cursor.token("an authorization scheme")
        guard text.storage.matches(scheme, "Digest") else { return nil }
        guard let blank = cursor.next, Ascii.isBlank(blank) else { throw cursor.failure("a space after the scheme") }
        var fields = DigestFields()
        try fields.read(&cursor)

        func needed(_ part: Part, _ name: String) throws(SIPParseError) -> SIPText {
            guard !part.isAbsent else { throw cursor.failure(name) }
            return SIPText(text.storage, part).unquoted
        }
        func optional(_ part: Part) -> SIPText? { part.isAbsent ? nil : SIPText(text.storage, part).unquoted }

        realm = try needed(fields.realm, "a realm")
        nonce = try needed(fields.nonce, "a nonce")
        uri = try needed(fields.uri, "a uri")
        response = try needed(fields.response, "a response")
        extendedUsername = optional(fields.extendedUsername)
        username =
            extendedUsername == nil
            ? try needed(fields.username, "a username") : SIPText(text.storage, Part(0, 0))
        algorithm = optional(fields.algorithm).map(Algorithm.init) ?? .md5
        cnonce = optional(fields.cnonce)
        opaque = optional(fields.opaque)
        qop = optional(fields.qop)
        nonceCount = optional(fields.nonceCount)
        nc = try nonceCount.map { text throws(SIPParseError) in try Self.count(text) }
        userhash = optional(fields.userhash)?.matches("true") ?? false
    }

    /// The username with escapes and `username*` resolved; nil when that is in another charset than UTF-8.
    public var account: String? {
        guard let extendedUsername else { return username.string }
        let prefix: StaticString = "UTF-8'"
        let part = extendedUsername.part
        guard part.count > 6, extendedUsername.storage.matches(Part(part.lower, part.lower + 6), prefix) else {
            return nil
        }
        // A language may stand between the two apostrophes (RFC 5987 section 3.2).
        guard let second = extendedUsername.bytes.dropFirst(6).firstIndex(of: UInt8(ascii: "'")) else { return nil }
        return SIPText(extendedUsername.storage, Part(second + 1, part.upper)).percentDecoded.string
    }

    /// Eight hexadecimal digits (RFC 7616 section 3.4); fewer are taken.
    private static func count(_ text: SIPText) throws(SIPParseError) -> UInt32 {
        var count: UInt32 = 0
        for byte in text.bytes {
            guard let digit = Ascii.hexadecimal(byte), text.count <= 8 else {
                throw Cursor(text).failure("a nonce count of 8 hexadecimal digits", at: text.part)
            }
            count = count << 4 | UInt32(digit)
        }
        guard !text.isEmpty else { throw Cursor(text).failure("a nonce count", at: text.part) }
        return count
    }
}

extension DigestAuthorization.Algorithm {
    init(_ text: SIPText) {
        if text.matches("MD5") {
            self = .md5
        } else if text.matches("SHA-256") {
            self = .sha256
        } else if text.matches("SHA-512-256") {
            self = .sha512_256
        } else if text.matches("MD5-sess") {
            self = .md5Session
        } else if text.matches("SHA-256-sess") {
            self = .sha256Session
        } else if text.matches("SHA-512-256-sess") {
            self = .sha512_256Session
        } else {
            self = .other(text.string)
        }
    }
}
