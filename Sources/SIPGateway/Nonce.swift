import ClusterRuntime
import Crypto
import Digests

/// A digest challenge's nonce: when it was made, its number, and a signature, in hex.
///
/// Nothing is kept of a nonce until it is used: whoever brings it back proves by the signature that this gateway's life
/// gave it out for this domain and to this network (RFC 7616 section 3.3 leaves the form to the server).
struct Nonce: Hashable {
    /// Milliseconds on the node's clock.
    let made: Int64
    let number: UInt64

    /// Length of the text.
    static let length = 64

    private static let signatureLength = 16

    init(made: Int64, number: UInt64) {
        self.made = made
        self.number = number
    }

    /// - Returns: nil when it is not one of ours for this domain and network.
    init?(_ text: some Collection<UInt8>, key: SymmetricKey, domain: String, network: String) {
        let digits = Array(text)
        func number(_ range: Range<Int>) -> UInt64? {
            UInt64(String(decoding: digits[range], as: UTF8.self), radix: 16)
        }
        guard digits.count == Self.length, let made = number(0..<16), let number = number(16..<32) else { return nil }
        self.init(made: Int64(bitPattern: made), number: number)
        let isOurs = digits[32...].withUnsafeBytes { signature(key, domain, network).matches($0) }
        guard isOurs else { return nil }
    }

    func text(key: SymmetricKey, domain: String, network: String) -> String {
        HexDigest(head.span).description + signature(key, domain, network).description
    }

    private var head: [UInt8] {
        withUnsafeBytes(of: made.bigEndian) { Array($0) } + withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    private func signature(_ key: SymmetricKey, _ domain: String, _ network: String) -> HexDigest {
        // A domain has no space in it, so no two pairs are signed alike.
        let code = HMAC<SHA256>.authenticationCode(for: head + Array("\(domain) \(network)".utf8), using: key)
        let bytes = Array(code.prefix(Self.signatureLength))
        return HexDigest(bytes.span)
    }
}
