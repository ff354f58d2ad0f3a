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

    private let text: SIPText
    private let fields: DigestFields
    /// The nonce count.
    public let nc: UInt32?

    public var realm: SIPText { field(fields.realm) }
    public var nonce: SIPText { field(fields.nonce) }
    /// The URI as the client hashed it.
    public var uri: SIPText { field(fields.uri) }
    public var response: SIPText { field(fields.response) }
    /// Without escapes. Empty when the client sent `username*`.
    public var username: SIPText { field(fields.extendedUsername.isAbsent ? fields.username : .absent) }
    /// `username*` as it was written: `UTF-8''J%C3%A4s%C3%B8n`.
    public var extendedUsername: SIPText? { optional(fields.extendedUsername) }
    /// MD5 when the client names none.
    public var algorithm: Algorithm { optional(fields.algorithm).map(Algorithm.init) ?? .md5 }
    public var cnonce: SIPText? { optional(fields.cnonce) }
    public var opaque: SIPText? { optional(fields.opaque) }
    /// As it was written, since it is hashed so.
    public var qop: SIPText? { optional(fields.qop) }
    /// The nonce count as it was written, since it is hashed so.
    public var nonceCount: SIPText? { optional(fields.nonceCount) }
    /// Whether the username is a hash of it (RFC 7616 section 3.4.4).
    public var userhash: Bool { optional(fields.userhash)?.matches("true") ?? false }

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
        if let missing = fields.missing { throw cursor.failure(missing) }
        self.text = text
        self.fields = fields
        nc = fields.nonceCount.isAbsent ? nil : try Self.count(SIPText(text.storage, fields.nonceCount).unquoted)
    }

    private func optional(_ part: Part) -> SIPText? { part.isAbsent ? nil : field(part) }

    private func field(_ part: Part) -> SIPText {
        part.isAbsent ? SIPText(text.storage, Part(0, 0)) : SIPText(text.storage, part).unquoted
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
