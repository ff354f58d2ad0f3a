import ClusterRuntime

/// What stands in front of every body on the wire. All of it is authenticated together with the body when frames are
/// sealed. Layout, numbers big-endian (`docs/wire.md`, "Frame"):
///
/// | bytes | field |
/// |---|---|
/// | 2 | magic `RC` |
/// | 1 | wire version |
/// | 1 | type |
/// | 1 | flags: bit 0 sealed |
/// | 1 | length of the sender's name |
/// | 1–64 | the sender's name, UTF-8 |
/// | 8 | the sender's incarnation |
/// | 4 | key id |
/// | 8 | counter |
struct FrameHeader: Equatable {
    enum Kind: UInt8 {
        case hello = 0
        case data = 1
    }

    static let version: UInt8 = 1
    private static let magic: [UInt8] = Array("RC".utf8)
    private static let sealedFlag: UInt8 = 1
    /// Bytes around the name.
    static let fixedLength = 26
    static let maximumLength = fixedLength + NodeName.maximumLength

    var kind: Kind
    var sealed: Bool
    var sender: NodeID
    var keyID: UInt32
    var counter: UInt64

    init(kind: Kind, sealed: Bool, sender: NodeID, keyID: UInt32 = 0, counter: UInt64 = 0) {
        self.kind = kind
        self.sealed = sealed
        self.sender = sender
        self.keyID = keyID
        self.counter = counter
    }

    var encoded: [UInt8] {
        let name = sender.name.rawValue.utf8
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.fixedLength + name.count)
        bytes += Self.magic
        bytes += [Self.version, kind.rawValue, sealed ? Self.sealedFlag : 0, UInt8(name.count)]
        bytes += name
        bytes.appendBigEndian(sender.incarnation)
        bytes.appendBigEndian(keyID)
        bytes.appendBigEndian(counter)
        return bytes
    }

    /// - Returns: the header and its length; the body follows.
    static func parse(_ frame: UnsafeRawBufferPointer) -> Result<(FrameHeader, length: Int), DropReason> {
        guard frame.count > fixedLength, frame[0] == magic[0], frame[1] == magic[1] else { return .failure(.malformed) }
        guard frame[2] == version else { return .failure(.version) }
        guard let kind = Kind(rawValue: frame[3]), frame[4] & ~sealedFlag == 0 else { return .failure(.malformed) }
        let nameLength = Int(frame[5])
        let length = fixedLength + nameLength
        guard (1...NodeName.maximumLength).contains(nameLength), frame.count >= length,
            let name = String(validating: frame[6..<6 + nameLength], as: UTF8.self)
        else { return .failure(.malformed) }
        let header = FrameHeader(
            kind: kind, sealed: frame[4] & sealedFlag != 0,
            sender: NodeID(name: NodeName(name), incarnation: frame.bigEndian(at: 6 + nameLength)),
            keyID: frame.bigEndian(at: 14 + nameLength), counter: frame.bigEndian(at: 18 + nameLength))
        return .success((header, length))
    }
}

extension [UInt8] {
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    func bigEndian<Number: FixedWidthInteger>(at offset: Int) -> Number {
        Number(bigEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}
