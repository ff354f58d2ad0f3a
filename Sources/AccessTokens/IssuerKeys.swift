import ClusterRuntime
import Foundation
import JWTKit

/// The keys of other issuers, by the `kid` that their tokens name. Those of the topology come before those of key sets.
struct IssuerKeys: Sendable {
    /// Largest key file read, in bytes.
    static let maximumFileSize = 64 << 10
    /// Shortest HS256 secret, in bytes (RFC 7518, section 3.2).
    static let minimumSecret = 32

    private var named: [String: IssuerKey] = [:]
    /// For tokens without `kid`.
    private(set) var unnamed: IssuerKey?

    var isEmpty: Bool { named.isEmpty && unnamed == nil }

    /// Reads the keys' files.
    /// - Throws: at the first that cannot be used.
    init(_ specs: [TokenKeySpec]) async throws(TokenKeyError) {
        for spec in specs { insert(spec.keyID, try await Self.key(spec)) }
    }

    func adding(_ sets: [KeySet]) -> IssuerKeys {
        var keys = self
        for set in sets {
            for (kid, key) in set.keys { keys.insert(kid, key) }
        }
        return keys
    }

    private mutating func insert(_ kid: String?, _ key: IssuerKey) {
        if let kid { named[kid] = named[kid] ?? key } else { unnamed = unnamed ?? key }
    }

    subscript(kid: String) -> IssuerKey? { named[kid] }

    private static func key(_ spec: TokenKeySpec) async throws(TokenKeyError) -> IssuerKey {
        let contents = try contents(of: spec.path, kid: spec.keyID)
        let keys = JWTKeyCollection()
        if spec.algorithm == .hs256 {
            guard contents.count >= minimumSecret else {
                throw TokenKeyError(
                    spec.path, spec.keyID, "holds \(contents.count) bytes", "a secret of at least \(minimumSecret)")
            }
            await keys.add(hmac: HMACKey(from: contents), digestAlgorithm: .sha256)
            return IssuerKey(.hs256, spec.trust, keys)
        }
        let pem = String(decoding: contents, as: UTF8.self)
        // It would do, but then every node could issue the other issuer's tokens.
        guard !pem.contains("PRIVATE KEY") else {
            throw TokenKeyError(spec.path, spec.keyID, "holds a private key", "the public key alone")
        }
        do {
            switch spec.algorithm {
            case .hs256: break
            case .es256: await keys.add(ecdsa: try ES256PublicKey(pem: pem))
            case .edDSA: await keys.add(eddsa: try EdDSA.PublicKey(pem: pem))
            case .rs256: await keys.add(rsa: try Insecure.RSA.PublicKey(pem: pem), digestAlgorithm: .sha256)
            }
        } catch {
            throw TokenKeyError(
                spec.path, spec.keyID, "holds no key for \(spec.algorithm.rawValue)",
                "\(spec.algorithm.material) in PEM")
        }
        return IssuerKey(spec.algorithm, spec.trust, keys)
    }

    static func contents(of path: String, kid: String?) throws(TokenKeyError) -> Data {
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }  // It was only read.
            let contents = try file.read(upToCount: maximumFileSize + 1) ?? Data()
            guard contents.count <= maximumFileSize else {
                throw TokenKeyError(path, kid, "is too large", "at most \(maximumFileSize) bytes")
            }
            return contents
        } catch let error as TokenKeyError {
            throw error
        } catch {
            throw TokenKeyError(path, kid, "cannot be read", "a readable file")
        }
    }
}

/// Why a key of another issuer cannot be used: file, what is wrong, what was expected.
public struct TokenKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ path: String, _ kid: String?, _ wrong: String, _ expected: String) {
        description = "\(path)\(kid.map { " (kid \($0))" } ?? "") \(wrong); expected \(expected)"
    }
}

extension TokenKeySpec.Algorithm {
    var material: String {
        switch self {
        case .hs256: "a secret"
        case .es256: "a public key on the curve P-256"
        case .edDSA: "an Ed25519 public key"
        case .rs256: "an RSA public key of at least 2048 bits"
        }
    }
}
