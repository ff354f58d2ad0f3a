import ClusterRuntime
import Foundation
import JWTKit

/// The keys of other issuers, by the `kid` that their tokens name.
///
/// Each key has a collection of its own: a collection of many falls back to one of them for a `kid` it does not know.
struct IssuerKeys: Sendable {
    /// Largest key file read, in bytes.
    static let maximumFileSize = 64 << 10
    /// Shortest HS256 secret, in bytes (RFC 7518, section 3.2).
    static let minimumSecret = 32

    private var named: [String: JWTKeyCollection] = [:]
    /// For tokens without `kid`.
    private(set) var unnamed: JWTKeyCollection?

    var isEmpty: Bool { named.isEmpty && unnamed == nil }

    /// Reads the keys' files.
    /// - Throws: at the first that cannot be used.
    init(_ specs: [TokenKeySpec]) async throws(TokenKeyError) {
        for spec in specs {
            let key = try await Self.key(spec)
            if let kid = spec.keyID { named[kid] = key } else { unnamed = key }
        }
    }

    subscript(kid: String) -> JWTKeyCollection? { named[kid] }

    private static func key(_ spec: TokenKeySpec) async throws(TokenKeyError) -> JWTKeyCollection {
        let contents = try read(spec)
        let keys = JWTKeyCollection()
        if spec.algorithm == .hs256 {
            guard contents.count >= minimumSecret else {
                throw TokenKeyError(spec, "holds \(contents.count) bytes", "a secret of at least \(minimumSecret)")
            }
            return await keys.add(hmac: HMACKey(from: contents), digestAlgorithm: .sha256)
        }
        let pem = String(decoding: contents, as: UTF8.self)
        // It would do, but then every node could issue the other issuer's tokens.
        guard !pem.contains("PRIVATE KEY") else {
            throw TokenKeyError(spec, "holds a private key", "the public key alone")
        }
        do {
            return switch spec.algorithm {
            case .hs256: keys
            case .es256: await keys.add(ecdsa: try ES256PublicKey(pem: pem))
            case .edDSA: await keys.add(eddsa: try EdDSA.PublicKey(pem: pem))
            case .rs256: await keys.add(rsa: try Insecure.RSA.PublicKey(pem: pem), digestAlgorithm: .sha256)
            }
        } catch {
            throw TokenKeyError(
                spec, "holds no key for \(spec.algorithm.rawValue)", "\(spec.algorithm.material) in PEM")
        }
    }

    private static func read(_ spec: TokenKeySpec) throws(TokenKeyError) -> Data {
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: spec.path))
            defer { try? file.close() }  // It was only read.
            let contents = try file.read(upToCount: maximumFileSize + 1) ?? Data()
            guard contents.count <= maximumFileSize else {
                throw TokenKeyError(spec, "is too large", "at most \(maximumFileSize) bytes")
            }
            return contents
        } catch let error as TokenKeyError {
            throw error
        } catch {
            throw TokenKeyError(spec, "cannot be read", "a readable file")
        }
    }
}

/// Why a key of another issuer cannot be used: file, what is wrong, what was expected.
public struct TokenKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ spec: TokenKeySpec, _ wrong: String, _ expected: String) {
        let kid = spec.keyID.map { " (kid \($0))" } ?? ""
        description = "\(spec.path)\(kid) \(wrong); expected \(expected)"
    }
}

extension TokenKeySpec.Algorithm {
    fileprivate var material: String {
        switch self {
        case .hs256: "a secret"
        case .es256: "a public key on the curve P-256"
        case .edDSA: "an Ed25519 public key"
        case .rs256: "an RSA public key of at least 2048 bits"
        }
    }
}
