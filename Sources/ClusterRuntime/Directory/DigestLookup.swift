public import Digests

/// What a directory knows of an account for digest authentication.
public enum DigestLookup: Equatable, Sendable {
    /// HA1 of the account, in hex.
    case found(HexDigest)
    /// The account has no hash by this algorithm: it is older than that, or a person's.
    case withoutHash
    case noAccount
    /// The accounts cannot be read at the moment: neither yes nor no.
    case unavailable

    /// What to compute the expected answer from: HA1 or, for whoever has none, a decoy that nobody knows. An
    /// answer to a challenge is right when it matches and `isFound`; so the time it takes tells nobody which
    /// accounts there are.
    public func secret(_ algorithm: DigestAlgorithm) -> HexDigest {
        switch self {
        case .found(let hash): hash
        case .withoutHash, .noAccount, .unavailable: Self.decoys[Int(algorithm.rawValue)]
        }
    }

    public var isFound: Bool {
        switch self {
        case .found: true
        case .withoutHash, .noAccount, .unavailable: false
        }
    }

    /// Of this process alone, one an algorithm: nothing computed from it is ever shown.
    private static let decoys: [HexDigest] = DigestAlgorithm.allCases.map { algorithm in
        let random = (0..<algorithm.digestLength).map { _ in UInt8.random(in: 0 ... .max) }
        return HexDigest(random.span)
    }
}
