public import MessagePack

extension MessagePackWriter {
    /// `[seq, timestamp, 0, contact…, ttl, replay]`, `[seq, timestamp, 1, contact…, reason]` or
    /// `[seq, timestamp, 2, reason]`, where `contact…` stands for the three values of a packed contact.
    public mutating func logEntry(_ entry: LogEntry) {
        switch entry.change {
        case .registered(let contact, let ttl, let replay):
            array(8)
            head(entry, kind: 0)
            packedContact(contact)
            unsigned(UInt64(ttl))
            boolean(replay)
        case .unregistered(let contact, let reason):
            array(7)
            head(entry, kind: 1)
            packedContact(contact)
            unsigned(UInt64(reason.rawValue))
        case .clear(let reason):
            array(4)
            head(entry, kind: 2)
            unsigned(UInt64(reason.rawValue))
        }
    }

    private mutating func head(_ entry: LogEntry, kind: UInt64) {
        unsigned(entry.seq)
        integer(entry.timestamp)
        unsigned(kind)
    }

    /// Three values: the lengths of the account's part and of the key, and key and details as one binary.
    public mutating func packedContact(_ contact: PackedContact) {
        unsigned(UInt64(contact.accountLength))
        unsigned(UInt64(contact.keyLength))
        binary(contact.bytes)
    }
}

extension MessagePackArray {
    /// The contact whose three values begin at `index`.
    public func packedContact(_ index: Int) throws(MessagePackError) -> PackedContact {
        let accountLength = Int(clamping: try unsigned(index))
        let keyLength = Int(clamping: try unsigned(index + 1))
        guard
            let contact = PackedContact(
                bytes: try binary(index + 2), accountLength: accountLength, keyLength: keyLength)
        else {
            throw MessagePackError.unexpected("a packed contact of at most \(PackedContact.maximumLength) bytes")
        }
        return contact
    }
}

extension LogEntry {
    public init(packed fields: MessagePackArray) throws(MessagePackError) {
        let seq = try fields.unsigned(0)
        let timestamp = try fields.integer(1)
        switch try fields.unsigned(2) {
        case 0:
            self.init(
                seq: seq, timestamp: timestamp,
                change: .registered(
                    try fields.packedContact(3), ttl: UInt32(clamping: try fields.unsigned(6)),
                    replay: try fields.boolean(7)))
        case 1:
            guard let reason = UnregisterReason(rawValue: UInt8(clamping: try fields.unsigned(6))) else {
                throw MessagePackError.unexpected("a reason to unregister (0 to 3)")
            }
            self.init(seq: seq, timestamp: timestamp, change: .unregistered(try fields.packedContact(3), reason))
        case 2:
            self.init(seq: seq, timestamp: timestamp, change: .clear(try ClearReason(packed: fields.unsigned(3))))
        default:
            throw MessagePackError.unexpected("a kind of log entry (0 to 2)")
        }
    }
}

extension ClearReason {
    public init(packed value: UInt64) throws(MessagePackError) {
        guard let reason = ClearReason(rawValue: UInt8(clamping: value)) else {
            throw MessagePackError.unexpected("a reason to clear (0 to 5)")
        }
        self = reason
    }
}
