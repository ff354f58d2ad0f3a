import ClusterRuntime
import Crypto
import FoundationEssentials

/// Derives keys, seals and opens. Source: HKDF, RFC 5869 with SHA-256; AEAD_CHACHA20_POLY1305, RFC 8439.
///
/// The cluster's secret may be absent: then the same keys are derived from nothing, only their ids are of use, and
/// bodies travel in the clear.
struct SessionCrypto {
    static let tagLength = 16
    static let helloNonceLength = 12
    private static let label = Array("rollcall 1".utf8)

    let sealed: Bool
    private let secret: SymmetricKey
    private let helloKey: SymmetricKey

    init(secret: [UInt8]?) {
        sealed = secret != nil
        self.secret = SymmetricKey(data: secret ?? [])
        helloKey = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: self.secret, info: Self.label + Array(" hello".utf8), outputByteCount: 32)
    }

    /// The key for what `sender` sends to `receiver` while these two lives last.
    func directionKey(
        sender: NodeName, senderNonce: [UInt8], receiver: NodeName, receiverNonce: [UInt8]
    ) -> DirectionKey {
        var info = Self.label
        for name in [sender, receiver] {
            info.append(UInt8(name.rawValue.utf8.count))
            info += name.rawValue.utf8
        }
        let derived = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret, salt: senderNonce + receiverNonce, info: info, outputByteCount: 36)
        return derived.withUnsafeBytes {
            DirectionKey(key: SymmetricKey(data: $0.prefix(32)), id: $0.bigEndian(at: 32), sealed: sealed)
        }
    }

    func sealHello(_ body: [UInt8], header: [UInt8], nonce: [UInt8]) -> [UInt8] {
        guard sealed else { return header + body }
        return header + Self.seal(body, key: helloKey, nonce: nonce, header: header)
    }

    func openHello(_ body: UnsafeRawBufferPointer, header: UnsafeRawBufferPointer) -> [UInt8]? {
        guard sealed else { return [UInt8](body) }
        guard body.count >= Self.helloNonceLength + Self.tagLength,
            // A nonce of 12 bytes always makes a box; what does not open is the answer.
            let box = try? ChaChaPoly.SealedBox(combined: body),
            let opened = try? ChaChaPoly.open(box, using: helloKey, authenticating: header)
        else { return nil }
        return [UInt8](opened)
    }

    /// Nonce, ciphertext and tag, one after the other.
    fileprivate static func seal(_ body: [UInt8], key: SymmetricKey, nonce: [UInt8], header: [UInt8]) -> Data {
        // Throws for a nonce of another length than 12 and for bodies beyond 256 GiB; both would be our own mistake.
        guard let nonce = try? ChaChaPoly.Nonce(data: nonce),
            let box = try? ChaChaPoly.seal(body, using: key, nonce: nonce, authenticating: header)
        else { preconditionFailure("a frame of \(body.count) bytes cannot be sealed under a nonce of \(nonce.count)") }
        return box.combined
    }
}

/// One direction between two node lives.
struct DirectionKey {
    fileprivate let key: SymmetricKey
    /// Names the key on the wire; says nothing about it.
    let id: UInt32
    fileprivate let sealed: Bool

    /// A whole frame. The counter must never have been used with this key.
    func seal(_ body: [UInt8], header: FrameHeader) -> [UInt8] {
        let header = header.encoded
        guard sealed else { return header + body }
        let nonce = Self.nonce(header.suffix(8))
        let combined = SessionCrypto.seal(body, key: key, nonce: nonce, header: header)
        var frame: [UInt8] = []
        frame.reserveCapacity(header.count + combined.count - nonce.count)
        frame += header
        combined.withUnsafeBytes { frame += $0.dropFirst(nonce.count) }
        return frame
    }

    func open(_ body: UnsafeRawBufferPointer, header: UnsafeRawBufferPointer) -> [UInt8]? {
        guard sealed else { return [UInt8](body) }
        let textLength = body.count - SessionCrypto.tagLength
        // Whatever is wrong with a frame, the answer is nil: it is dropped and counted.
        guard textLength >= 0,
            let nonce = try? ChaChaPoly.Nonce(data: Self.nonce(header.suffix(8))),
            let box = try? ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: body.prefix(textLength), tag: body.suffix(SessionCrypto.tagLength)),
            let opened = try? ChaChaPoly.open(box, using: key, authenticating: header)
        else { return nil }
        return [UInt8](opened)
    }

    /// Four zero bytes and the counter as it stands at the end of the header.
    private static func nonce(_ counter: some Sequence<UInt8>) -> [UInt8] { [0, 0, 0, 0] + counter }
}
