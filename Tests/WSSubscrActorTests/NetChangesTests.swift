import ClusterRuntime
import Filtering
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// What subscribers of net changes are told, one case at a time.
struct NetChangesTests {
    private var follower: Follower
    private var owner = Owner()
    private var client = Client(1)
    private static let changes = SubscriptionMatcher(.all, changes: true)

    init() {
        var settings = FollowerSettings()
        settings.ringEntries = 100
        follower = Follower(domain: demo, settings: settings)
    }

    private mutating func run(_ events: [Follower.Event]) throws {
        for event in events { try client.take(follower.handle(event, at: at(0))) }
        try client.take(follower.handle(.turnEnded, at: at(0)))
    }

    private mutating func subscribe(
        _ matcher: SubscriptionMatcher? = NetChangesTests.changes, _ start: SubscribeRequest.Start? = nil
    ) throws {
        try run([
            .subscribe(SubscribeRequest(id: client.id, matcher: matcher, expires: .seconds(3600), start: start))
        ])
    }

    private func phone(
        _ account: String, transport: String = "udp", cseq: UInt32 = 1, path: [String] = []
    ) throws -> PackedContact {
        let details = SIPUserDetails(login: account, transport: transport, path: path, callID: "c\(cseq)", cseq: cseq)
        return try #require(PackedContact(Registration(account: account, contact: "desk", sipuser: details)))
    }

    private func put(_ contact: PackedContact) -> LogEntry.Change { .registered(contact, ttl: 60_000, replay: false) }

    /// Three people are registered, and the client holds them.
    private mutating func begin() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(["a", "b", "c"].map { put(contact($0)) })])
        try subscribe(Self.changes, .snapshot)
        #expect(client.set.count == 3)
        client.seen = []
    }

    private var told: [String] {
        client.seen.map { "\($0.position) \($0.type) \($0.contact)\($0.reason.isEmpty ? "" : " ")\($0.reason)" }
    }

    // MARK: The log

    @Test mutating func renewalsAreNotToldUnlessTheySayMore() throws {
        try begin()
        try run([owner.append([put(contact("a"))])])
        try run([owner.append([put(try phone("p")), put(try phone("p", cseq: 2)), put(try phone("p", cseq: 3))])])
        try run([owner.append([put(try phone("p", transport: "tls", cseq: 4))])])
        try run([owner.append([.unregistered(try phone("p", transport: "tls", cseq: 4), .unregisterContact)])])
        #expect(
            told == [
                "1:6 sipuser_registered sipuser/p/desk", "1:9 sipuser_registered sipuser/p/desk",
                "1:10 sipuser_unregistered sipuser/p/desk unregister_contact",
            ])
    }

    @Test mutating func failoverThatChangedNothingIsNotTold() throws {
        try begin()
        try run(owner.beginEpoch(2))
        try run(owner.beginEpoch(3, .moved) + [owner.append([put(contact("b"))])])
        #expect(told == [])
        try run([owner.append([put(contact("d"))])])
        #expect(told == ["3:6 user_registered user/d/c1"])
    }

    @Test mutating func whatIsNotRestatedEndsWithTheReplay() throws {
        try begin()
        (owner.epoch, owner.seq, owner.replayEnd) = (2, 0, 0)
        try run([.assigned(owner.assignment), owner.append([.clear(.failover), put(contact("d"))])])
        try run([owner.append([.registered(contact("a"), ttl: 60_000, replay: true)])])
        #expect(told == ["2:2 user_registered user/d/c1"])
        owner.replayEnd = 4
        try run([owner.append([.registered(contact("c"), ttl: 60_000, replay: true)])])
        #expect(told.dropFirst() == ["2:4 user_unregistered user/b/c1 delete_contact"])
        #expect(client.set == ["user/a/c1", "user/c/c1", "user/d/c1"])
    }

    @Test mutating func clearedStorageIsTold() throws {
        try begin()
        owner.live = [:]
        try run(owner.beginEpoch(2, .storageCleared))
        #expect(told == ["2:1 clear  storage_cleared"])
        #expect(client.set.isEmpty)
    }

    // MARK: Replaced lists

    @Test mutating func replacedListIsToldByClear() throws {
        try begin()
        _ = owner.append([.unregistered(contact("a"), .expiredContact), put(contact("d"))])
        try run([owner.snapshot(1)])
        #expect(client.seen.first?.reason == "resync" && client.set == Set(owner.live.keys))
        try run([owner.append([put(contact("d")), put(contact("e"))])])
        #expect(client.seen.last?.position.seq == 8)
    }

    @Test mutating func moreIsVoidThanIsKept() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append((0..<60).map { put(contact("u\($0)")) })])
        try subscribe(Self.changes, .snapshot)
        owner.live = ["user/u7/c1": contact("u7")]
        try run(owner.beginEpoch(2))
        while let event = client.ready() { try run([event]) }
        #expect(client.seen.last { $0.type == "clear" }?.reason == "resync")
        #expect(client.set == ["user/u7/c1"])
    }

    /// The list that they had begun anew with a moment before, since more came at once than is kept, has them all.
    @Test mutating func moreIsVoidThanIsKeptAfterABurst() throws {
        var settings = FollowerSettings()
        settings.ringEntries = 10
        follower = Follower(domain: demo, settings: settings)
        try run(owner.beginEpoch(1, .restart) + [owner.append((0..<20).map { put(contact("u\($0)")) })])
        try subscribe(Self.changes, .snapshot)
        (owner.epoch, owner.seq, owner.replayEnd) = (2, 0, 0)
        let restated = (0..<12).map { LogEntry.Change.registered(contact("u\($0)"), ttl: 60_000, replay: true) }
        try run([.assigned(owner.assignment), owner.append([.clear(.failover)] + restated)])
        while let event = client.ready() { try run([event]) }
        #expect(client.set.count == 20, "what is not restated may still be")
        owner.replayEnd = owner.seq
        try run([owner.append([])])
        while let event = client.ready() { try run([event]) }
        #expect(client.set == Set((0..<12).map { "user/u\($0)/c1" }))
    }

    @Test mutating func listThatIsGivenUpAmidASnapshotIsToldByClearAfterTheNextReplay() throws {
        try begin()
        owner.seq += 10
        let part = SnapshotChunk(
            domain: demo, epoch: 1, snapshot: 1, index: 0, after: owner.seq,
            contacts: [LiveContact(contact: contact("a"), ttl: 1_000)], seal: nil)
        try run([.chunk(part, from: owner.node)])
        owner.live["user/b/c1"] = nil
        try run(owner.beginEpoch(2))
        #expect(client.seen.first?.reason == "resync" && client.set == ["user/a/c1", "user/c/c1"])
    }

    // MARK: Slow sockets, and other nodes

    @Test mutating func slowSocketCatchesUpWithWhatChanged() throws {
        try begin()
        client.dropsPushed = true
        try run([owner.append([put(contact("a")), put(contact("d"))])])
        owner.live["user/b/c1"] = nil
        try run(owner.beginEpoch(2) + [owner.append([put(contact("e"))])])
        client.dropsPushed = false
        while let event = client.ready() { try run([event]) }
        #expect(
            told == [
                "1:6 user_registered user/d/c1", "2:4 user_unregistered user/b/c1 delete_contact",
                "2:5 user_registered user/e/c1",
            ])
    }

    @Test mutating func resumeAcrossAFailoverTellsWhatChanged() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(["a", "b", "c"].map { put(contact($0)) })])
        try run(owner.beginEpoch(2) + [owner.append([put(contact("d"))])])
        try subscribe(Self.changes, .after(Position(epoch: 1, seq: 4)))
        #expect(told == ["2:5 user_registered user/d/c1"])
    }

    /// What whoever comes from another node holds amid a replay depends on what that node held before.
    @Test(arguments: [(1, 3, true), (1, 5, false), (2, 1, false), (2, 4, false), (2, 5, true)])
    mutating func resumeIsExactOnlyWhereEveryNodeHoldsTheSame(epoch: UInt64, seq: UInt64, isExact: Bool) throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(["a", "b", "c"].map { put(contact($0)) })])
        try run(owner.beginEpoch(2) + [owner.append([put(contact("d"))])])
        try subscribe(Self.changes, .after(Position(epoch: epoch, seq: seq)))
        #expect((client.seen.first?.reason != "resync") == isExact)
    }

    // MARK: Modes and filters

    @Test mutating func changingTheModeBeginsAnewOnlyAmidAReplay() throws {
        try begin()
        try subscribe(.everything)
        try subscribe(Self.changes)
        #expect(told == [])
        (owner.epoch, owner.seq, owner.replayEnd) = (2, 0, 0)
        try run([.assigned(owner.assignment), owner.append([.clear(.failover)])])
        try subscribe(.everything)
        while let event = client.ready() { try run([event]) }
        #expect(told.first == "1:4 clear  snapshot" && told.last == "2:1 clear  failover" && client.set.isEmpty)
        try subscribe(Self.changes)
        while let event = client.ready() { try run([event]) }
        #expect(client.set.count == 3)
    }

    @Test mutating func whatLeavesTheFilterIsOver() throws {
        let secure = try Filter<EventProperty>(["==", ["property", "transport"], "tls"])
        let matchers = [true, false].map { SubscriptionMatcher(.all, filter: secure, changes: $0) }
        for (matcher, expected) in zip(matchers, [["+", "-"], ["+"]]) {
            var test = NetChangesTests()
            try test.run(test.owner.beginEpoch(1, .restart))
            try test.subscribe(matcher)
            try test.run([test.owner.append([put(try phone("p", transport: "tls")), put(try phone("q"))])])
            try test.run([test.owner.append([put(try phone("p", transport: "tcp")), put(try phone("q", cseq: 2))])])
            #expect(test.client.seen.map { $0.type == "sipuser_registered" ? "+" : "-" } == expected)
        }
    }

    @Test mutating func whoAsksForTheSameSharesOneBatch() throws {
        try run(owner.beginEpoch(1, .restart))
        let filter = try Filter<EventProperty>(["startswith", ["property", "user_id"], "a"])
        let mask = try Mask<EventProperty>(["user_id"])
        for number in 1...6 {
            let matcher = SubscriptionMatcher(.all, filter: filter, mask: number % 2 == 0 ? mask : nil)
            let request = SubscribeRequest(
                id: Client(UInt32(number)).id, matcher: matcher, expires: .seconds(60))
            _ = follower.handle(.subscribe(request), at: at(0))
        }
        _ = follower.handle(owner.append(["a", "b", "ab"].map { put(contact($0)) }), at: at(0))
        let deliveries = follower.handle(.turnEnded, at: at(0)).compactMap { directive -> Delivery? in
            if case .deliver(let delivery) = directive { return delivery }
            return nil
        }
        #expect(deliveries.map(\.to.count) == [3, 3])
        for delivery in deliveries {
            guard case .events(let batch, .pushed) = delivery.content else { continue }
            #expect(batch.tails.count == 2)
        }
        for number in 1...6 { _ = follower.handle(.cancel(Client(UInt32(number)).id), at: at(0)) }
        #expect(follower.audience.broad.isEmpty)
    }
}
