public import RegistrarEvents

/// The live list of one domain: contacts by key, by account and by deadline.
///
/// One heap buffer a contact; all indexes are links and slot numbers in flat arrays, so a million contacts are a
/// million small buffers and a handful of large ones. Times are milliseconds on the domain's own clock, which its
/// replica can hold still (`DomainReplica.stretch`).
///
/// A *generation* marks what has been restated since the last `clear`: after `beginGeneration` every contact is of an
/// earlier one until it is put again, and `sweep` ends those that never were.
public struct ContactTable: Sendable {
    struct Slot: Sendable {
        var contact: PackedContact?
        var deadline: Int64 = 0
        var keyHash: UInt64 = 0
        var digest: UInt64 = 0
        var generation: UInt32 = 0
        var accountNext = ContactTable.none
        var accountPrevious = ContactTable.none
        var timerNext = ContactTable.none
        var timerPrevious = ContactTable.none
        /// Which list of the wheel the slot is in.
        var timerList = ExpiryWheel.noList
    }

    static let none = UInt32.max

    var slots: [Slot] = []
    var wheel = ExpiryWheel()
    private var free = Self.none
    private var keys = SlotIndex()
    private var accounts = SlotIndex()

    public private(set) var generation: UInt32 = 0
    /// Contacts in all, by kind of account, and in the current generation.
    public private(set) var count = 0
    public private(set) var sipuserCount = 0
    public private(set) var currentCount = 0
    public var userCount: Int { count - sipuserCount }
    /// Accounts that have a contact, of whatever generation.
    public private(set) var accountCount = 0
    /// The sum of all contacts' hashes: equal lists have equal digests, in whatever order they came about.
    public private(set) var digest: UInt64 = 0

    public init() {}

    // MARK: Changing

    /// Registers or renews: the contact is live until `deadline`.
    /// - Returns: the contact that it replaces; nil when it is new.
    @discardableResult
    public mutating func put(_ contact: PackedContact, deadline: Int64) -> PackedContact? {
        let (hash, digest) = Self.hashes(of: contact)
        var previous: PackedContact?
        if let slot = find(hash, contact) {
            if slots[Int(slot)].contact?.accountLength == contact.accountLength {
                return renewSlot(slot, contact, digest, deadline)
            }
            // The same key, told apart differently: only a faulty peer does this, but the account index must not break.
            previous = removeSlot(slot)
        }
        let slot = takeSlot()
        slots[Int(slot)] = Slot(
            contact: contact, deadline: deadline, keyHash: hash, digest: digest, generation: generation)
        keys.insert(slot, hash: hash)
        linkAccount(slot, contact)
        schedule(slot)
        count += 1
        currentCount += 1
        if contact.kind == .sipuser { sipuserCount += 1 }
        self.digest &+= digest
        return previous
    }

    /// Ends the contact with this packed key.
    /// - Returns: the contact as it was, nil when there is none.
    public mutating func remove(key: ArraySlice<UInt8>) -> PackedContact? {
        guard let slot = find(key) else { return nil }
        return removeSlot(slot)
    }

    /// The next contact whose deadline has passed, removed; nil when there is none.
    public mutating func popExpired(at now: Int64) -> PackedContact? {
        advanceWheel(to: now)
        guard let slot = wheel.firstDue else { return nil }
        return removeSlot(slot)
    }

    /// Starts a generation: nothing is restated yet.
    public mutating func beginGeneration() {
        generation &+= 1
        currentCount = 0
    }

    /// Ends every contact of an earlier generation.
    /// - Parameter lastOfAccount: is handed each of them whose account has none left.
    /// - Returns: those, in the order of slots.
    @discardableResult
    public mutating func sweep(_ lastOfAccount: (PackedContact) -> Void = { _ in }) -> [PackedContact] {
        guard currentCount != count else { return [] }
        var ended: [PackedContact] = []
        for slot in slots.indices where slots[slot].contact != nil && slots[slot].generation != generation {
            let accounts = accountCount
            let contact = removeSlot(UInt32(slot))
            if accountCount < accounts { lastOfAccount(contact) }
            ended.append(contact)
        }
        return ended
    }

    public mutating func removeAll() {
        let generation = generation
        self = ContactTable()
        self.generation = generation
    }

    // MARK: Asking

    /// Slots are numbered from 0; this one and later ones are free of contacts.
    public var slotCount: Int { slots.count }

    /// What a slot holds.
    public func contact(inSlot slot: Int) -> (contact: PackedContact, deadline: Int64, isCurrent: Bool)? {
        guard let contact = slots[slot].contact else { return nil }
        return (contact, slots[slot].deadline, slots[slot].generation == generation)
    }

    public func contact(key: ArraySlice<UInt8>) -> PackedContact? {
        find(key).flatMap { slots[Int($0)].contact }
    }

    /// What is there now under a contact's key, unless it has yet to be restated.
    func live(_ contact: PackedContact) -> (contact: PackedContact, deadline: Int64)? {
        find(contact.keyBytes).flatMap { slot in
            self.contact(inSlot: Int(slot)).flatMap { $0.isCurrent ? ($0.contact, $0.deadline) : nil }
        }
    }

    public func contains(key: ArraySlice<UInt8>) -> Bool { find(key) != nil }

    /// The contacts of an account with their deadlines, the newest first.
    public func contacts(of account: AccountID) -> [(contact: PackedContact, deadline: Int64)] {
        contacts(accountPrefix: account.packedPrefix[...])
    }

    public func contacts(accountPrefix prefix: ArraySlice<UInt8>) -> [(contact: PackedContact, deadline: Int64)] {
        var found: [(contact: PackedContact, deadline: Int64)] = []
        forEachContact(accountPrefix: prefix) { found.append((contact: $0, deadline: $1)) }
        return found
    }

    /// The same one by one.
    public func forEachContact(
        accountPrefix prefix: ArraySlice<UInt8>, _ body: (_ contact: PackedContact, _ deadline: Int64) -> Void
    ) {
        var slot = findAccount(prefix) ?? Self.none
        while slot != Self.none {
            if let contact = slots[Int(slot)].contact { body(contact, slots[Int(slot)].deadline) }
            slot = slots[Int(slot)].accountNext
        }
    }

    /// One contact of each account, of whatever generation, in the order of slots.
    public func forEachAccount(_ body: (PackedContact) -> Void) {
        for slot in slots where slot.accountPrevious == Self.none {
            if let contact = slot.contact { body(contact) }
        }
    }

    // MARK: Slots

    private mutating func takeSlot() -> UInt32 {
        guard free != Self.none else {
            precondition(slots.count < Int(UInt32.max) - 1, "a domain holds at most 2^32 - 2 contacts")
            slots.append(Slot())
            return UInt32(slots.count - 1)
        }
        let slot = free
        free = slots[Int(slot)].timerNext
        return slot
    }

    private mutating func renewSlot(
        _ slot: UInt32, _ contact: PackedContact, _ digest: UInt64, _ deadline: Int64
    ) -> PackedContact? {
        let previous = slots[Int(slot)].contact
        self.digest = self.digest &- slots[Int(slot)].digest &+ digest
        if slots[Int(slot)].generation != generation { currentCount += 1 }
        slots[Int(slot)].contact = contact
        slots[Int(slot)].digest = digest
        slots[Int(slot)].generation = generation
        reschedule(slot, deadline)
        return previous
    }

    private mutating func removeSlot(_ slot: UInt32) -> PackedContact {
        guard let contact = slots[Int(slot)].contact else { preconditionFailure("slot \(slot) is free already") }
        keys.remove(slot, hash: slots[Int(slot)].keyHash)
        unlinkAccount(slot, contact)
        unschedule(slot)
        count -= 1
        if slots[Int(slot)].generation == generation { currentCount -= 1 }
        if contact.kind == .sipuser { sipuserCount -= 1 }
        digest &-= slots[Int(slot)].digest
        slots[Int(slot)] = Slot()
        slots[Int(slot)].timerNext = free
        free = slot
        return contact
    }

    // MARK: By key

    /// One pass over the bytes gives both: the digest goes on where the key's hash ended.
    private static func hashes(of contact: PackedContact) -> (key: UInt64, digest: UInt64) {
        contact.bytes.withUnsafeBytes { bytes in
            let key = StableHash.hash(UnsafeRawBufferPointer(rebasing: bytes[..<contact.keyLength]))
            let digest = StableHash.hash(UnsafeRawBufferPointer(rebasing: bytes[contact.keyLength...]), seed: key)
            return (key, digest)
        }
    }

    private func find(_ hash: UInt64, _ contact: PackedContact) -> UInt32? {
        contact.bytes.withUnsafeBytes { bytes in
            find(hash, UnsafeRawBufferPointer(rebasing: bytes[..<contact.keyLength]))
        }
    }

    private func find(_ key: ArraySlice<UInt8>) -> UInt32? {
        key.withUnsafeBytes { find(StableHash.hash($0), $0) }
    }

    private func find(_ hash: UInt64, _ key: UnsafeRawBufferPointer) -> UInt32? {
        keys.find(hash) { slots[Int($0)].contact?.hasKey(key) == true }
    }

    // MARK: By account

    private static func accountHash(_ contact: PackedContact) -> UInt64 {
        contact.bytes.withUnsafeBytes {
            StableHash.hash(UnsafeRawBufferPointer(rebasing: $0[..<contact.accountLength]))
        }
    }

    private func findAccount(_ prefix: ArraySlice<UInt8>) -> UInt32? {
        prefix.withUnsafeBytes { prefix in
            accounts.find(StableHash.hash(prefix)) { slots[Int($0)].contact?.isOfAccount(prefix) == true }
        }
    }

    /// The newest contact of an account heads its list and stands for it in the index.
    private mutating func linkAccount(_ slot: UInt32, _ contact: PackedContact) {
        let hash = Self.accountHash(contact)
        if let head = findAccount(contact.bytes[..<contact.accountLength]) {
            slots[Int(slot)].accountNext = head
            slots[Int(head)].accountPrevious = slot
            accounts.replace(head, with: slot, hash: hash)
        } else {
            accounts.insert(slot, hash: hash)
            accountCount += 1
        }
    }

    private mutating func unlinkAccount(_ slot: UInt32, _ contact: PackedContact) {
        let next = slots[Int(slot)].accountNext
        let previous = slots[Int(slot)].accountPrevious
        if next != Self.none { slots[Int(next)].accountPrevious = previous }
        if previous != Self.none {
            slots[Int(previous)].accountNext = next
        } else if next != Self.none {
            accounts.replace(slot, with: next, hash: Self.accountHash(contact))
        } else {
            accounts.remove(slot, hash: Self.accountHash(contact))
            accountCount -= 1
        }
    }
}
