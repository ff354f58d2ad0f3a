import ClusterRuntime
import RegistrarEvents
import Testing

/// The table against a dictionary, under random operations.
struct ContactTableTests {
    /// What the table ought to hold.
    private struct Model {
        struct Entry {
            var contact: PackedContact
            var deadline: Int64
            var isCurrent: Bool
            /// Grows with each new registration: the newest comes first in its account's list.
            var born: Int
        }
        var entries: [ArraySlice<UInt8>: Entry] = [:]
        var births = 0

        mutating func put(_ contact: PackedContact, deadline: Int64) -> Bool {
            let known = entries[contact.keyBytes]
            births += known == nil ? 1 : 0
            entries[contact.keyBytes] = Entry(
                contact: contact, deadline: deadline, isCurrent: true, born: known?.born ?? births)
            return known == nil
        }
    }

    @Test(arguments: ReplicationFixture.seeds)
    func randomOperationsLeaveWhatTheModelHas(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var table = ContactTable()
        var model = Model()
        var now: Int64 = 1_000_000
        // Small populations meet every corner of slot reuse, large ones make the indexes grow.
        let accounts = seed % 2 == 0 ? 12 : 700
        for step in 0..<6_000 {
            try operate(&table, &model, &now, accounts, &random)
            try expectCounts(of: table, model)
            let account = random.below(accounts)
            if step % 8 == 0 { expectContacts(of: account, table, model) }
            if step % 500 == 0 { try expectSameList(table, model, &random) }
        }
        try expectSameList(table, model, &random)
    }

    private func operate(
        _ table: inout ContactTable, _ model: inout Model, _ now: inout Int64, _ accounts: Int,
        _ random: inout SplitMix64
    ) throws {
        let contact = try ReplicationFixture.contact(
            random.below(accounts), random.below(4), version: random.below(3))
        switch random.below(1_000) {
        case 0: table.removeAll(); model.entries = [:]
        case 1...5:
            table.beginGeneration()
            for key in model.entries.keys { model.entries[key]?.isCurrent = false }
        case 6...10:
            let stale = model.entries.filter { !$0.value.isCurrent }.count
            let accounts = table.accountCount
            model.entries = model.entries.filter { $0.value.isCurrent }
            var gone = 0
            #expect(table.sweep { _ in gone += 1 }.count == stale)
            #expect(table.accountCount == accounts - gone)
        case 11...300:
            let expected = model.entries.removeValue(forKey: contact.keyBytes)?.contact
            #expect(table.remove(key: contact.keyBytes) == expected)
        case 301...340:
            now += Int64(random.below(40_000))
            while let expired = table.popExpired(at: now) {
                let known = model.entries.removeValue(forKey: expired.keyBytes)
                let entry = try #require(known)
                #expect(entry.contact == expired)
                #expect(entry.deadline <= now, "expired \(entry.deadline - now) ms early")
            }
            let late = model.entries.values.filter { $0.deadline <= now - 256 }.count
            #expect(late == 0)
        default:
            let deadline = now + Int64(random.below(120_000))
            #expect((table.put(contact, deadline: deadline) == nil) == model.put(contact, deadline: deadline))
        }
    }

    private func expectCounts(of table: ContactTable, _ model: Model) throws {
        try #require(table.count == model.entries.count)
        try #require(table.currentCount == model.entries.values.filter(\.isCurrent).count)
        try #require(table.sipuserCount == model.entries.values.filter { $0.contact.kind == .sipuser }.count)
        try #require(table.userCount + table.sipuserCount == table.count)
        let accounts = Set(model.entries.values.map { $0.contact.bytes[..<$0.contact.accountLength] })
        try #require(table.accountCount == accounts.count)
        var listed: [ArraySlice<UInt8>] = []
        table.forEachAccount { listed.append($0.bytes[..<$0.accountLength]) }
        try #require(listed.count == accounts.count && Set(listed) == accounts)
    }

    private func expectContacts(of account: Int, _ table: ContactTable, _ model: Model) {
        let prefix = ReplicationFixture.account(account).packedPrefix
        let expected = model.entries.values.filter { $0.contact.keyBytes.starts(with: prefix) }
            .sorted { $0.born > $1.born }
        let found = table.contacts(of: ReplicationFixture.account(account))
        #expect(found.map(\.contact) == expected.map(\.contact))
        #expect(found.map(\.deadline) == expected.map(\.deadline))
    }

    /// The slots hold exactly the model, and a table filled in another order has the same digest.
    private func expectSameList(_ table: ContactTable, _ model: Model, _ random: inout SplitMix64) throws {
        var found: [ArraySlice<UInt8>: Model.Entry] = [:]
        for slot in 0..<table.slotCount {
            guard let held = table.contact(inSlot: slot) else { continue }
            found[held.contact.keyBytes] = Model.Entry(
                contact: held.contact, deadline: held.deadline, isCurrent: held.isCurrent, born: 0)
            #expect(table.contact(key: held.contact.keyBytes) == held.contact)
        }
        try #require(found.count == model.entries.count)
        for (key, entry) in model.entries {
            let held = try #require(found[key])
            #expect(held.contact == entry.contact && held.deadline == entry.deadline)
            #expect(held.isCurrent == entry.isCurrent)
        }
        var other = ContactTable()
        for entry in model.entries.values.shuffled(using: &random) { other.put(entry.contact, deadline: 0) }
        #expect(table.digest == other.digest)
    }

    @Test func differentListsHaveDifferentDigests() throws {
        var table = ContactTable()
        var seen: Set<UInt64> = [table.digest]
        for version in 0..<50 {
            table.put(try ReplicationFixture.contact(1, 1, version: version), deadline: 0)
            #expect(seen.insert(table.digest).inserted == true, "version \(version)")
        }
        for contact in 2..<50 {
            table.put(try ReplicationFixture.contact(1, contact), deadline: 0)
            #expect(seen.insert(table.digest).inserted == true, "contact \(contact)")
        }
    }

    @Test func slotsAreUsedAgain() throws {
        var table = ContactTable()
        for round in 0..<20 {
            for account in 0..<50 {
                table.put(try ReplicationFixture.contact(account, round), deadline: Int64(round) * 1_000)
            }
            for account in 0..<50 {
                let key = try ReplicationFixture.contact(account, round).keyBytes
                #expect(table.remove(key: key) != nil)
            }
        }
        #expect(table.slotCount == 50)
        #expect(table.count == 0 && table.digest == 0)
    }

    @Test func anAccountMayHaveManyContactsAndADomainManyAccounts() throws {
        var table = ContactTable()
        for contact in 0..<3_000 { table.put(try ReplicationFixture.contact(1, contact), deadline: 0) }
        for account in 2..<20_000 { table.put(try ReplicationFixture.contact(account, 0), deadline: 0) }
        #expect(table.contacts(of: ReplicationFixture.account(1)).count == 3_000)
        for account in stride(from: 2, to: 20_000, by: 97) {
            #expect(table.contacts(of: ReplicationFixture.account(account)).count == 1)
        }
        for contact in 0..<3_000 {
            #expect(table.remove(key: try ReplicationFixture.contact(1, contact).keyBytes) != nil)
        }
        #expect(table.contacts(of: ReplicationFixture.account(1)).isEmpty)
        #expect(table.count == 19_998)
    }

    /// Lengths come from a peer. What it gets wrong must not break the indexes of those who believe it.
    @Test func aKeyThatIsToldApartDifferentlyReplacesTheContact() throws {
        let contact = try ReplicationFixture.contact(1, 1)
        let odd = try #require(
            PackedContact(bytes: contact.bytes, accountLength: 2, keyLength: contact.keyLength))
        var table = ContactTable()
        #expect(table.put(contact, deadline: 5) == nil)
        #expect(table.put(odd, deadline: 5) == contact)
        #expect(table.count == 1)
        #expect(table.contacts(of: ReplicationFixture.account(1)).isEmpty)
        #expect(table.remove(key: contact.keyBytes) == odd)
        #expect(table.count == 0 && table.digest == 0)
        #expect(table.put(contact, deadline: 5) == nil)
        #expect(table.contacts(of: ReplicationFixture.account(1)).count == 1)
    }
}
