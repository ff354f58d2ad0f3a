import ClusterRuntime
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// SUBSCRIBE for the registrations of an account (RFC 6665, RFC 3680).
@Suite struct WatcherTests {
    @Test func aWatcherIsAnsweredAndToldEverythingAtOnce() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        _ = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>;expires=120;q=0.5"))
        var watcher = try TestWatcher()
        let (answer, notify) = try watcher.subscribe(&test, ["Record-Route: <sip:edge.example;lr>, <sip:b.example;lr>"])
        #expect(answer[.expires] == "3761" && answer[.contact] == "<sip:192.0.2.100:5060>")
        #expect(answer.all(.recordRoute) == ["<sip:edge.example;lr>", "<sip:b.example;lr>"])
        #expect(answer.all(.allowEvents) == ["reg"])

        #expect(notify.message.message.requestURI?.string == "sip:watcher@192.0.2.1:5060")
        #expect(notify.message.all(.route) == ["<sip:edge.example;lr>", "<sip:b.example;lr>"])
        let essentials = try notify.message.message.essentials()
        #expect(essentials.from.tag?.string == watcher.tag && essentials.to.tag?.string == "f")
        #expect(essentials.callID.string == "watch-1@phone" && essentials.cseq.number == 1)
        #expect(notify.message[.contact] == answer[.contact] && notify.message[.event] == "reg")
        #expect(notify.subscription == "active;expires=3761")
        #expect((notify.version, notify.scope, notify.state) == (0, "full", "active"))
        #expect(notify.addressOfRecord == "sip:alice@demo.example")
        #expect(notify.events == ["registered sip:alice@192.0.2.1"])
        #expect(
            notify.contacts.first?.attributes
                == ["expires": "120", "q": "0.5", "callid": "call-1@phone", "cseq": "1"])
        #expect((test.counters.statistics.watchers, test.counters.statistics.subscribes) == (1, 1))
    }

    @Test func whoHasNoContactIsInTheInitialState() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher(account: "bob")
        let (_, notify) = try watcher.subscribe(&test)
        #expect((notify.state, notify.scope, notify.contacts.count) == ("init", "full", 0))
    }

    @Test(
        arguments: [
            (nil, 200, "3761"), (60, 200, "60"), (7_200, 200, "7200"), (100_000, 200, "7200"), (59, 423, nil),
        ] as [(Int?, Int, String?)])
    func theTimeIsGrantedWithinItsBounds(asked: Int?, status: Int, granted: String?) throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        let answer = try #require(try test.receive(watcher.request(expires: asked)).first)
        #expect(answer.status == status && answer[.expires] == granted)
        #expect(answer[.minExpires] == (status == 423 ? "60" : nil))
    }

    @Test func aRefreshIsToldEverythingAgain() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        try watcher.subscribe(&test, expires: 100)
        test.advance(.seconds(90))
        watcher.contact = "Contact: <sip:elsewhere@192.0.2.1:5080>"
        let (answer, notify) = try watcher.subscribe(&test, expires: 200)
        #expect(answer[.expires] == "200")
        #expect((notify.version, notify.scope, notify.subscription) == (1, "full", "active;expires=200"))
        #expect(notify.message.message.requestURI?.string == "sip:elsewhere@192.0.2.1:5080")
        #expect(notify.message[.cseq] == "2 NOTIFY")
        #expect(test.advance(.seconds(150)).isEmpty)
        #expect(test.counters.statistics.watchers == 1)
    }

    @Test func timeThatRunsOutIsTold() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        try watcher.subscribe(&test, expires: 60)
        let sent = test.advance(.seconds(62))
        let notify = try Notification(try #require(sent.first?.answer))
        #expect(notify.subscription == "terminated;reason=timeout")
        _ = try test.receive(notify.response())
        #expect(test.counters.statistics.watchers == 0 && test.counters.statistics.watchersEnded == 1)
        #expect(test.watchers.accounts.isEmpty && test.watchers.watchers.isEmpty)
        #expect(try test.answer(watcher.request(expires: 60)).status == 481)
    }

    @Test func theWatcherEndsItWithALastNotification() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        try watcher.subscribe(&test)
        let (answer, notify) = try watcher.subscribe(&test, expires: 0)
        #expect(answer[.expires] == "0")
        #expect(notify.subscription == "terminated;reason=timeout" && notify.scope == "full")
        #expect(test.counters.statistics.watchers == 0)
        #expect(try test.answer(watcher.request()).status == 481)
    }

    @Test func aFetchIsOneNotification() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        let (answer, notify) = try watcher.subscribe(&test, expires: 0)
        #expect(answer[.expires] == "0")
        #expect((notify.version, notify.scope, notify.subscription) == (0, "full", "terminated;reason=timeout"))
        #expect(test.counters.statistics.watchers == 0 && test.counters.statistics.notifies == 1)
        // It may be asked again soon; after a while nobody follows the domain any more.
        #expect(test.watchers.isActive)
        test.advance(.seconds(61))
        #expect(!test.watchers.isActive)
    }

    @Test(arguments: ["presence", "reg.winfo", "Reg"])
    func anotherEventIsRefusedWithTheOneThereIs(event: String) throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        let answer = try test.answer(watcher.request(event: event))
        #expect(answer.status == 489 && answer.all(.allowEvents) == ["reg"])
    }

    @Test func aRequestWithoutEventOrContactIsRefused() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let uri = "sip:alice@demo.example"
        #expect(try test.answer(phone.request("SUBSCRIBE", uri: uri, ["Contact: <sip:a@b>"])).status == 489)
        for contacts in [[], ["Contact: <sip:a@b>, <sip:c@d>"], ["Contact: *"], ["Contact: <tel:+1>"]] {
            #expect(try test.answer(phone.request("SUBSCRIBE", uri: uri, ["Event: reg"] + contacts)).status == 400)
        }
        #expect(try test.answer(phone.request("SUBSCRIBE", uri: "tel:+1", ["Event: reg"])).status == 416)
        #expect(test.registrar.watchesWaiting == 0)
    }

    @Test func theRepresentationMustBeWanted() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        let answer = try test.answer(watcher.request(["Accept: application/pidf+xml, text/*"]))
        #expect(answer.status == 406 && answer[.accept] == "application/reginfo+xml")
        try watcher.subscribe(&test, ["Accept: text/plain, application/*;q=0.5"])
    }

    @Test(arguments: ["sip:demo.example", "sip:alice@other.example", "sip:alice@nowhere.example"])
    func whatIsNotHereIsNotFound(uri: String) throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        #expect(try test.answer(watcher.request(uri: uri)).status == 404)
    }

    @Test func aDialogIsKnownByAllItsMarks() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        try watcher.subscribe(&test, event: "reg;id=7")
        let tag = try #require(watcher.tag)
        var stranger = Phone(callID: "other@phone")
        let headers = ["Event: reg;id=7", watcher.contact]
        let contactURI = "sip:192.0.2.100:5060"
        #expect(
            try test.answer(stranger.request("SUBSCRIBE", uri: contactURI, toTag: tag, headers)).status == 481)
        #expect(
            try test.answer(stranger.request("SUBSCRIBE", uri: contactURI, toTag: "none", headers)).status == 481)
        #expect(
            try test.answer(
                stranger.request("SUBSCRIBE", uri: contactURI, to: "sip:a@nowhere.example", toTag: tag, headers)
            ).status == 481)
        #expect(try test.answer(watcher.request(event: "reg;id=8")).status == 481)
        let (_, notify) = try watcher.subscribe(&test, event: "reg;id=7")
        #expect(notify.message[.event] == "reg;id=7")
        // It is its third request: refused ones do not count.
        #expect(try test.answer(watcher.request(event: "reg;id=7", cseq: 3)).status == 500)
        #expect(try test.answer(watcher.request(event: "reg;id=7", cseq: 2)).status == 500)
        #expect(try test.receive(watcher.request(event: "reg;id=7", cseq: 4)).map(\.status) == [200, 0])
    }

    @Test func whoeverIsAskedForProvesToBeIt() throws {
        let directory = InMemoryDirectory()
        for account in ["alice", "bob"] { try directory.add(demo, AccountID(.sipuser, account), password: "secret") }
        var test = try TestRegistrar(directory: directory)
        var watcher = try TestWatcher()
        func credentials(_ nonce: String, _ count: UInt32, account: String = "alice") -> [String] {
            var credentials = Credentials(account: account, uri: "sip:alice@demo.example", nonce: nonce)
            (credentials.method, credentials.count) = ("SUBSCRIBE", count)
            return [credentials.header]
        }
        let challenge = try test.answer(watcher.request())
        #expect(challenge.status == 401 && test.registrar.transactions.count == 0)
        let nonce = try challenge.nonce
        #expect(try test.answer(watcher.request(credentials(nonce, 1, account: "bob"))).status == 403)
        // A proof for REGISTER is none for SUBSCRIBE.
        let wrong = [Credentials(nonce: nonce, count: 2).header]
        #expect(try test.answer(watcher.request(wrong)).status == 401)
        test.advance(.seconds(1))
        try watcher.subscribe(&test, credentials(nonce, 3))
        #expect(try test.answer(watcher.request()).status == 401)
        #expect(try test.answer(watcher.request(credentials(nonce, 4, account: "bob"))).status == 403)
        try watcher.subscribe(&test, credentials(nonce, 5))
    }

    @Test func aRepeatedRequestGetsTheSameAnswerAndNoSecondSubscription() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        let request = watcher.request()
        let first = try test.receive(request)
        #expect(first.map(\.status) == [200, 0])
        #expect(try test.receive(request).map(\.bytes) == [first[0].bytes])
        // Over a stream repetitions are not looked for, but a dialog is not made twice.
        let stream = try TestRegistrar.stream(7)
        var other = try TestWatcher(callID: "watch-2@phone")
        let again = other.request()
        #expect(try test.receive(again, from: stream).map(\.status) == [200, 0])
        #expect(try test.answer(again, from: stream).status == 482)
        #expect(test.counters.statistics.watchers == 2)
    }

    @Test func thereIsALimitOfWatchersOfAnAccountAndOfANode() throws {
        var test = try TestRegistrar { settings in
            settings.limits.watchersPerAccount = 2
            settings.limits.watchersPerNode = 3
        }
        func status(_ account: String, _ number: Int) throws -> Int? {
            var watcher = try TestWatcher(account: account, callID: "\(account)-\(number)")
            return try test.receive(watcher.request()).first?.status
        }
        #expect(try (1...3).map { try status("alice", $0) } == [200, 200, 403])
        #expect(try (1...2).map { try status("bob", $0) } == [200, 503])
        // One that is under way to its end counts until its watcher has answered.
        test.advance(.seconds(33))
        #expect(test.counters.statistics.watchersLost == 3)
        #expect(try status("alice", 4) == 200)
    }

    @Test func aDialogThatWouldBeTooLongForItsNotificationsIsRefused() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher()
        let long = "Record-Route: <sip:\(String(repeating: "x", count: 4_000)).example;lr>"
        #expect(try test.answer(watcher.request([long])).status == 513)
    }

    @Test func whoComesBeforeTheListIsHereWaitsForIt() throws {
        var test = try TestRegistrar(isOwned: false)
        var watcher = try TestWatcher()
        let request = watcher.request()
        #expect(try test.receive(request).isEmpty)
        #expect(test.advance(.seconds(3)).isEmpty)
        test.assign()
        let sent = test.takeSent().map(\.answer)
        #expect(sent.map(\.status) == [200, 0])

        test = try TestRegistrar(isOwned: false)
        watcher = try TestWatcher()
        #expect(try test.receive(watcher.request()).isEmpty)
        let refused = test.advance(Periods().requestDeadline + .seconds(1)).map(\.answer)
        #expect(refused.map(\.status) == [503] && refused.first?[.retryAfter] != nil)
        #expect(test.registrar.watchesWaiting == 0)
    }

    /// An application that connects anew each time, as on a reload of its page.
    @Test func withItsConnectionAWatcherIsGone() throws {
        var test = try TestRegistrar { $0.limits.watchersPerAccount = 2 }
        func close(_ number: UInt64) {
            #expect(test.tellWatchers(.closed(WatcherWay.Connection(lane: 1, number: number))).isEmpty)
        }
        for number in 1...4 as ClosedRange<UInt64> {
            var watcher = try TestWatcher(callID: "watch-\(number)", route: try TestRegistrar.stream(number))
            try watcher.subscribe(&test)
            // It has gone over to another connection when the first ends.
            watcher.route = try TestRegistrar.stream(number + 10)
            try watcher.subscribe(&test)
            close(number)
            #expect(test.counters.statistics.watchers == 1)
            close(number + 10)
            #expect(test.counters.statistics.watchers == 0)
        }
        #expect(test.counters.statistics.watchersLost == 4 && test.watchers.connected.isEmpty)
        #expect(test.watchers.accounts.isEmpty && test.watchers.watchers.isEmpty)
    }

    @Test func theLimitOfANodeHoldsForThoseWhoHaveWaitedForTheList() throws {
        var test = try TestRegistrar(isOwned: false) { $0.limits.watchersPerNode = 1 }
        for account in ["alice", "bob"] {
            var watcher = try TestWatcher(account: account, callID: account)
            #expect(try test.receive(watcher.request()).isEmpty)
        }
        test.assign()
        #expect(test.takeSent().map(\.answer.status).sorted() == [0, 200, 503])
        #expect(test.counters.statistics.watchers == 1 && test.registrar.watchesWaiting == 0)
    }

    @Test func whoHangsUpBeforeTheListIsHereWaitsNoLonger() throws {
        var test = try TestRegistrar(isOwned: false)
        var watcher = try TestWatcher(route: try TestRegistrar.stream(3))
        #expect(try test.receive(watcher.request(), from: watcher.route).isEmpty)
        #expect(test.registrar.watchesWaiting == 1)
        _ = test.tellWatchers(.closed(WatcherWay.Connection(lane: 1, number: 3)))
        #expect(test.registrar.watchesWaiting == 0 && test.watchers.waiting.isEmpty)
    }

    @Test func aWatcherIsReachedTheWayItCame() throws {
        var test = try TestRegistrar()
        var watcher = try TestWatcher(route: try TestRegistrar.stream(4))
        let (answer, notify) = try watcher.subscribe(&test)
        #expect(answer[.contact] == "<sip:192.0.2.100:5060;transport=tcp>")
        #expect(notify.message[.via]?.hasPrefix("SIP/2.0/TCP 192.0.2.100:5060;branch=z9hG4bKreg.") == true)
        // Later it comes over another connection; what was under way on the first is given up.
        _ = try test.receive(watcher.request(), from: watcher.route)
        watcher.route = try TestRegistrar.stream(5)
        let (_, second) = try watcher.subscribe(&test)
        #expect(second.version == 2 && second.scope == "full")
        var phone = Phone()
        _ = try test.receive(phone.register("Contact: <sip:alice@192.0.2.9>;expires=120"))
        test.advance(.seconds(1))
        guard case .stream(5)? = test.watchers.watchers[watcher.tag ?? ""]?.way.route.way else {
            Issue.record("not the new connection")
            return
        }
    }
}
