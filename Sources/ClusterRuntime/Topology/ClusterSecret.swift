import Crypto
import Foundation

/// What the nodes of a cluster share and nobody else knows. Every key is derived from it; it is never a key
/// itself.
public struct ClusterSecret: Sendable, CustomStringConvertible {
    /// Length of a secret this version makes, in bytes. Files may hold up to `maximumLength`.
    public static let length = 32
    public static let maximumLength = 1024

    private let bytes: [UInt8]

    /// - Precondition: `bytes` holds `length` to `maximumLength` bytes.
    public init(_ bytes: [UInt8]) {
        precondition(
            (Self.length...Self.maximumLength).contains(bytes.count), "a cluster secret of \(bytes.count) B")
        self.bytes = bytes
    }

    /// Derives the 32-byte key for one purpose (HKDF with SHA-256, RFC 5869).
    /// - Parameters:
    ///   - purpose: names the use, such as `token`; different purposes give unrelated keys.
    ///   - context: what else the key is bound to, such as both nodes' nonces.
    public func key(for purpose: String, context: [UInt8] = []) -> [UInt8] {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: bytes), salt: context,
            info: Array("rollcall \(purpose)".utf8),
            outputByteCount: 32)
        return key.withUnsafeBytes { Array($0) }
    }

    /// Never the secret: it must not reach a log.
    public var description: String { "ClusterSecret(\(bytes.count) bytes)" }
}

/// Why the cluster secret could not be had.
public struct ClusterSecretError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

extension Topology {
    /// Reads the cluster secret, and makes its file (32 random bytes in hex, mode 0600) when there is none
    /// yet. Processes that start together agree on one.
    /// - Returns: nil when the topology says `secret: none`.
    /// - Throws: when the file cannot be read or made, is not hex, is too short, or others may read it.
    public func clusterSecret() throws(ClusterSecretError) -> ClusterSecret? {
        switch secret {
        case .none: nil
        case .file(let path): try ClusterSecret.readOrMake(path)
        }
    }
}

extension ClusterSecret {
    fileprivate static func readOrMake(_ path: String) throws(ClusterSecretError) -> ClusterSecret {
        do throws(FileFault) {
            if access(path, F_OK) != 0 {
                let fresh = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
                try LocalFile.createOnce(path, Array((Hex.encode(fresh) + "\n").utf8))
            }
            try LocalFile.refuseForEverybody(path)
            return try decode(LocalFile.read(path, limit: 2 * maximumLength + 64), path: path)
        } catch {
            throw ClusterSecretError(description: "\(error.wrong); expected \(error.expected)")
        }
    }

    private static func decode(_ text: [UInt8], path: String) throws(FileFault) -> ClusterSecret {
        let digits = text.filter { !Character(Unicode.Scalar($0)).isWhitespace }
        guard let bytes = Hex.decode(digits), (length...maximumLength).contains(bytes.count) else {
            throw FileFault(
                wrong: "\(path) does not hold a cluster secret",
                expected: "\(2 * length) to \(2 * maximumLength) hex digits")
        }
        return ClusterSecret(bytes)
    }
}

/// Bytes as lower-case hex digits and back.
enum Hex {
    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: text.count, by: 2) {
            guard let high = digit(text[start]), let low = digit(text[start + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
