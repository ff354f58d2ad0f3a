import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// The view of accounts' states at one follower.
struct StatesTests {
    private var follower: Follower
    private var owner = Owner()
    private var client = StatesClient(1)
    private static let users = SubscriptionMatcher(.userStates)

    init() {
        var settings = FollowerSettings()
        settings.sliceBytes = 2_000
        settings.ringEntries = 100
        follower = Follower(domain: demo, settings: settings)
    }

    private mutating func run(_ events: [Follower.Event], at time: Int64 = 0) throws {
        for event in events { try client.take(follower.handle(event, at: at(time))) }
        try client.take(follower.handle(.turnEnded, at: at(time)))
    }

    private mutating func subscribe(
        _ matcher: SubscriptionMatcher? = users, _ start: SubscribeRequest.Start? = nil
    ) throws {
        try run([.subscribe(SubscribeRequest(id: client.id, matcher: matcher, expires: .seconds(3600), start: start))])
    }

    private mutating func pullAll() throws {
        while let event = client.ready() { try run([event]) }
    }

    private func registered(_ account: String, _ number: Int = 1) -> LogEntry.Change {
        .registered(contact(account, number), ttl: 60_000, replay: false)
    }

    private func ended(
        _ account: String, _ number: Int = 1, _ reason: UnregisterReason = .unregisterContact
    ) -> LogEntry.Change { .unregistered(contact(account, number), reason) }

    private func accounts(_ numbers: Range<Int>) -> [LogEntry.Change] { numbers.map { registered("u\($0)") } }

    private func notice(_ epoch: UInt64, _ seq: UInt64, _ id: String, _ status: String) -> StatesClient.Notice {
        .init(position: Position(epoch: epoch, seq: seq), what: "2", id: id, status: status)
    }

    // MARK: What is told

    @Test(arguments: [UnregisterReason.unregisterContact, .expiredContact, .deleteContact, .deleteAOR])
    mutating func firstContactAndLastAreToldAndNothingBetween(_ reason: UnregisterReason) throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        try run([owner.append([registered("a", 1), registered("a", 2), registered("a", 1), registered("a", 2)])])
        try run([owner.append([ended("a", 1, reason), registered("a", 3), ended("a", 2, reason)])])
        #expect(client.seen == [notice(1, 2, "a", "online")])
        try run([owner.append([ended("a", 3, reason)])])
        #expect(client.seen == [notice(1, 2, "a", "online"), notice(1, 9, "a", "offline")])
    }

    @Test mutating func changesOfOneTurnAreAllTold() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        try run([owner.append([registered("a"), ended("a"), registered("a"), ended("a"), registered("b")])])
        let expected = [
            notice(1, 2, "a", "online"), notice(1, 3, "a", "offline"), notice(1, 4, "a", "online"),
            notice(1, 5, "a", "offline"), notice(1, 6, "b", "online"),
        ]
        #expect(client.seen == expected)
    }

    @Test mutating func viewsAndAccountsAreKeptApart() throws {
        let phone = try #require(
            PackedContact(Registration(account: "a", contact: "c1", sipuser: SIPUserDetails(login: "a"))))
        try run(owner.beginEpoch(1, .restart))
        try subscribe(SubscriptionMatcher(.sipuserStates, objects: ["a", "b"]))
        try run([owner.append([registered("a"), registered("x"), .registered(phone, ttl: 60_000, replay: false)])])
        #expect(client.seen == [notice(1, 4, "a", "online")])
        try run([owner.append([ended("a"), .unregistered(phone, .deleteContact)])])
        #expect(client.seen.last == notice(1, 6, "a", "offline"))
        #expect(client.seen.count == 2)
    }

    @Test mutating func moreEventsAtOnceThanAreKeptAreNothingToStates() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<5))])
        try subscribe(Self.users, .snapshot)
        try pullAll()
        let change = owner.append([registered("z")])
        try run([change] + (0..<3).map { _ in owner.append((0..<50).map { registered("u\($0 % 5)") }) })
        #expect(client.seen.count == 7)
        #expect(client.seen.last == notice(1, 7, "z", "online"))
        try run([owner.append([ended("u3")])])
        #expect(client.seen.last == notice(1, 158, "u3", "offline"))
    }

    // MARK: Failover

    @Test mutating func failoverThatChangesNothingIsNotNoticed() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<5))])
        try subscribe()
        try run(owner.beginEpoch(2))
        #expect(client.seen.isEmpty)
        try run([owner.append([ended("u3")])])
        #expect(client.seen == [notice(2, 7, "u3", "offline")])
    }

    @Test mutating func whatARestartLostIsToldOnceAtTheEndOfTheReplay() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<5) + [registered("u1", 2)])])
        try subscribe(Self.users, .snapshot)
        owner.live["user/u0/c1"] = nil
        owner.live["user/u1/c1"] = nil
        owner.live["user/u4/c1"] = nil
        // In one append with what follows: the notices are of the replay's end all the same.
        var events = owner.beginEpoch(2, .restart)
        let end = owner.replayEnd
        events.append(owner.append([registered("z")]))
        try run(events)
        let told = Array(client.seen.dropFirst(6))
        #expect(told.map(\.position) == [end, end, end + 1].map { Position(epoch: 2, seq: $0) })
        #expect(told.map(\.id).sorted() == ["u0", "u4", "z"])
        #expect(client.online == ["u1", "u2", "u3", "z"])
    }

    @Test mutating func whileAReplayGoesOnNothingIsTold() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<3))])
        try subscribe()
        (owner.epoch, owner.seq, owner.replayEnd) = (2, 0, 0)
        try run([.assigned(owner.assignment), owner.append([.clear(.failover), registered("new")])])
        var late = StatesClient(2)
        let request = SubscribeRequest(id: late.id, matcher: Self.users, expires: .seconds(60), start: .snapshot)
        try late.take(follower.handle(.subscribe(request), at: at(0)))
        #expect(client.seen.isEmpty && late.answers.isEmpty)
        let restated = [0, 2].map { LogEntry.Change.registered(contact("u\($0)"), ttl: 60_000, replay: true) }
        owner.live = [:]
        try run([owner.append(restated)])
        #expect(client.seen.isEmpty)
        // The owner says later that this was all.
        owner.replayEnd = 4
        let news = owner.append([])
        let told = follower.handle(news, at: at(0)) + follower.handle(.turnEnded, at: at(0))
        try late.take(told)
        try client.take(told)
        #expect(client.seen == [notice(2, 2, "new", "online"), notice(2, 4, "u1", "offline")])
        #expect(late.answers == [.accepted(Position(epoch: 2, seq: 4))])
        #expect(late.online == ["u0", "u2", "new"])
    }

    @Test mutating func storageClearedEndsEveryAccountOnce() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<60) + [registered("u1", 2)])])
        try subscribe(Self.users, .snapshot)
        try pullAll()
        owner.live = [:]
        try run(owner.beginEpoch(2, .storageCleared))
        #expect(client.online.isEmpty)
        #expect(client.seen.suffix(60).allSatisfy { $0.position == Position(epoch: 2, seq: 1) && $0.what == "2" })
        #expect(client.seen.count == 121)
    }

    @Test mutating func moreThanCanBeListedAtOnceIsToldByClear() throws {
        for start in stride(from: 0, to: 150, by: 50) {
            try run((start == 0 ? owner.beginEpoch(1, .restart) : []) + [owner.append(accounts(start..<start + 50))])
        }
        try subscribe(Self.users, .snapshot)
        try pullAll()
        owner.live = ["user/u7/c1": contact("u7")]
        try run(owner.beginEpoch(2, .restart))
        try pullAll()
        #expect(client.seen.suffix(2).map(\.what) == ["clear", "1"])
        #expect(client.online == ["u7"])
        try run([owner.append([ended("u7")])])
        #expect(client.online.isEmpty)
    }

    // MARK: Snapshots and resuming

    @Test mutating func snapshotNamesEachAccountOnceAndIsFollowedByWhatChanges() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<50) + [registered("u7", 2)])])
        try subscribe(Self.users, .snapshot)
        try run([owner.append([registered("late"), ended("u0"), ended("u7")])])
        try pullAll()
        #expect(client.seen.first?.what == "clear")
        #expect(client.seen.count(where: { $0.what == "1" }) == 50)
        #expect(client.seen.suffix(2) == [notice(1, 53, "late", "online"), notice(1, 54, "u0", "offline")])
        #expect(client.online.count == 50)
    }

    @Test mutating func snapshotOfSingleAccountsHoldsOnlyThem() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<50) + [registered("u7", 2)])])
        try subscribe(SubscriptionMatcher(.userStates, objects: ["u7", "nobody"]), .snapshot)
        #expect(client.online == ["u7"])
        #expect(!client.owesReady)
    }

    @Test mutating func resumeGivesTheChangesSinceHoweverManyRenewalsThereWere() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<10))])
        for _ in 0..<50 { try run([owner.append(accounts(0..<10))]) }
        try run(owner.beginEpoch(2) + [owner.append([ended("u1")])])
        try subscribe(Self.users, .after(Position(epoch: 1, seq: 9)))
        try pullAll()
        #expect(client.answers == [.accepted(Position(epoch: 1, seq: 9))])
        let expected = [notice(1, 10, "u8", "online"), notice(1, 11, "u9", "online"), notice(2, 12, "u1", "offline")]
        #expect(client.seen == expected)
        try run([owner.append([registered("z")])])
        #expect(client.seen.last == notice(2, 13, "z", "online"))
    }

    /// What was known at these positions is not what was known here.
    @Test(arguments: [(2, 3), (2, 12), (1, 400), (3, 1), (2, 400)] as [(UInt64, UInt64)])
    mutating func resumeFromAmidAReplayOrFromElsewhereIsToldByClear(_ epoch: UInt64, _ seq: UInt64) throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<10))])
        try run(owner.beginEpoch(2) + [owner.append([ended("u1")])])
        #expect(owner.replayEnd == 11)
        try subscribe(Self.users, .after(Position(epoch: epoch, seq: seq == 12 ? 11 : seq)))
        try pullAll()
        #expect(client.seen.first?.what == "clear")
        #expect(client.online == Set((0..<10).map { "u\($0)" }).subtracting(["u1"]))
    }

    @Test mutating func slowSocketCatchesUpWithWhatItMissed() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<10))])
        try subscribe(Self.users, .snapshot)
        client.dropsPushed = true
        for round in 0..<4 { try run([owner.append(accounts(10 + round * 10..<20 + round * 10))]) }
        client.dropsPushed = false
        try pullAll()
        #expect(client.seen.count(where: { $0.what == "clear" }) == 1)
        #expect(client.online.count == 50)
    }

    @Test mutating func replacedListIsToldByClear() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(0..<5))])
        try subscribe()
        owner.seq += 100
        owner.live["user/u0/c1"] = nil
        try run([owner.snapshot(1)])
        #expect(client.seen.first?.what == "clear")
        #expect(client.online == ["u1", "u2", "u3", "u4"])
        try run([owner.append([ended("u1")])])
        #expect(client.online == ["u2", "u3", "u4"])
    }

    @Test mutating func historyIsBounded() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        for round in 0..<40 {
            try run([owner.append((0..<20).map { round % 2 == 0 ? registered("u\($0)") : ended("u\($0)") })])
            #expect(follower.states.count <= 100)
        }
        #expect(client.seen.count == 800)
        for epoch in 2...600 { try run(owner.beginEpoch(UInt64(epoch))) }
        try subscribe(Self.users, .after(Position(epoch: 2, seq: 2)))
        #expect(client.seen.last?.what == "clear")
    }
}
