import ClusterRuntime
import Filtering
import RegistrarEvents
import Testing

@testable import WSSubscrActor

struct FollowerTests {
    private var follower: Follower
    private var owner = Owner()
    private var client = Client(1)

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
        _ matcher: SubscriptionMatcher? = .everything, _ start: SubscribeRequest.Start? = nil,
        expires: Duration = .seconds(3600), at time: Int64 = 0
    ) throws {
        try run(
            [.subscribe(SubscribeRequest(id: client.id, matcher: matcher, expires: expires, start: start))], at: time)
    }

    private mutating func pullAll() throws {
        while let event = client.ready() { try run([event]) }
    }

    private func registered(_ account: String, _ number: Int = 1) -> LogEntry.Change {
        .registered(contact(account, number), ttl: 60_000, replay: false)
    }

    private func accounts(_ count: Int) -> [LogEntry.Change] { (0..<count).map { registered("u\($0)") } }

    // MARK: Live

    @Test mutating func liveSubscriberGetsEachEventOnceInOrder() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        #expect(client.answers == [.accepted(Position(epoch: 1, seq: 1))])
        let ended = LogEntry.Change.unregistered(contact("a"), .deleteAOR)
        try run([owner.append([registered("a"), registered("b")]), owner.append([ended])])
        #expect(client.seen.map(\.position.seq) == [2, 3, 4])
        #expect(client.set == ["user/b/c1"])
        #expect(client.seen.last?.reason == "delete_aor")
    }

    @Test mutating func typesAndAccountsAreFilteredButClearIsNot() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe(SubscriptionMatcher(.userUnregistered, objects: ["b", "a", "b"]))
        try run([owner.append([registered("a"), registered("x"), .unregistered(contact("x"), .deleteAOR)])])
        #expect(client.seen.isEmpty)
        try run([owner.append([.unregistered(contact("a"), .expiredContact)])])
        #expect(client.seen.map(\.type) == ["user_unregistered"])
        try run(owner.beginEpoch(2))
        #expect(client.seen.map(\.type) == ["user_unregistered", "clear"])
    }

    @Test mutating func failoverIsPassedOnAsTheOwnerLoggedIt() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(3))])
        try subscribe()
        try run(owner.beginEpoch(2))
        #expect(client.seen.map(\.position) == (1...4).map { Position(epoch: 2, seq: $0) })
        #expect(client.seen.map(\.isReplay) == [false, true, true, true])
        #expect(client.set.count == 3)
    }

    // MARK: Snapshots

    @Test mutating func snapshotCarriesItsPositionAndIsFollowedByTheNextEvent() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(50))])
        try subscribe(.everything, .snapshot)
        try run([owner.append([registered("late"), .unregistered(contact("u0"), .unregisterContact)])])
        #expect(client.owesReady)
        try pullAll()
        #expect(client.answers == [.accepted(Position(epoch: 1, seq: 51))])
        #expect(client.seen.first?.reason == "snapshot")
        #expect(Set(client.seen.prefix(51).map(\.position)) == [Position(epoch: 1, seq: 51)])
        #expect(client.seen.prefix(51).count(where: \.isReplay) == 50)
        #expect(client.seen.dropFirst(51).map(\.position.seq) == [52, 53])
        #expect(client.set == Set(owner.live.keys))
        try run([owner.append([registered("live")])])
        #expect(client.seen.last?.position.seq == 54)
    }

    @Test mutating func snapshotIsAnsweredWhileTheOwnerIsDown() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(3))])
        var assignment = owner.assignment
        (assignment.epoch, assignment.revision, assignment.owner) = (2, 2, nil)
        try run([.assigned(assignment)])
        try subscribe(.everything, .snapshot, at: 120_000)
        try pullAll()
        #expect(client.set.count == 3)
    }

    @Test mutating func snapshotOfSingleAccountsHoldsOnlyThem() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(50) + [registered("u7", 2)])])
        try subscribe(SubscriptionMatcher(.all, objects: ["u7", "nobody"]), .snapshot)
        #expect(client.set == ["user/u7/c1", "user/u7/c2"])
        #expect(!client.owesReady)
    }

    @Test mutating func snapshotDuringAReplayIsCompletedByTheLog() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(4))])
        (owner.epoch, owner.seq, owner.replayEnd) = (2, 0, 0)
        let restated = accounts(4).map { change -> LogEntry.Change in
            guard case .registered(let contact, let ttl, _) = change else { return change }
            return .registered(contact, ttl: ttl, replay: true)
        }
        try run([.assigned(owner.assignment), owner.append([.clear(.failover), restated[0]])])
        try subscribe(.everything, .snapshot)
        try pullAll()
        #expect(client.set == ["user/u0/c1"])
        owner.replayEnd = 5
        try run([owner.append(Array(restated.dropFirst()))])
        #expect(client.set.count == 4)
    }

    @Test mutating func newSubscribersWaitForTheListAndAreRefusedInTime() throws {
        try subscribe(.everything, .snapshot)
        #expect(client.answers.isEmpty)
        try subscribe(nil)
        try run(owner.beginEpoch(1, .restart), at: 100)
        #expect(client.answers.count == 2)
        #expect(client.seen.map(\.reason) == ["snapshot"])
        var other = Follower(domain: demo)
        var late = Client(2)
        let request = SubscribeRequest(id: late.id, matcher: .everything, expires: .seconds(60), start: .snapshot)
        try late.take(other.handle(.subscribe(request), at: at(0)))
        try late.take(other.handle(.tick, at: at(7_900)))
        #expect(late.answers.isEmpty)
        try late.take(other.handle(.tick, at: at(9_000)))
        #expect(late.answers == [.refused(.unavailable)])
        #expect(late.isEnded)
    }

    // MARK: Resuming

    @Test mutating func resumeGivesExactlyWhatWasMissed() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        try run(owner.beginEpoch(2) + [owner.append([registered("z")])])
        try subscribe(.everything, .after(Position(epoch: 1, seq: 9)))
        try pullAll()
        let expected =
            [Position(epoch: 1, seq: 10), Position(epoch: 1, seq: 11)]
            + (1...12).map { Position(epoch: 2, seq: $0) }
        #expect(client.seen.map(\.position) == expected)
        #expect(client.answers == [.accepted(Position(epoch: 1, seq: 9))])
    }

    @Test mutating func resumeFromTheCurrentPositionGivesNothing() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        try subscribe(.everything, .after(Position(epoch: 1, seq: 11)))
        #expect(client.seen.isEmpty)
        #expect(!client.owesReady)
        try run([owner.append([registered("z")])])
        #expect(client.seen.map(\.position.seq) == [12])
    }

    @Test(arguments: [Position(epoch: 1, seq: 12), Position(epoch: 7, seq: 1), Position(epoch: 1, seq: 3)])
    mutating func resumeFromTheFutureOrTooFarBackIsToldByClear(_ position: Position) throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        if position.seq == 3 { try run([owner.append((0..<200).map { registered("u\($0 % 10)") })]) }
        try subscribe(.everything, .after(position))
        try pullAll()
        #expect(client.seen.first?.reason == "resync")
        #expect(client.set.count == 10)
    }

    // MARK: Slow sockets and resynchronisation

    @Test mutating func slowSocketCatchesUpWhenThatIsShorterThanTheList() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        try subscribe()
        client.dropsPushed = true
        try run([owner.append(accounts(30))])
        try run([owner.append(accounts(30))])
        #expect(client.lostAfter == Position(epoch: 1, seq: 11))
        client.dropsPushed = false
        try pullAll()
        #expect(client.seen.map(\.position.seq) == Array(12...71))
    }

    /// A socket asks for what it has lost, when it has asked for a snapshot already that brings all of that.
    @Test mutating func whatWasLostBeforeANewBeginningSendsNobodyBack() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        try subscribe()
        try run([owner.append(accounts(5))])
        try subscribe(nil, .snapshot)
        try pullAll()
        // It is told more before that arrives.
        try run([owner.append([registered("y")])])
        try run([.ready(client.id, lostAfter: Position(epoch: 1, seq: 11))])
        try pullAll()
        try run([owner.append([registered("z")])])
        let positions = client.seen.map(\.position)
        #expect(zip(positions, positions.dropFirst()).allSatisfy { $0 <= $1 }, "\(positions)")
        #expect(client.seen.last?.position.seq == 18 && client.set.count == 12)
    }

    @Test mutating func asManyFiltersAsTheDomainMayHaveAreTakenAndNoMore() throws {
        var settings = FollowerSettings()
        settings.filters = 2
        follower = Follower(domain: demo, settings: settings)
        try run(owner.beginEpoch(1, .restart))
        func answer(_ number: UInt32, _ account: String, objects: [String]? = nil) throws -> SubscribeAnswer? {
            let filter = try Filter<EventProperty>(["==", ["property", "user_id"], .string(account)])
            var other = Client(number)
            let matcher = SubscriptionMatcher(.all, objects: objects, filter: filter)
            try other.take(
                follower.handle(
                    .subscribe(SubscribeRequest(id: other.id, matcher: matcher, expires: .seconds(60))), at: at(0)))
            return other.answers.last
        }
        let accepted = SubscribeAnswer.accepted(Position(epoch: 1, seq: 1))
        let refused = SubscribeAnswer.refused(.tooManyFilters(limit: 2))
        #expect(try answer(1, "a") == accepted && answer(2, "b") == accepted)
        #expect(try answer(3, "c") == refused)
        let count = follower.report.subscriptions
        #expect(try answer(1, "c") == refused && follower.report.subscriptions == count, "it goes on as it was")
        #expect(try answer(4, "b") == accepted, "what others ask for too costs nothing")
        #expect(try answer(5, "c", objects: ["x"]) == accepted, "it is looked at for the account's events alone")
        // The first one asks for what the second does.
        #expect(try answer(1, "b") == accepted)
        #expect(try answer(3, "c") == accepted)
    }

    @Test mutating func theEndThatASocketAsksForIsConfirmed() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        #expect(!client.isEnded)
        try run([.cancel(client.id)])
        #expect(client.isEnded && follower.report.subscriptions == 0)
    }

    /// Three requests for one subscription wait for the list when there are filters enough.
    @Test mutating func whatWaitsIsAnsweredWholeWhenAFilterIsRefused() throws {
        var settings = FollowerSettings()
        settings.filters = 0
        follower = Follower(domain: demo, settings: settings)
        for _ in 0..<2 { try subscribe(.everything, .snapshot) }
        let filter = try Filter<EventProperty>(["==", ["property", "user_id"], .string("a")])
        try subscribe(SubscriptionMatcher(.all, filter: filter))
        #expect(client.answers == Array(repeating: .refused(.tooManyFilters(limit: 0)), count: 3) && client.isEnded)
    }

    @Test mutating func whoWasLiveBeforeIsNotGivenUpForARefusedFilter() throws {
        var settings = FollowerSettings()
        settings.filters = 0
        follower = Follower(domain: demo, settings: settings)
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(3))])
        try subscribe()
        owner.seq += 10
        let part = SnapshotChunk(
            domain: demo, epoch: 1, snapshot: 1, index: 0, after: owner.seq, contacts: [], seal: nil)
        try run([.chunk(part, from: owner.node)])
        let filter = try Filter<EventProperty>(["==", ["property", "user_id"], .string("a")])
        try subscribe(SubscriptionMatcher(.all, filter: filter))
        #expect(client.answers.last == .refused(.tooManyFilters(limit: 0)) && !client.isEnded)
        #expect(follower.report.subscriptions == 1)
    }

    /// Each list keeps alive what was replaced since.
    @Test mutating func howeverManyReadSlowlyFewListsAreKept() throws {
        var settings = FollowerSettings()
        settings.sliceBytes = 100
        follower = Follower(domain: demo, settings: settings)
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(20))])
        var slow = (1...30).map { Client(UInt32($0)) }
        for index in slow.indices {
            let time = Int64(index) * 2_000
            try run([owner.append([registered("new\(index)")])], at: time)
            let request = SubscribeRequest(
                id: slow[index].id, matcher: SubscriptionMatcher(.all), expires: .seconds(3600), start: .snapshot)
            try slow[index].take(follower.handle(.subscribe(request), at: at(time)))
            try run([.tick], at: time)
        }
        #expect(follower.lists.count == LivingLists.enough)
        for index in slow.indices {
            while let event = slow[index].ready() { try slow[index].take(follower.handle(event, at: at(60_000))) }
            #expect(slow[index].set.count == 50, "\(index)")
        }
        try run([.tick], at: 120_000)
        #expect(follower.lists.count == 0)
    }

    @Test mutating func slowSocketIsResynchronisedWhenTheEventsAreGone() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        try subscribe()
        client.dropsPushed = true
        for _ in 0..<20 { try run([owner.append(accounts(10))]) }
        client.dropsPushed = false
        try pullAll()
        #expect(client.seen.first?.reason == "resync")
        #expect(client.set.count == 10)
        try run([owner.append([registered("z")])])
        #expect(client.seen.last?.position == Position(epoch: 1, seq: 212))
    }

    /// Another's list of a moment ago would do for whoever begins, but not for whoever was told of more.
    @Test mutating func resynchronisationDoesNotGoBackBehindWhatWasTold() throws {
        follower = Follower(domain: demo)
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(10))])
        try subscribe()
        _ = follower.handle(
            .subscribe(
                SubscribeRequest(
                    id: SubscriberID(lane: 0, connection: 2, number: 1), matcher: .everything, expires: .seconds(60),
                    start: .snapshot)), at: at(0))
        try run([owner.append([registered("a")])])
        client.dropsPushed = true
        for _ in 0..<102 { try run([owner.append(accounts(10))]) }
        client.dropsPushed = false
        try pullAll()
        let positions = client.seen.map(\.position)
        #expect(client.seen.dropFirst().first?.reason == "resync")
        #expect(positions == positions.sorted())
        #expect(client.set.count == 11)
    }

    @Test mutating func moreThanTheRingAtOnceResynchronisesLiveSubscribers() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        try run([owner.append((0..<150).map { registered("u\($0 % 10)") })])
        try pullAll()
        #expect(client.seen.first?.reason == "resync")
        #expect(client.set.count == 10)
    }

    @Test mutating func replacedListIsToldToEverySubscriber() throws {
        try run(owner.beginEpoch(1, .restart) + [owner.append(accounts(5))])
        try subscribe()
        owner.seq += 100
        owner.live["user/u0/c1"] = nil
        try run([owner.snapshot(1)])
        #expect(client.seen.first?.reason == "resync")
        #expect(client.seen.first?.position == Position(epoch: 1, seq: 106))
        #expect(client.set == Set(owner.live.keys))
        try run([owner.append([registered("z")])])
        #expect(client.seen.last?.position.seq == 107)
    }

    // MARK: Validity

    @Test mutating func subscriptionHoldsUntilItExpiresUnlessRenewed() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe(expires: .seconds(10))
        try subscribe(nil, expires: .seconds(10), at: 8_000)
        try run([.tick], at: 17_000)
        #expect(!client.isEnded)
        try run([.tick], at: 19_000)
        #expect(client.isEnded)
        try subscribe(nil, at: 20_000)
        #expect(client.answers.last == .refused(.unknown))
        try run([owner.append(accounts(1))], at: 20_000)
        #expect(client.seen.isEmpty)
    }

    @Test mutating func cancelledSubscriptionGetsNothingMore() throws {
        try run(owner.beginEpoch(1, .restart))
        try subscribe()
        try run([.cancel(client.id), owner.append(accounts(1))])
        #expect(client.seen.isEmpty)
        #expect(follower.report.subscriptions == 0)
    }

    @Test func eventNamesAreUnderstood() {
        #expect(EventTypes(event: "*") == .all)
        #expect(EventTypes(event: "registrarevents.*") == .all)
        #expect(EventTypes(event: "registrarevents.clear") == [])
        #expect(EventTypes(event: "registrarevents.sipuser_registered") == .sipuserRegistered)
        for wrong in ["", "registrarevents", "registrarevents.", "modelevents.data_changed", "user_registered"] {
            #expect(EventTypes(event: wrong) == nil)
        }
    }
}
