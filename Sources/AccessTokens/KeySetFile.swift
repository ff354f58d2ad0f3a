import ClusterRuntime
import Foundation
import JWTKit

/// A file of keys as issuers publish them. Source: RFC 7517 sections 4 and 5, RFC 7518 section 6, RFC 8037 section 2.
///
/// Keys of other kinds, and those that are not for signatures, are passed over as section 5 asks; what is left must be
/// whole, and at least one, unless there are none at all: so an issuer takes back what it has published.
enum KeySetFile {
    static let maximumKeys = 64
    /// Shortest RSA modulus, in bytes (RFC 7518 section 3.3).
    private static let minimumModulus = 256

    private struct File: Decodable {
        let keys: [Entry]
    }

    private struct Entry: Decodable {
        let kty: String?
        let use: String?
        let keyOps: [String]?
        let alg: String?
        let kid: String?
        let crv: String?
        let x: String?
        let y: String?
        let n: String?
        let e: String?
        /// Of a private key.
        let d: String?

        enum CodingKeys: String, CodingKey {
            case kty, use, alg, kid, crv, x, y, n, e, d
            case keyOps = "key_ops"
        }
    }

    /// - Returns: the keys, and the `kid` of each, which only one may be without.
    static func read(_ spec: TokenKeySetSpec) async throws(TokenKeyError) -> [(kid: String?, key: IssuerKey)] {
        let contents = try IssuerKeys.contents(of: spec.path, kid: nil)
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: contents)
        } catch {
            throw TokenKeyError(spec.path, nil, "is no JWKS", #"{"keys": […]} as RFC 7517 has it"#)
        }
        guard file.keys.count <= maximumKeys else {
            throw TokenKeyError(spec.path, nil, "holds \(file.keys.count) keys", "at most \(maximumKeys)")
        }
        var found: [(kid: String?, key: IssuerKey)] = []
        for entry in file.keys {
            guard let algorithm = algorithm(of: entry) else { continue }
            guard entry.d == nil else {
                throw TokenKeyError(spec.path, entry.kid, "holds a private key", "public keys alone")
            }
            guard !found.contains(where: { $0.kid == entry.kid }) else {
                throw TokenKeyError(spec.path, entry.kid, "holds two keys of that name", "a kid of its own for each")
            }
            found.append((entry.kid, IssuerKey(algorithm, spec.trust, try await keys(entry, algorithm, spec.path))))
        }
        guard !found.isEmpty || file.keys.isEmpty else {
            throw TokenKeyError(spec.path, nil, "holds no key for signatures", "one for RS256, ES256 or EdDSA")
        }
        return found
    }

    /// What signatures the key is for; nil when it is for none that is accepted here.
    private static func algorithm(of entry: Entry) -> TokenKeySpec.Algorithm? {
        guard entry.use == nil || entry.use == "sig", entry.keyOps?.contains("verify") ?? true else { return nil }
        let algorithm: TokenKeySpec.Algorithm
        switch (entry.kty, entry.crv) {
        case ("RSA", _): algorithm = .rs256
        case ("EC", "P-256"): algorithm = .es256
        case ("OKP", "Ed25519"): algorithm = .edDSA
        default: return nil
        }
        return entry.alg == nil || entry.alg == algorithm.rawValue ? algorithm : nil
    }

    private static func keys(
        _ entry: Entry, _ algorithm: TokenKeySpec.Algorithm, _ path: String
    ) async throws(TokenKeyError) -> JWTKeyCollection {
        let keys = JWTKeyCollection()
        do {
            switch (algorithm, entry.x, entry.y, entry.n, entry.e) {
            case (.rs256, _, _, let n?, let e?):
                let key = try Insecure.RSA.PublicKey(modulus: n, exponent: e)
                guard try key.getKeyPrimitives().modulus.count >= minimumModulus else { break }
                return await keys.add(rsa: key, digestAlgorithm: .sha256)
            case (.es256, let x?, let y?, _, _):
                return await keys.add(ecdsa: try ES256PublicKey(parameters: (x, y)))
            case (.edDSA, let x?, _, _, _):
                return await keys.add(eddsa: try EdDSA.PublicKey(x: x, curve: .ed25519))
            default: break
            }
        } catch {
            // The library's reason quotes the key; that it is not whole says enough.
        }
        throw TokenKeyError(path, entry.kid, "holds a broken \(algorithm.rawValue) key", algorithm.material)
    }
}
