import ClusterRuntime
import RegistrarEvents
import SIP
import SRActor
import Testing

@testable import SIPGateway

/// What watchers are told, and how (RFC 3680 sections 4.7 to 5, RFC 3261 section 17.1.2).
@Suite struct NotifyTests {
    private let first = "Contact: <sip:alice@192.0.2.1>"
    private let second = "Contact: <sip:alice@192.0.2.2>"

    @Test func whatPhonesDoIsToldAsWhatChanged() throws {
        var (test, _, phone) = try watched()
        let registered = try notified(&test, by: phone.register(first + ";expires=100"))
        #expect((registered.version, registered.scope, registered.state) == (1, "partial", "active"))
        #expect(registered.events == ["registered sip:alice@192.0.2.1"])
        #expect(registered.contacts[0].state == "active")
        #expect(registered.contacts[0].attributes["duration-registered"] == "0")
        test.advance(.seconds(9))
        let refreshed = try notified(&test, by: phone.register(first + ";expires=50"))
        #expect(refreshed.version == 2 && refreshed.events == ["refreshed sip:alice@192.0.2.1"])
        #expect(refreshed.contacts[0].id == registered.contacts[0].id)
        let attributes = refreshed.contacts[0].attributes
        #expect((attributes["expires"], attributes["duration-registered"]) == ("50", "10"))
        #expect((attributes["callid"], attributes["cseq"]) == ("call-1@phone", "2"))
        let both = try notified(&test, by: phone.register(second + ";expires=100"))
        #expect(both.events == ["registered sip:alice@192.0.2.2"])
        let one = try notified(&test, by: phone.register(first + ";expires=0"))
        #expect((one.state, one.events) == ("active", ["unregistered sip:alice@192.0.2.1"]))
        #expect(one.contacts[0].state == "terminated" && one.contacts[0].attributes["expires"] == nil)
        let none = try notified(&test, by: phone.register("Contact: *", "Expires: 0"))
        #expect((none.version, none.state) == (5, "terminated"))
        #expect(none.events == ["unregistered sip:alice@192.0.2.2"])
    }

    @Test func whatHappensWithoutPhonesIsToldByItsReason() throws {
        var (test, watcher, phone) = try watched()
        func told() throws -> Notification {
            let notify = try Notification(try #require(test.takeSent().first?.answer))
            _ = try test.receive(notify.response())
            test.advance(.seconds(1))
            return notify
        }
        _ = try notified(&test, by: phone.register(first + ";expires=2"))
        let expired = try Notification(try #require(test.advance(.seconds(2)).first?.answer))
        #expect(expired.events == ["expired sip:alice@192.0.2.1"] && expired.state == "terminated")
        _ = try test.receive(expired.response())

        let details = SIPUserDetails(contactURI: "sip:alice@gateway.example")
        let contact = Registration(account: "alice", contact: "c1", sipuser: details)
        test.advance(.seconds(1))
        try test.put(contact, ttl: 100_000)
        let created = try told()
        #expect(created.events == ["created sip:alice@gateway.example"])
        #expect(created.contacts[0].attributes["callid"] == nil && created.contacts[0].id == "c1")
        try test.put(contact, ttl: 10_000)
        let shortened = try told()
        #expect(shortened.events == ["shortened sip:alice@gateway.example"])
        #expect(shortened.contacts[0].attributes["expires"] == "10")
        try test.put(contact, ttl: 200_000)
        #expect(try told().events == ["refreshed sip:alice@gateway.example"])
        test.end("alice", "c1")
        #expect(try told().events == ["deactivated sip:alice@gateway.example"])

        _ = try notified(&test, by: phone.register(first + ";expires=100"))
        test.endAll(of: "alice")
        #expect(try told().events == ["rejected sip:alice@192.0.2.1"])
        let last = try Notification(try #require(test.tellWatchers(.removed(account: "alice")).first?.answer))
        #expect(last.subscription == "terminated;reason=noresource")
        _ = try test.receive(last.response())
        #expect(try test.answer(watcher.request()).status == 481)
    }

    /// The word of the removal overtakes what the owner says.
    @Test func theLastNotificationOfARemovedAccountTellsOfItsContactsEnds() throws {
        var (test, _, phone) = try watched()
        _ = try notified(&test, by: phone.register(first + ";expires=100"))
        let last = try Notification(try #require(test.tellWatchers(.removed(account: "alice")).first?.answer))
        #expect(last.subscription == "terminated;reason=noresource" && last.state == "terminated")
        #expect(last.events == ["rejected sip:alice@192.0.2.1"])
        test.endAll(of: "alice")
        #expect(try test.receive(last.response()).isEmpty && test.takeSent().isEmpty)
        #expect(test.counters.statistics.watchers == 0)
    }

    /// Their names look the same, and are not.
    @Test func accountsThatLookAlikeAreToldApart() throws {
        var test = try TestRegistrar()
        var watchers = try ["jos%C3%A9", "jose%CC%81"].map { try TestWatcher(account: $0, callID: "watch-\($0)") }
        var phone = Phone(account: "jos%C3%A9")
        #expect(try test.answer(phone.register("Contact: <sip:j@192.0.2.9>;expires=100")).status == 200)
        let first = try watchers[0].subscribe(&test).notify
        let second = try watchers[1].subscribe(&test).notify
        #expect(first.events == ["registered sip:j@192.0.2.9"] && second.events == [])
        test.advance(.seconds(1))
        let sent = try test.receive(phone.register("Contact: <sip:j@192.0.2.10>;expires=100"))
        #expect(sent.map(\.status).sorted() == [0, 200])
        _ = test.tellWatchers(.removed(account: "jos\u{E9}"))
        #expect(test.watchers.watchers[watchers[1].tag ?? ""]?.ending == nil)
    }

    @Test func whatIsOfNoPhoneOfTheAccountIsNotTold() throws {
        var (test, _, _) = try watched()
        var other = Phone(account: "bob", callID: "bob@phone")
        #expect(try test.receive(other.register("Contact: <sip:bob@192.0.2.9>;expires=100")).map(\.status) == [200])
        try test.put(Registration(account: "alice", contact: "tab", user: UserDetails()))
        try test.put(Registration(account: "alice", contact: "c2", sipuser: SIPUserDetails()))
        #expect(test.advance(.seconds(3)).isEmpty)
    }

    @Test func whatHappensMeanwhileIsToldInOneGo() throws {
        var (test, _, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try Notification(try #require(sent.first { $0.status == 0 }))
        for request in [
            phone.register(second + ";expires=100"), phone.register(first + ";expires=90"),
            phone.register(second + ";expires=0"), phone.register(first + ";expires=80"),
        ] { #expect(try test.receive(request).map(\.status) == [200]) }
        // The answer makes room for one more, once the interval is over.
        #expect(try test.receive(notify.response()).isEmpty)
        #expect(test.advance(.milliseconds(900)).isEmpty)
        let later = test.advance(.milliseconds(200))
        let next = try Notification(try #require(later.first?.answer))
        #expect(later.count == 1)
        #expect((next.version, next.scope) == (2, "partial"))
        #expect(next.events == ["unregistered sip:alice@192.0.2.2", "refreshed sip:alice@192.0.2.1"])
        #expect(next.contacts[1].attributes["cseq"] == "5")
    }

    @Test func tooManyChangesBecomeEverything() throws {
        var (test, _, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try Notification(try #require(sent.first { $0.status == 0 }))
        for number in 0...Watcher.maximumChanges {
            let details = SIPUserDetails(contactURI: "sip:alice@192.0.2.3;line=\(number)")
            try test.put(Registration(account: "alice", contact: "c\(number)", sipuser: details))
            test.end("alice", "c\(number)")
        }
        let next = try Notification(try #require(try test.receive(notify.response()).first))
        #expect((next.scope, next.events) == ("full", ["registered sip:alice@192.0.2.1"]))
    }

    @Test func overUDPItIsRepeatedUntilItIsAnsweredAndGivenUpAfterTimerF() throws {
        var (test, watcher, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try #require(sent.first { $0.status == 0 })
        var times: [Int64] = []
        let start = test.milliseconds
        for _ in 0..<400 {
            for (repeated, _) in test.advance(.milliseconds(100)) {
                #expect(repeated.bytes == notify.bytes)
                times.append(test.milliseconds - start)
            }
        }
        #expect(times == [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500])
        #expect(test.counters.statistics.watchersLost == 1 && test.counters.statistics.watchers == 0)
        #expect(test.counters.statistics.notifyRepetitions == 10)
        #expect(try test.answer(watcher.request()).status == 481)
        #expect(try test.receive(try Notification(notify).response()).isEmpty)
    }

    @Test func aProvisionalResponseSlowsTheRepetitions() throws {
        var (test, _, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try Notification(try #require(sent.first { $0.status == 0 }))
        _ = try test.receive(notify.response(100))
        #expect(test.advance(.milliseconds(600)).count == 1)
        #expect(test.advance(.milliseconds(3_800)).isEmpty)
        #expect(test.advance(.milliseconds(200)).count == 1)
        _ = try test.receive(notify.response(200))
        #expect(test.advance(.seconds(30)).isEmpty)
        #expect(test.counters.statistics.watchers == 1)
    }

    @Test func overAStreamItIsSentOnce() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher(route: try TestRegistrar.stream(4))
        let sent = try test.receive(watcher.request(), from: watcher.route)
        #expect(sent.count == 2 && test.advance(.seconds(31)).isEmpty)
        test.advance(.seconds(2))
        #expect(test.counters.statistics.watchersLost == 1)
    }

    @Test(arguments: [481, 404, 500, 603])
    func aRefusedNotificationEndsTheSubscription(status: Int) throws {
        var (test, watcher, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try Notification(try #require(sent.first { $0.status == 0 }))
        #expect(try test.receive(notify.response(status)).isEmpty)
        #expect(test.counters.statistics.watchersLost == 1 && test.watchers.watchers.isEmpty)
        #expect(try test.answer(watcher.request()).status == 481)
    }

    @Test func whoWantsToBeToldLaterIsToldEverythingThen() throws {
        var (test, _, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try Notification(try #require(sent.first { $0.status == 0 }))
        #expect(try test.receive(notify.response(503, ("Retry-After", "5 (busy)"))).isEmpty)
        #expect(try test.receive(phone.register(second + ";expires=100")).map(\.status) == [200])
        #expect(test.advance(.milliseconds(4_900)).isEmpty)
        let later = try Notification(try #require(test.advance(.milliseconds(200)).first?.answer))
        #expect((later.version, later.scope, later.contacts.count) == (2, "full", 2))
    }

    @Test func whoWantsToBeToldAtOnceIsToldAfterASecond() throws {
        var (test, _, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        var notify = try Notification(try #require(sent.first { $0.status == 0 }))
        for _ in 0..<3 {
            #expect(try test.receive(notify.response(500, ("Retry-After", "0"))).isEmpty)
            #expect(test.advance(.milliseconds(900)).isEmpty)
            let later = test.advance(.milliseconds(200))
            #expect(later.count == 1)
            notify = try Notification(try #require(later.first?.answer))
            #expect(notify.scope == "full")
        }
    }

    /// Each refresh brings it forward, and each answer puts it off again.
    @Test func whoIsPutOffAgainAndAgainWaitsOnce() throws {
        var (test, watcher, _) = try watched()
        for _ in 0..<10 {
            let sent = try test.receive(watcher.request())
            let notify = try Notification(try #require(sent.first { $0.status == 0 }))
            #expect(try test.receive(notify.response(503, ("Retry-After", "300"))).isEmpty)
            test.advance(.milliseconds(100))
        }
        #expect(test.watchers.delayed.count == 1)
    }

    @Test func aResponseOfSomebodyElseMeansNothing() throws {
        var (test, watcher, phone) = try watched()
        let sent = try test.receive(phone.register(first + ";expires=100"))
        let notify = try #require(sent.first { $0.status == 0 })
        let tag = try #require(watcher.tag)
        for (other, cseq) in [(tag, 1), (tag, 3), ("x", 2)] as [(String, UInt32)] {
            let branch = NotifyBranch(tag: other, cseq: cseq)
            let response = String(decoding: try Notification(notify).response(481), as: UTF8.self)
                .replacing(NotifyBranch(tag: tag, cseq: 2).text, with: branch.text)
            #expect(try test.receive(response).isEmpty)
        }
        #expect(test.counters.statistics.watchers == 1)
    }

    // MARK: The owner

    @Test func afterAFailoverEverythingIsToldAnew() throws {
        var (test, watcher, phone) = try watched()
        _ = try notified(&test, by: phone.register(first + ";expires=100"))
        let copy = test.owner.replica
        // What the standby has not got is nobody's any more.
        _ = try notified(&test, by: phone.register(second + ";expires=100"))
        test.isOwnerDown = true
        #expect(test.advance(.seconds(2)).isEmpty)
        // While there is no owner a refresh is taken as ever.
        try watcher.subscribe(&test)
        test.failover(to: copy)
        let sent = test.takeSent().map(\.answer)
        let notify = try Notification(try #require(sent.first))
        #expect(sent.count == 1 && notify.scope == "full" && notify.version == 4)
        #expect(notify.events == ["registered sip:alice@192.0.2.1"])
        #expect(notify.contacts[0].attributes["duration-registered"] != nil)
        _ = try test.receive(notify.response())
        test.advance(.seconds(1))
        let next = try notified(&test, by: phone.register(second + ";expires=100"))
        #expect((next.version, next.scope) == (5, "partial"))
        #expect(next.events == ["registered sip:alice@192.0.2.2"])
    }

    @Test func nothingIsToldOfAListThatIsStillBeingRestated() throws {
        var (test, watcher, phone) = try watched()
        _ = try notified(&test, by: phone.register(first + ";expires=100"))
        let copy = test.owner.replica
        let contact = try #require(copy.table.contact(inSlot: 0)?.contact)
        let owner = NodeID(name: NodeName("sr2"), incarnation: 1)
        func log(_ base: UInt64, _ changes: [LogEntry.Change], replayEnd: UInt64) -> Watchers.Event {
            let entries = changes.enumerated().map { index, change in
                LogEntry(seq: base + UInt64(index) + 1, timestamp: 0, change: change)
            }
            return .append(
                Append(
                    domain: demo, epoch: 2, base: base, entries: entries, committed: base + UInt64(entries.count),
                    replayEnd: replayEnd), from: owner)
        }
        let assignment = Assignment(
            domain: demo, epoch: 2, revision: 2, owner: owner, standbys: [], cause: .failover, since: 0)
        test.isOwnerDown = true
        #expect(test.tellWatchers(.assigned(assignment)).isEmpty)
        #expect(test.tellWatchers(log(0, [.clear(.failover)], replayEnd: 0)).isEmpty)
        // A refresh is taken, and told when there is something to tell.
        #expect(try test.receive(watcher.request()).map(\.status) == [200])
        var late = try TestWatcher(callID: "late@phone")
        #expect(try test.receive(late.request()).isEmpty)
        #expect(test.tellWatchers(log(1, [.registered(contact, ttl: 90_000, replay: true)], replayEnd: 0)).isEmpty)
        let sent = test.tellWatchers(log(2, [], replayEnd: 2)).map(\.answer)
        #expect(sent.map(\.status) == [200, 0, 0])
        let notify = try Notification(try #require(sent.first { $0.status == 0 }))
        #expect(notify.scope == "full" && notify.contacts[0].attributes["expires"] == "90")
    }

    /// The list is being restated when the domain is removed, and nobody will go on with it.
    @Test func watchersOfARemovedDomainAreToldThoughItsListIsNotWhole() throws {
        var (test, _, phone) = try watched()
        _ = try notified(&test, by: phone.register(first + ";expires=100"))
        let owner = NodeID(name: NodeName("sr2"), incarnation: 1)
        test.isOwnerDown = true
        let moved = Assignment(
            domain: demo, epoch: 2, revision: 2, owner: owner, standbys: [], cause: .failover, since: 0)
        #expect(test.tellWatchers(.assigned(moved)).isEmpty)
        let cleared = LogEntry(seq: 1, timestamp: 0, change: .clear(.failover))
        let append = Append(domain: demo, epoch: 2, base: 0, entries: [cleared], committed: 1, replayEnd: 0)
        #expect(test.tellWatchers(.append(append, from: owner)).isEmpty)
        let retired = Assignment(
            domain: demo, epoch: 3, revision: 3, owner: nil, standbys: [], cause: .storageCleared, since: 0)
        let last = try Notification(try #require(test.tellWatchers(.assigned(retired)).first?.answer))
        #expect(last.subscription == "terminated;reason=noresource")
        #expect((last.scope, last.state, last.contacts) == ("full", "init", []))
        _ = try test.receive(last.response())
        #expect(test.counters.statistics.watchers == 0)
        test.advance(.seconds(61))
        #expect(!test.watchers.isActive)
    }

    @Test func manyWatchersAreToldOneAfterTheOther() throws {
        var test = try TestRegistrar { $0.limits.watchersPerAccount = 1_000 }
        for number in 0..<600 {
            var watcher = try TestWatcher(callID: "watch-\(number)")
            try watcher.subscribe(&test)
            if number % 400 == 399 { test.advance(.milliseconds(100)) }
        }
        let copy = test.owner.replica
        test.advance(.seconds(2))
        test.failover(to: copy)
        #expect(test.takeSent().count == 500)
        #expect(test.advance(.milliseconds(100)).count == 100)
    }

    @Test func aDomainThatNobodyWatchesIsNotFollowed() throws {
        var test = try TestRegistrar()
        #expect(!test.watchers.isActive)
        var watcher = try TestWatcher()
        try watcher.subscribe(&test, expires: 60)
        #expect(test.watchers.isActive)
        let notify = try Notification(try #require(test.advance(.seconds(62)).first?.answer))
        _ = try test.receive(notify.response())
        test.advance(.seconds(61))
        #expect(!test.watchers.isActive && test.watchers.receiver == nil)
        watcher = try TestWatcher(callID: "again@phone")
        try watcher.subscribe(&test)
    }

    @Test func aGatewayThatStopsSaysSo() throws {
        var (test, _, _) = try watched()
        let last = try Notification(try #require(test.tellWatchers(.stop).first?.answer))
        let state = last.subscription
        #expect(state.firstMatch(of: #/^terminated;reason=probation;retry-after=[1-5]$/#) != nil)
        var late = try TestWatcher(callID: "late@phone")
        #expect(try test.answer(late.request()).status == 503)
    }
}
