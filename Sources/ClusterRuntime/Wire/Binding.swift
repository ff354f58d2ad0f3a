public import RegistrarEvents

/// What one REGISTER asks for: changes of a sipuser's contacts that happen together or not at all.
///
/// Source: RFC 3261 section 10.3, steps 6 and 7. A contact that was changed by the same call with a higher CSeq stays
/// as it is, and then nothing of the binding happens. The same CSeq again is a repetition and changes nothing more
/// than the deadline.
public struct Binding: Sendable, Hashable {
    public enum Change: Sendable, Hashable {
        /// Add or refresh for `ttl` milliseconds.
        case put(PackedContact, ttl: UInt32)
        /// End the contact with this packed key.
        case remove(key: [UInt8])
    }

    /// The sipuser.
    public var account: String
    /// The request's Call-ID and CSeq, by which it is older or newer than what is there.
    public var callID: String
    public var cseq: UInt32
    /// In the order of the request. None of them means all contacts of the account: `Contact: *`.
    public var changes: [Change]

    /// Most changes of one request; more are refused where requests come in. Own decision.
    public static let maximumChanges = 16

    public init(account: String, callID: String, cseq: UInt32, changes: [Change]) {
        self.account = account
        self.callID = callID
        self.cseq = cseq
        self.changes = changes
    }

    /// Whether all changes are of the account's contacts. A binding that comes in from outside is checked for it.
    public var isOfOneAccount: Bool {
        let prefix = AccountID(.sipuser, account).packedPrefix
        return changes.allSatisfy { $0.key.starts(with: prefix) }
    }

    /// What the packed keys of the account's contacts begin with.
    public var accountPrefix: ArraySlice<UInt8> {
        // Packed already in what is put there.
        guard case .put(let contact, _) = changes.first else { return AccountID(.sipuser, account).packedPrefix[...] }
        return contact.bytes[..<contact.accountLength]
    }
}

extension Binding.Change {
    /// The packed key of the contact that it is about.
    public var key: ArraySlice<UInt8> {
        switch self {
        case .put(let contact, _): contact.keyBytes
        case .remove(let key): key[...]
        }
    }

    /// Whether it is about this contact.
    public func concerns(_ contact: PackedContact) -> Bool {
        switch self {
        case .put(let other, _):
            other.bytes.withUnsafeBytes { contact.hasKey(UnsafeRawBufferPointer(rebasing: $0[..<other.keyLength])) }
        case .remove(let key): key.withUnsafeBytes(contact.hasKey)
        }
    }
}
