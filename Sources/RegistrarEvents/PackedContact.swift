public import MessagePack

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A contact as it is stored and sent: its key and its details, each one msgpack value, end to end in one buffer.
///
/// Replicas, followers and the journal move these bytes without looking inside; only the edges (gateways, JSON) unpack
/// them. The key is `[kind, account, contact]`; the details are an array by kind, to which later versions may append.
/// The layout is part of the wire (`docs/wire.md`).
public struct PackedContact: Hashable, Sendable {
    /// Key, then details.
    public let bytes: [UInt8]
    private let lengths: (account: UInt16, key: UInt16)

    /// Longest account name and contact, in bytes each; both end up in every index.
    public static let maximumNameLength = 1_024
    /// Longest packed contact, in bytes.
    public static let maximumLength = 16_384

    /// Puts together what came apart on the wire.
    /// - Returns: nil when the lengths cannot be right.
    public init?(bytes: [UInt8], accountLength: Int, keyLength: Int) {
        guard 0 < accountLength, accountLength < keyLength, keyLength <= bytes.count,
            bytes.count <= Self.maximumLength
        else { return nil }
        self.bytes = bytes
        lengths = (UInt16(accountLength), UInt16(keyLength))
    }

    /// Packs a registration.
    /// - Returns: nil when a name or the whole is over its limit.
    public init?(_ registration: Registration) {
        let key = registration.key
        guard key.account.name.utf8.count <= Self.maximumNameLength,
            key.contact.utf8.count <= Self.maximumNameLength
        else { return nil }
        var writer = MessagePackWriter(reserving: 256)
        writer.accountPrefix(key.account)
        let accountLength = writer.count
        writer.string(key.contact)
        let keyLength = writer.count
        writer.details(registration.details)
        self.init(bytes: writer.finish(), accountLength: accountLength, keyLength: keyLength)
    }

    /// How many of `bytes` are the key, which identifies the contact.
    public var keyLength: Int { Int(lengths.key) }
    /// How many of the key's bytes are alike for all contacts of the account.
    public var accountLength: Int { Int(lengths.account) }

    public var keyBytes: ArraySlice<UInt8> { bytes[..<keyLength] }

    /// The kind of account, read from its fixed place in the key.
    public var kind: AccountKind { AccountKind(rawValue: bytes[1]) ?? .user }

    /// Whether this is its packed key.
    public func hasKey(_ key: UnsafeRawBufferPointer) -> Bool { key.count == keyLength && begins(with: key) }

    /// Whether the packed keys of its account begin with this.
    public func isOfAccount(_ prefix: UnsafeRawBufferPointer) -> Bool {
        prefix.count == accountLength && begins(with: prefix)
    }

    private func begins(with prefix: UnsafeRawBufferPointer) -> Bool {
        bytes.withUnsafeBytes { own in
            guard let start = own.baseAddress, let other = prefix.baseAddress else { return false }
            return memcmp(start, other, prefix.count) == 0
        }
    }

    public static func == (left: PackedContact, right: PackedContact) -> Bool {
        left.lengths == right.lengths && left.bytes == right.bytes
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }

    /// The key, unpacked.
    public func key() throws(MessagePackError) -> ContactKey {
        try MessagePack.decode(bytes[..<keyLength]) { (value) throws(MessagePackError) in
            try ContactKey(packed: value)
        }
    }

    /// The names of account and contact, as texts that live as long as the call of `use`.
    public func withKeyTexts(
        _ use: (_ account: UnsafeRawBufferPointer, _ contact: UnsafeRawBufferPointer) -> Void
    ) throws(MessagePackError) {
        try MessagePack.decode(bytes[..<keyLength]) { (value) throws(MessagePackError) in
            let fields = try value.array()
            use(try fields.value(1).text(), try fields.value(2).text())
        }
    }

    /// Whether the request that last changed a SIP device's contact came later than this one: in the same call, with a
    /// higher CSeq. Never so for a user's connection.
    public func wasChanged(after cseq: UInt32, of callID: String) throws(MessagePackError) -> Bool {
        guard kind == .sipuser else { return false }
        return try MessagePack.decode(bytes[keyLength...]) { (value) throws(MessagePackError) in
            let fields = try value.array()
            guard try fields.unsigned(7) > UInt64(cseq) else { return false }
            return try fields.string(6) == callID
        }
    }

    /// What a registrar's answer says of a SIP device's contact: texts that live as long as the call of `use`.
    public struct SIPTexts: ~Copyable {
        public let contactURI: UnsafeRawBufferPointer
        public let instanceID: UnsafeRawBufferPointer
        public let parameters: UnsafeRawBufferPointer
        public let callID: UnsafeRawBufferPointer
        public let regID: UInt32
    }

    /// Reads no more of a SIP device's contact than an answer to REGISTER lists, and copies nothing.
    /// - Throws: when it is none, or its bytes are not what `PackedContact` makes.
    public func withSIPTexts<Result>(_ use: (borrowing SIPTexts) -> Result) throws(MessagePackError) -> Result {
        guard kind == .sipuser else { throw MessagePackError.unexpected("a SIP device's contact") }
        return try MessagePack.decode(bytes[keyLength...]) { (value) throws(MessagePackError) in
            let fields = try value.array()
            return use(
                SIPTexts(
                    contactURI: try fields.value(1).text(), instanceID: try fields.value(2).text(),
                    parameters: try fields.value(11).text(), callID: try fields.value(6).text(),
                    regID: UInt32(clamping: try fields.unsigned(10))))
        }
    }

    /// Key and details, unpacked.
    public func registration() throws(MessagePackError) -> Registration {
        let key = try key()
        return try MessagePack.decode(bytes[keyLength...]) { (value) throws(MessagePackError) in
            let fields = try value.array()
            switch key.account.kind {
            case .user:
                return Registration(
                    account: key.account.name, contact: key.contact, user: try UserDetails(packed: fields))
            case .sipuser:
                return Registration(
                    account: key.account.name, contact: key.contact, sipuser: try SIPUserDetails(packed: fields))
            }
        }
    }
}

extension ContactKey {
    /// The key as one msgpack value, the form by which owners find contacts.
    public var packed: [UInt8] {
        var writer = MessagePackWriter(reserving: 64)
        writer.contactKey(self)
        return writer.finish()
    }

    public init(packed bytes: [UInt8]) throws(MessagePackError) {
        self = try MessagePack.decode(bytes[...]) { (value) throws(MessagePackError) in try ContactKey(packed: value) }
    }

    init(packed value: MessagePackValue) throws(MessagePackError) {
        let fields = try value.array()
        guard let kind = AccountKind(rawValue: UInt8(clamping: try fields.unsigned(0))) else {
            throw MessagePackError.unexpected("an account kind (0 or 1)")
        }
        self.init(kind, try fields.string(1), try fields.string(2))
    }
}

extension AccountID {
    /// The bytes with which every packed key of the account begins.
    public var packedPrefix: [UInt8] {
        var writer = MessagePackWriter(reserving: 64)
        writer.accountPrefix(self)
        return writer.finish()
    }

    /// That of the account whose contact has this packed key; the key itself, when it is none.
    public static func packedPrefix(ofKey key: [UInt8]) -> ArraySlice<UInt8> {
        // What is no key is of no account; whoever is asked for it says so.
        guard let account = try? ContactKey(packed: key).account else { return key[...] }
        return key[..<min(account.packedPrefix.count, key.count)]
    }
}

extension MessagePackWriter {
    mutating func contactKey(_ key: ContactKey) {
        accountPrefix(key.account)
        string(key.contact)
    }

    mutating func accountPrefix(_ account: AccountID) {
        array(3)
        unsigned(UInt64(account.kind.rawValue))
        string(account.name)
    }

    mutating func details(_ details: Registration.Details) {
        switch details {
        case .user(let user):
            array(5)
            string(user.sessionID)
            string(user.app)
            strings(user.caps)
            string(user.peerAddress)
            unsigned(UInt64(user.peerPort))
        case .sipuser(let sip):
            array(12)
            string(sip.login)
            string(sip.contactURI)
            string(sip.instanceID)
            string(sip.userAgent)
            string(sip.transport)
            strings(sip.path)
            string(sip.callID)
            unsigned(UInt64(sip.cseq))
            string(sip.peerAddress)
            unsigned(UInt64(sip.peerPort))
            unsigned(UInt64(sip.regID))
            string(sip.parameters)
        }
    }

    private mutating func strings(_ values: [String]) {
        array(values.count)
        for value in values { string(value) }
    }
}

extension UserDetails {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            sessionID: try fields.string(0), app: try fields.string(1), caps: try fields.strings(2),
            peerAddress: try fields.string(3), peerPort: UInt16(clamping: try fields.unsigned(4)))
    }
}

extension SIPUserDetails {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            login: try fields.string(0), contactURI: try fields.string(1), instanceID: try fields.string(2),
            regID: UInt32(clamping: try fields.unsigned(10)), parameters: try fields.string(11),
            userAgent: try fields.string(3), transport: try fields.string(4), path: try fields.strings(5),
            callID: try fields.string(6), cseq: UInt32(clamping: try fields.unsigned(7)),
            peerAddress: try fields.string(8), peerPort: UInt16(clamping: try fields.unsigned(9)))
    }
}
