import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// What a REGISTER does to an account's contacts: RFC 3261 section 10.3.
struct DomainMachineBindingTests {
    private static func put(
        _ contact: String, account: String = "alice", call: String = "call", cseq: UInt32, ttl: UInt32 = 600_000
    ) throws -> Binding.Change {
        let details = SIPUserDetails(contactURI: "sip:\(contact)@192.0.2.1", callID: call, cseq: cseq)
        let registration = Registration(account: account, contact: contact, sipuser: details)
        return .put(try #require(PackedContact(registration)), ttl: ttl)
    }

    private static func remove(_ contact: String) -> Binding.Change {
        .remove(key: ContactKey(.sipuser, "alice", contact).packed)
    }

    private static func binding(_ cseq: UInt32, call: String = "call", _ changes: [Binding.Change]) -> Request.Operation
    {
        .bind(Binding(account: "alice", callID: call, cseq: cseq, changes: changes))
    }

    private static func contacts(_ result: Reply.Result?) throws -> [String] {
        guard case .bound(_, let contacts) = result else {
            Issue.record("expected a bound account, got \(String(describing: result))")
            return []
        }
        return try contacts.map { try $0.contact.key().contact }.sorted()
    }

    @Test func theAnswerHasEverythingTheAccountHasNow() throws {
        var cluster = try MachineCluster.alone()
        let first = cluster.request(Self.binding(1, [try Self.put("desk", cseq: 1), try Self.put("cell", cseq: 1)]))
        #expect(try Self.contacts(cluster.replies[first]) == ["cell", "desk"])
        let second = cluster.request(Self.binding(2, [Self.remove("desk"), try Self.put("soft", cseq: 2)]))
        #expect(try Self.contacts(cluster.replies[second]) == ["cell", "soft"])
    }

    @Test func nothingHappensWhenOneChangeIsRefused() throws {
        var cluster = try MachineCluster.alone(policy: DomainPolicy(maximumDevices: 2))
        cluster.request(Self.binding(1, [try Self.put("one", cseq: 1)]))
        let before = cluster["a"].replica.position
        let tooMany = cluster.request(
            Self.binding(2, [try Self.put("two", cseq: 2), try Self.put("three", cseq: 2)]))
        #expect(cluster.replies[tooMany] == .refused(.tooManyDevices(limit: 2)))
        let brief = cluster.request(
            Self.binding(3, [try Self.put("two", cseq: 3), try Self.put("one", cseq: 3, ttl: 1)]))
        #expect(cluster.replies[brief] == .refused(.intervalTooBrief(minimum: 30_000)))
        #expect(cluster["a"].replica.position == before)
        // What is ended in the same request makes room.
        let swap = cluster.request(
            Self.binding(4, [Self.remove("one"), try Self.put("two", cseq: 4), try Self.put("three", cseq: 4)]))
        #expect(try Self.contacts(cluster.replies[swap]) == ["three", "two"])
    }

    @Test func anOlderRequestOfTheCallChangesNothing() throws {
        var cluster = try MachineCluster.alone()
        cluster.request(Self.binding(5, [try Self.put("desk", cseq: 5)]))
        let older = cluster.request(Self.binding(4, [try Self.put("desk", cseq: 4)]))
        #expect(cluster.replies[older] == .refused(.outOfOrder))
        let removal = cluster.request(Self.binding(4, [Self.remove("desk")]))
        #expect(cluster.replies[removal] == .refused(.outOfOrder))
        let all = cluster.request(Self.binding(4, []))
        #expect(cluster.replies[all] == .refused(.outOfOrder))
        // A repetition, and another call, whatever its numbers.
        let again = cluster.request(Self.binding(5, [try Self.put("desk", cseq: 5)]))
        #expect(try Self.contacts(cluster.replies[again]) == ["desk"])
        let other = cluster.request(Self.binding(1, call: "reboot", [try Self.put("desk", call: "reboot", cseq: 1)]))
        #expect(try Self.contacts(cluster.replies[other]) == ["desk"])
    }

    @Test func theStarEndsEveryContactOfTheAccountAlone() throws {
        var cluster = try MachineCluster.alone()
        cluster.request(Self.binding(1, [try Self.put("desk", cseq: 1), try Self.put("cell", cseq: 1)]))
        try cluster.register("bob")
        cluster.forget()
        let all = cluster.request(Self.binding(2, []))
        #expect(try Self.contacts(cluster.replies[all]) == [])
        #expect(try cluster.accounts("a") == ["bob"])
        let reasons = cluster.storedEntries("a").map { entry -> UnregisterReason? in
            if case .unregistered(_, let reason) = entry.change { reason } else { nil }
        }
        #expect(reasons == [.unregisterContact, .unregisterContact])
    }

    @Test func theAnswerWaitsForTheStandby() throws {
        var cluster = try MachineCluster.pair()
        let id = cluster.request(Self.binding(1, [try Self.put("desk", cseq: 1)]))
        #expect(cluster.replies[id] == nil)
        cluster.settle()
        #expect(try Self.contacts(cluster.replies[id]) == ["desk"])
    }
}
