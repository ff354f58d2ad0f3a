import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// What an owner grants, and within which limits.
struct DomainMachineRequestTests {
    @Test func timesToLiveAreKeptWithinTheDomainsLimits() throws {
        var cluster = try MachineCluster.alone(policy: DomainPolicy(minimumTTL: 30_000, maximumTTL: 3_600_000))
        for (asked, expected) in [
            (29_999, .refused(.intervalTooBrief(minimum: 30_000))), (0, .refused(.intervalTooBrief(minimum: 30_000))),
            (30_000, .registered(Position(epoch: 1, seq: 2), ttl: 30_000)),
            (3_600_000, .registered(Position(epoch: 1, seq: 3), ttl: 3_600_000)),
            (.max, .registered(Position(epoch: 1, seq: 4), ttl: 3_600_000)),
        ] as [(UInt32, Reply.Result)] {
            let id = try cluster.register("alice", ttl: asked)
            #expect(cluster.replies[id] == expected)
        }
    }

    @Test func anAccountHasSoManyDevicesButMayRenewThem() throws {
        var cluster = try MachineCluster.alone(policy: DomainPolicy(maximumDevices: 2))
        try cluster.register("alice", "one")
        try cluster.register("alice", "two")
        let third = try cluster.register("alice", "three")
        #expect(cluster.replies[third] == .refused(.tooManyDevices(limit: 2)))
        let renewal = try cluster.register("alice", "one")
        #expect(cluster.replies[renewal] == .registered(Position(epoch: 1, seq: 4), ttl: 600_000))
        let other = try cluster.register("bob", "three")
        #expect(cluster.replies[other] == .registered(Position(epoch: 1, seq: 5), ttl: 600_000))
        cluster.unregister("alice", "two")
        let again = try cluster.register("alice", "three")
        #expect(cluster.replies[again] == .registered(Position(epoch: 1, seq: 7), ttl: 600_000))
    }

    @Test func aFullDomainRenewsButTakesNobodyNew() throws {
        var cluster = try MachineCluster.alone(policy: DomainPolicy(maximumContacts: 2))
        try cluster.register("alice")
        try cluster.register("bob")
        let refused = try cluster.register("carol")
        #expect(cluster.replies[refused] == .refused(.domainFull(limit: 2)))
        let renewal = try cluster.register("bob")
        #expect(cluster.replies[renewal] == .registered(Position(epoch: 1, seq: 4), ttl: 600_000))
    }

    @Test func unregisteringWhatIsGoneWaitsForWhatEndedIt() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice")
        cluster.lease("a", milliseconds: 60_000)
        cluster.settle()
        let first = cluster.unregister("alice")
        let second = cluster.unregister("alice")
        #expect(cluster.replies[first] == nil && cluster.replies[second] == nil)
        cluster.settle()
        #expect(cluster.replies[first] == .unregistered(Position(epoch: 1, seq: 3), count: 1))
        #expect(cluster.replies[second] == .unregistered(Position(epoch: 1, seq: 3), count: 0))
    }

    @Test func unregisteringNobodyIsAnsweredAtOnceWhenEverythingIsCommitted() throws {
        var cluster = try MachineCluster.pair()
        cluster.lease("a", milliseconds: 60_000)
        let id = cluster.unregister("nobody")
        #expect(cluster.replies[id] == .unregistered(Position(epoch: 1, seq: 1), count: 0))
    }

    @Test func deletingAnAccountEndsAllItsContactsAndNoOthers() throws {
        var cluster = try MachineCluster.alone()
        for contact in ["one", "two", "three"] { try cluster.register("alice", contact) }
        try cluster.register("alicex", "one")
        cluster.forget()
        let id = cluster.request(.deleteAccount(AccountID(.sipuser, "alice")))
        #expect(cluster.replies[id] == .unregistered(Position(epoch: 1, seq: 8), count: 3))
        #expect(try cluster.accounts("a") == ["alicex"])
        let reasons = cluster.storedEntries("a").map { entry -> UnregisterReason? in
            if case .unregistered(_, let reason) = entry.change { reason } else { nil }
        }
        #expect(reasons == [.deleteAOR, .deleteAOR, .deleteAOR])
    }

    @Test func pagesCoverTheWholeListOnce() throws {
        var cluster = try MachineCluster.alone()
        for number in 0..<1_234 { try cluster.register("u\(number)") }
        for number in stride(from: 0, to: 1_234, by: 3) { cluster.unregister("u\(number)") }
        var (cursor, pages, accounts) = (UInt32(0), 0, [String]())
        repeat {
            let id = cluster.request(.list(cursor: cursor, account: nil))
            guard case .page(let contacts, let next, let position) = cluster.replies[id] else {
                Issue.record("expected a page, got \(String(describing: cluster.replies[id]))")
                return
            }
            #expect(contacts.count <= 500)
            #expect(position == cluster["a"].replica.position)
            accounts += try contacts.map { try $0.contact.key().account.name }
            #expect(contacts.allSatisfy { $0.ttl > 0 && $0.ttl <= 600_000 })
            (cursor, pages) = (next, pages + 1)
        } while cursor != 0
        #expect(pages == 2)
        #expect(try accounts.sorted() == cluster.accounts("a"))
    }

    @Test func pagesOfLargeContactsAreCutToFitAFrame() throws {
        var cluster = try MachineCluster.alone()
        let padding = String(repeating: "x", count: 900)
        for number in 0..<600 { try cluster.register("u\(number)" + padding, "c" + padding) }
        var (cursor, accounts) = (UInt32(0), [String]())
        repeat {
            let id = cluster.request(.list(cursor: cursor, account: nil))
            guard case .page(let contacts, let next, _) = cluster.replies[id] else {
                Issue.record("expected a page, got \(String(describing: cluster.replies[id]))")
                return
            }
            #expect(contacts.reduce(0) { $0 + $1.contact.bytes.count + 16 } < 2 * Limits.listBytes)
            accounts += try contacts.map { try $0.contact.key().account.name }
            cursor = next
        } while cursor != 0
        #expect(try accounts.sorted() == cluster.accounts("a"))
    }

    @Test func thePageOfAnAccountHasAllItsContacts() throws {
        var cluster = try MachineCluster.alone()
        for contact in ["one", "two"] { try cluster.register("alice", contact) }
        try cluster.register("bob")
        let id = cluster.request(.list(cursor: 0, account: AccountID(.sipuser, "alice")))
        guard case .page(let contacts, 0, _) = cluster.replies[id] else {
            Issue.record("expected a last page, got \(String(describing: cluster.replies[id]))")
            return
        }
        #expect(try contacts.map { try $0.contact.key().contact }.sorted() == ["one", "two"])
        let beyond = cluster.request(.list(cursor: .max, account: nil))
        #expect(cluster.replies[beyond] == .page([], next: 0, position: cluster["a"].replica.position))
    }

    @Test func moreThanMayWaitIsRefusedAsOverload() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(maximumUncommitted: 5))
        let ids = try (0..<8).map { try cluster.register("u\($0)") }
        #expect(ids.prefix(5).allSatisfy { cluster.replies[$0] == nil })
        #expect(ids.suffix(3).allSatisfy { cluster.replies[$0] == .refused(.overloaded) })
        cluster.settle()
        let later = try cluster.register("later")
        cluster.settle()
        #expect(cluster.replies[later] == .registered(Position(epoch: 1, seq: 7), ttl: 600_000))
    }

    /// They append nothing, but each of them takes up room until it is answered.
    @Test func requestsThatChangeNothingAreBoundedAsWell() throws {
        var cluster = try MachineCluster.pair(policy: DomainPolicy(maximumUncommitted: 5))
        cluster.lease("a", milliseconds: 60_000)
        try cluster.register("alice")
        let ids = (0..<8).map { _ in cluster.unregister("nobody") }
        #expect(ids.filter { cluster.replies[$0] == .refused(.overloaded) }.count == 4)
        cluster.settle()
        #expect(ids.allSatisfy { cluster.replies[$0] != nil })
    }
}

extension MachineCluster {
    /// The log entries that a machine had stored since the last `forget`.
    func storedEntries(_ name: String) -> [LogEntry] {
        records[NodeName(name), default: []].flatMap { record -> [LogEntry] in
            guard case .entries(_, let entries) = record else { return [] }
            return entries
        }
    }
}
