/// The hashes of SIP digest authentication, strongest first: the order in which they are offered.
///
/// Source: RFC 8760 section 2.1 (the order), RFC 7616 section 3.3 (the names).
public enum DigestAlgorithm: UInt8, CaseIterable, Sendable {
    case sha512_256 = 0
    case sha256 = 1
    case md5 = 2

    /// The name in a challenge's or an answer's `algorithm` parameter.
    public var name: String {
        switch self {
        case .sha512_256: "SHA-512-256"
        case .sha256: "SHA-256"
        case .md5: "MD5"
        }
    }

    /// Reads a name in any case. The `-sess` variants are none of these: nobody who registers phones uses them.
    public init?(name: some StringProtocol) {
        guard let found = Self.allCases.first(where: { $0.name.lowercased() == name.lowercased() }) else { return nil }
        self = found
    }

    /// Length of a digest, in bytes; in hex it is twice that.
    public var digestLength: Int {
        switch self {
        case .sha512_256, .sha256: 32
        case .md5: 16
        }
    }
}
