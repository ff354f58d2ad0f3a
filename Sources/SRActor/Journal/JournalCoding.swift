import ClusterRuntime
import MessagePack
import RegistrarEvents

/// A record as it stands in a segment: whose it is, when it was written, what changed.
struct JournalItem: Equatable {
    enum Content: Equatable {
        case record(JournalRecord)
        /// The domain is no longer kept.
        case forgotten
    }
    var domain: DomainName
    /// Milliseconds since 1970: times to live count from here, also while the process is not running.
    var wall: Int64
    var content: Content

    /// `[domain, wall, kind, …]`
    func encoded() -> [UInt8] {
        var writer = MessagePackWriter(reserving: 512)
        switch content {
        case .forgotten: head(0, 0, &writer)
        case .record(.entries(let epoch, let entries)):
            head(1, 2, &writer)
            writer.unsigned(epoch)
            writer.array(entries.count)
            for entry in entries { writer.logEntry(entry) }
        case .record(.reset(let position)): place(2, position, &writer)
        case .record(.checkpoint(let position)): place(3, position, &writer)
        case .record(.contacts(let contacts)):
            head(4, 1, &writer)
            writer.array(contacts.count)
            for live in contacts {
                writer.array(4)
                writer.packedContact(live.contact)
                writer.unsigned(UInt64(live.ttl))
            }
        case .record(.sealed): head(5, 0, &writer)
        case .record(.swept): head(6, 0, &writer)
        case .record(.generation): head(7, 0, &writer)
        }
        return writer.finish()
    }

    private func head(_ kind: UInt64, _ fields: Int, _ writer: inout MessagePackWriter) {
        writer.array(3 + fields)
        writer.string(domain.rawValue)
        writer.integer(wall)
        writer.unsigned(kind)
    }

    private func place(_ kind: UInt64, _ position: Position, _ writer: inout MessagePackWriter) {
        head(kind, 2, &writer)
        writer.unsigned(position.epoch)
        writer.unsigned(position.seq)
    }
}

extension JournalItem {
    init(encoded bytes: ArraySlice<UInt8>) throws(MessagePackError) {
        self = try MessagePack.decode(bytes) { (value) throws(MessagePackError) in
            let fields = try value.array()
            guard let domain = DomainName(try fields.string(0)) else {
                throw MessagePackError.unexpected("a domain name")
            }
            return JournalItem(
                domain: domain, wall: try fields.integer(1),
                content: try Content(kind: fields.unsigned(2), fields))
        }
    }
}

extension JournalItem.Content {
    fileprivate init(kind: UInt64, _ fields: MessagePackArray) throws(MessagePackError) {
        switch kind {
        case 0: self = .forgotten
        case 1:
            let items = try fields.array(4)
            var entries: [LogEntry] = []
            entries.reserveCapacity(items.count)
            for index in 0..<items.count { entries.append(try LogEntry(packed: items.array(index))) }
            self = .record(.entries(epoch: try fields.unsigned(3), entries))
        case 2: self = .record(.reset(Position(epoch: try fields.unsigned(3), seq: try fields.unsigned(4))))
        case 3: self = .record(.checkpoint(Position(epoch: try fields.unsigned(3), seq: try fields.unsigned(4))))
        case 4:
            let items = try fields.array(3)
            var contacts: [LiveContact] = []
            contacts.reserveCapacity(items.count)
            for index in 0..<items.count {
                let item = try items.array(index)
                contacts.append(
                    LiveContact(contact: try item.packedContact(0), ttl: UInt32(clamping: try item.unsigned(3))))
            }
            self = .record(.contacts(contacts))
        case 5: self = .record(.sealed)
        case 6: self = .record(.swept)
        case 7: self = .record(.generation)
        default: throw MessagePackError.unexpected("a kind of journal record (0 to 7)")
        }
    }
}

/// CRC-32C (Castagnoli), as in RFC 3720 section 12.1, by tables, eight bytes at a time.
enum CRC32C {
    /// At `256 * n + byte`: what a byte comes to with `n` zero bytes after it.
    private static let table: [UInt32] = {
        var table: [UInt32] = (0..<256).map { byte in
            (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
        }
        for index in 256..<2_048 {
            let value = table[index - 256]
            table.append(value >> 8 ^ table[Int(value & 0xFF)])
        }
        return table
    }()

    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        table.withUnsafeBufferPointer { table in bytes.withUnsafeBytes { checksum($0, table) } }
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer, _ table: UnsafeBufferPointer<UInt32>) -> UInt32 {
        var checksum = ~UInt32(0)
        var offset = 0
        while offset + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            var rest = word ^ UInt64(checksum)
            checksum = 0
            for row in stride(from: 7 * 256, through: 0, by: -256) {
                checksum ^= table[row + Int(rest & 0xFF)]
                rest >>= 8
            }
            offset += 8
        }
        while offset < bytes.count {
            checksum = checksum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: checksum) ^ bytes[offset])]
            offset += 1
        }
        return ~checksum
    }
}
