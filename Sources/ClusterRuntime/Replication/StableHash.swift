/// A hash that is the same in every process and on every machine, for digests and indexes.
///
/// Without a key, since every node must come to the same: it is no guard against adversaries. Who may register chooses
/// some of the bytes that are hashed and could have contacts collide; how many, `devices` and `contacts_per_domain`
/// bound. Source: own decision; `docs/wire.md` gives the definition and a vector, since digests are compared between
/// nodes.
public enum StableHash {
    /// Takes in eight bytes at a time (little-endian, the last block padded with zeros), then the length.
    public static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        var state = seed ^ 0x9E37_79B9_7F4A_7C15
        var offset = 0
        while offset + 8 <= bytes.count {
            state = mix(state ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        var tail: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count {
            tail |= UInt64(bytes[offset]) << shift
            shift += 8
            offset += 1
        }
        return mix(mix(state ^ tail) ^ UInt64(bytes.count))
    }

    public static func hash(_ text: String, seed: UInt64 = 0) -> UInt64 {
        var text = text
        return text.withUTF8 { hash(UnsafeRawBufferPointer($0), seed: seed) }
    }

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }
}
