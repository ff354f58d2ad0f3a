import ClusterRuntime
import JWTKit

/// A key, what it may sign with, and how far what it signed is believed.
///
/// Each has a collection of its own: a collection of many falls back to one of them for a `kid` it does not know.
struct IssuerKey: Sendable {
    let algorithm: TokenKeySpec.Algorithm
    let trust: IssuerTrust
    private let keys: JWTKeyCollection

    init(_ algorithm: TokenKeySpec.Algorithm, _ trust: IssuerTrust, _ keys: JWTKeyCollection) {
        self.algorithm = algorithm
        self.trust = trust
        self.keys = keys
    }

    func sign(_ payload: Payload) async throws -> String { try await keys.sign(payload) }

    /// Checks the signature. The key decides on the algorithm: a token that names another one is not of this key.
    func verify(_ token: String, _ header: TokenHeader) async throws(AccessTokenError) -> Payload {
        guard header.algorithm == algorithm.rawValue else { throw .wrongSignature }
        do {
            return try await keys.verify(token)
        } catch {
            throw AccessTokenError(error)
        }
    }
}
