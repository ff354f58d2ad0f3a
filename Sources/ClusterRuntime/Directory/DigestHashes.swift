package import Digests

/// The hashes SIP digest authentication works from, HA1: H(name ":" realm ":" password), the realm being the
/// domain (RFC 7616 section 3.4.2, RFC 8760 section 2). They depend on the name, so accounts cannot share them.
///
/// They are also what a sipuser's password is checked by. Whoever reads them can answer digest challenges, and
/// guess the password faster than from scrypt: where they are kept is for its owner alone.
package struct DigestHashes: Hashable, Sendable {
    /// The digests one after another: MD5, SHA-256 and, except in those made by earlier versions, SHA-512/256.
    package let bytes: [UInt8]

    private static let order: [DigestAlgorithm] = [.md5, .sha256, .sha512_256]
    private static let lengths: Set<Int> = [16 + 32, 16 + 32 + 32]

    /// - Returns: nil when the bytes are neither two nor three digests.
    package init?(_ bytes: [UInt8]) {
        guard Self.lengths.contains(bytes.count) else { return nil }
        self.bytes = bytes
    }

    package init(name: String, realm: String, password: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(80)
        for algorithm in Self.order {
            Self.withHash(algorithm, name, realm, password) { digest in
                for index in digest.indices { bytes.append(digest[index]) }
            }
        }
        self.bytes = bytes
    }

    /// HA1 by an algorithm; nil when it is not among these.
    package func hash(_ algorithm: DigestAlgorithm) -> HexDigest? {
        guard let range = range(of: algorithm) else { return nil }
        return HexDigest(bytes.span.extracting(range))
    }

    /// Whether these are the hashes of the password. Compares in constant time.
    package func matches(name: String, realm: String, password: String) -> Bool {
        let algorithm: DigestAlgorithm = range(of: .sha512_256) == nil ? .sha256 : .sha512_256
        guard let expected = hash(algorithm) else { preconditionFailure("hashes without \(algorithm)") }
        return expected == Self.withHash(algorithm, name, realm, password) { HexDigest($0) }
    }

    private func range(of algorithm: DigestAlgorithm) -> Range<Int>? {
        let range =
            switch algorithm {
            case .md5: 0..<16
            case .sha256: 16..<48
            case .sha512_256: 48..<80
            }
        return range.upperBound <= bytes.count ? range : nil
    }

    private static func withHash<Result>(
        _ algorithm: DigestAlgorithm, _ name: String, _ realm: String, _ password: String,
        _ use: (Span<UInt8>) -> Result
    ) -> Result {
        algorithm.withDigest(
            { input in
                input.append(name)
                input.append(UInt8(ascii: ":"))
                input.append(realm)
                input.append(UInt8(ascii: ":"))
                input.append(password)
            }, use)
    }
}
