import Crypto
import CryptoExtras
import Foundation

/// A password's scrypt hash (RFC 7914) with its salt and costs: `scrypt$N$r$p$SALT$DIGEST`, the last two in
/// base64.
package struct PasswordHash: Hashable, Sendable {
    /// What a hash costs: time and memory grow with `rounds * blockSize`.
    package struct Cost: Hashable, Sendable {
        let rounds: Int
        let blockSize: Int
        let parallelism: Int

        /// About 15 ms and 8 MiB on the machine this was measured on: slow for a guesser, bearable for a
        /// reconnect storm whose hashes are remembered (`PasswordVerifier`).
        package static let standard = Cost(rounds: 8192, blockSize: 8, parallelism: 1)
        /// For accounts that live in memory alone, in tests and simulations.
        static let trivial = Cost(rounds: 16, blockSize: 1, parallelism: 1)

        /// Most memory a hash in a file may ask for, in bytes.
        static let maximumMemory = 64 << 20

        var isAcceptable: Bool {
            (2...(1 << 20)).contains(rounds) && rounds.nonzeroBitCount == 1 && (1...32).contains(blockSize)
                && (1...16).contains(parallelism) && 128 * rounds * blockSize <= Self.maximumMemory
        }
    }

    let cost: Cost
    let salt: [UInt8]
    let digest: [UInt8]

    static let saltLength = 16
    static let digestLength = 32

    /// Hashes a password with a fresh salt.
    package init(of password: String, cost: Cost) {
        let salt = (0..<Self.saltLength).map { _ in UInt8.random(in: 0 ... .max) }
        self.init(cost: cost, salt: salt, digest: Self.derive(password, cost, salt))
    }

    init(cost: Cost, salt: [UInt8], digest: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.digest = digest
    }

    /// Compares in constant time.
    func matches(_ password: String) -> Bool {
        let candidate = Self.derive(password, cost, salt)
        precondition(
            candidate.count == digest.count, "digests of \(candidate.count) and \(digest.count) bytes")
        return zip(candidate, digest).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func derive(_ password: String, _ cost: Cost, _ salt: [UInt8]) -> [UInt8] {
        do {
            let key = try KDF.Scrypt.deriveKey(
                from: Array(password.utf8), salt: salt, outputByteCount: digestLength, rounds: cost.rounds,
                blockSize: cost.blockSize, parallelism: cost.parallelism)
            return key.withUnsafeBytes { Array($0) }
        } catch {
            // The costs were checked when they were read; what is left is memory, and then nothing works any
            // more.
            preconditionFailure("scrypt with \(cost): \(error)")
        }
    }
}

extension PasswordHash: LosslessStringConvertible {
    package init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "scrypt", let rounds = Int(parts[1]),
            let blockSize = Int(parts[2]),
            let parallelism = Int(parts[3]), let salt = Data(base64Encoded: String(parts[4])),
            let digest = Data(base64Encoded: String(parts[5]))
        else { return nil }
        let cost = Cost(rounds: rounds, blockSize: blockSize, parallelism: parallelism)
        guard cost.isAcceptable, (8...64).contains(salt.count), digest.count == Self.digestLength else {
            return nil
        }
        self.init(cost: cost, salt: Array(salt), digest: Array(digest))
    }

    package var description: String {
        let salt = Data(salt).base64EncodedString()
        let digest = Data(digest).base64EncodedString()
        return "scrypt$\(cost.rounds)$\(cost.blockSize)$\(cost.parallelism)$\(salt)$\(digest)"
    }
}
