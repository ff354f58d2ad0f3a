import ClusterRuntime
import NIOCore
import RegistrarEvents
import SIP
import SRActor
import Testing

@testable import SIPGateway

/// An account that has as many devices as it may, and one more that wants in.
@Suite struct ProbingTests {
    private let newcomer = "Contact: <sip:alice@192.0.2.9>;expires=120"
    private static let edge = "<sip:edge.example;lr>"

    /// Devices 1 and 2 are registered over UDP, the first with less time left; two is the limit.
    private func full(_ change: (inout SIPSettings) -> Void = { _ in }) throws -> TestRegistrar {
        var test = try TestRegistrar(devices: 2, change: change)
        for number in 1...2 {
            var phone = Phone(callID: "device-\(number)")
            let contact = "Contact: <sip:alice@10.0.0.\(number);line=x>;expires=\(number)00"
            let answer = try test.answer(phone.register(contact), from: try TestRegistrar.route("192.0.2.\(number)"))
            try #require(answer.status == 200)
        }
        return test
    }

    private func answer(to question: Answer, status: Int = 200) -> [UInt8] {
        ResponseWriter(status, to: question.message, toTag: "d").finish()
    }

    @Test func theSilentDeviceIsEndedAndTheNewOneTakesItsPlace() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        let request = phone.register(newcomer)
        let questions = try test.receive(request)
        #expect(questions.map { $0.message.method } == [.options, .options])
        let targets = questions.compactMap { $0.message.requestURI?.string }.sorted()
        #expect(targets == ["sip:alice@10.0.0.1;line=x", "sip:alice@10.0.0.2;line=x"])
        let one = try #require(questions.first { $0.message.requestURI?.string.contains("10.0.0.1") == true })
        #expect(one[.via]?.hasPrefix("SIP/2.0/UDP 192.0.2.100:5060;branch=z9hG4bK") == true)
        #expect(throws: Never.self) { try one.message.essentials() }
        // Repeated, it waits as before.
        #expect(try test.receive(request).isEmpty)
        #expect(try test.receive(answer(to: one, status: 180)).isEmpty)
        #expect(try test.receive(answer(to: one, status: 481)).isEmpty)
        let sent = test.advance(.seconds(2))
        let repeated = sent.filter { $0.answer.message.method == .options }
        #expect(repeated.map(\.route.peer.address) == ["192.0.2.2", "192.0.2.2"])
        let final = try #require(sent.last?.answer)
        #expect(final.status == 200)
        #expect(try final.contacts == ["sip:alice@10.0.0.1;line=x", "sip:alice@192.0.2.9"])
        #expect(
            test.asked.contains {
                if case .unregister(_, reason: .deleteContact) = $0 { true } else { false }
            })
        #expect(try test.answer(request).bytes == final.bytes)
        #expect((test.counters.statistics.probes, test.counters.statistics.replaced) == (4, 1))
        #expect(test.answers.count == 0)
        #expect(test.registrar.probing.accounts.isEmpty && test.registrar.probing.searches.isEmpty)
    }

    @Test func whenAllLiveTheNewOneIsRefusedAsSoonAsThatIsKnown() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        let questions = try test.receive(phone.register(newcomer))
        #expect(try test.receive(answer(to: questions[0])).isEmpty)
        let answers = try test.receive(answer(to: questions[1], status: 486))
        #expect(answers.map(\.status) == [403])
        #expect(answers[0].reason == "Forbidden (2 devices at most)")
        #expect(test.registered == 2 && test.answers.count == 0)
        #expect(test.registrar.nextTick == .seconds(1))
    }

    @Test func anAnswerThatCameInAtAnotherLoopCountsAsWell() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        for question in try test.receive(phone.register(newcomer)) {
            let via = try Via(parsing: try #require(question.message.first(.via)))
            #expect(test.answers.take(try #require(via.branch.flatMap(ProbeBranch.init))))
        }
        #expect(test.advance(.milliseconds(100)).map(\.answer.status) == [403])
    }

    @Test func severalMakeRoomForSeveralOrNoneDoes() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        let three = "Contact: <sip:a@h1>, <sip:a@h2>, <sip:a@h3>"
        #expect(try test.receive(phone.register(three)).map(\.status) == [403])
        let two = "Contact: <sip:a@h1>, <sip:a@h2>"
        let questions = try test.receive(phone.register(two))
        #expect(questions.count == 2)
        #expect(try test.receive(answer(to: questions[0])).map(\.status) == [403])
        #expect(test.registered == 2)
        #expect(try test.receive(phone.register(two)).count == 2)
        let final = try #require(test.advance(.seconds(2)).last?.answer)
        #expect(try (final.status, final.contacts) == (200, ["sip:a@h1", "sip:a@h2"]))
    }

    @Test func aContactThatTheRequestRefreshesIsNotAsked() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        let questions = try test.receive(
            phone.register("Contact: <sip:alice@10.0.0.1;line=x>;expires=100, <sip:alice@192.0.2.9>;expires=120"))
        #expect(questions.map { $0.message.requestURI?.string } == ["sip:alice@10.0.0.2;line=x"])
        let final = try #require(test.advance(.seconds(2)).last?.answer)
        #expect(try final.contacts == ["sip:alice@10.0.0.1;line=x", "sip:alice@192.0.2.9"])
    }

    @Test func aConnectionIsAskedWhereItIsOpenAndTheContactIsGoneWithIt() throws {
        var test = try TestRegistrar(devices: 1)
        let stream = try TestRegistrar.stream(5, "192.0.2.5", 40_000)
        test.flows.opened(stream.peer, lane: 1, number: 5)
        var first = Phone(callID: "first")
        try test.receive(first.register("Contact: <sip:alice@10.0.0.5;transport=tcp>"), from: stream)
        var phone = Phone(callID: "newcomer")
        let questions = try test.receive(phone.register(newcomer))
        #expect(questions.count == 1 && questions[0][.via]?.hasPrefix("SIP/2.0/TCP 192.0.2.100:5060;") == true)
        #expect(try test.receive(answer(to: questions[0]), from: stream).map(\.status) == [403])
        // At another loop of this node it can neither be asked nor be said to be gone.
        test.flows.opened(stream.peer, lane: 2, number: 1)
        #expect(try test.receive(phone.register(newcomer)).map(\.status) == [403])
        test.flows.closed(stream.peer, lane: 2, number: 1)
        let final = try test.answer(phone.register(newcomer))
        #expect(try (final.status, final.contacts) == (200, ["sip:alice@192.0.2.9"]))
    }

    /// The first device comes back from behind a new address while it is asked at the old one.
    @Test func aDeviceThatRenewsMeanwhileIsNotEnded() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        let questions = try test.receive(phone.register(newcomer))
        let second = try #require(questions.first { $0.message.requestURI?.string.contains("10.0.0.2") == true })
        try test.receive(answer(to: second))
        var first = Phone(callID: "device-1")
        _ = first.register()
        let renewed = try test.answer(
            first.register("Contact: <sip:alice@10.0.0.1;line=x>;expires=100"),
            from: try TestRegistrar.route("192.0.2.77"))
        #expect(renewed.status == 200)
        #expect(test.advance(.seconds(2)).last?.answer.status == 403)
        #expect(test.registered == 2 && test.counters.statistics.replaced == 0)
        #expect(test.registrar.probing.accounts.isEmpty)
    }

    @Test func inPlaceOfOneThatRenewsAnotherSilentOneIsEnded() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        #expect(try test.receive(phone.register(newcomer)).count == 2)
        var first = Phone(callID: "device-1")
        _ = first.register()
        let renewal = first.register("Contact: <sip:alice@10.0.0.1;line=x>;expires=100")
        #expect(try test.answer(renewal, from: try TestRegistrar.route("192.0.2.1")).status == 200)
        let final = try #require(test.advance(.seconds(2)).last?.answer)
        #expect(try final.contacts == ["sip:alice@10.0.0.1;line=x", "sip:alice@192.0.2.9"])
    }

    @Test func questionsOfOneLifeCannotBeToldFromItsName() throws {
        var branches: Set<String> = []
        for _ in 0..<2 {
            var test = try full()
            var phone = Phone(callID: "newcomer")
            for question in try test.receive(phone.register(newcomer)) {
                let via = try Via(parsing: try #require(question.message.first(.via)))
                branches.insert(try #require(via.branch).string)
            }
        }
        #expect(branches.count == 4)
    }

    @Test(arguments: [
        ("192.0.2.1", true), ("255.255.255.255", true), ("10.0.0.0", true), ("2001:db8::1", true), ("::1", true),
        ("0.0.0.0", false), ("224.0.0.1", false), ("239.255.255.250", false), ("::", false), ("ff02::1", false),
        ("fe80::1", false), ("febf::1", false),
    ])
    func aDeviceHasAnAddressOfItsOwn(_ address: String, _ isOne: Bool) throws {
        #expect(try SocketAddress(ipAddress: address, port: 5_060).namesADevice == isOne)
    }

    @Test func whatCannotBeAskedStays() throws {
        var test = try TestRegistrar(devices: 3)
        let details = [
            // Over a connection that was never one of this node.
            SIPUserDetails(
                contactURI: "sip:a@h1", transport: "tls", peerAddress: "192.0.2.1", peerPort: 5061),
            SIPUserDetails(
                contactURI: "sip:a@h2\r\nX: y", transport: "udp", path: [Self.edge], peerAddress: "192.0.2.1",
                peerPort: 5060),
            SIPUserDetails(
                contactURI: "sip:a@h3", transport: "udp", path: [Self.edge], peerAddress: "nowhere", peerPort: 5060),
        ]
        for (number, details) in details.enumerated() {
            try test.put(Registration(account: "alice", contact: "c\(number)", sipuser: details))
        }
        var phone = Phone()
        #expect(try test.receive(phone.register(newcomer)).map(\.status) == [403])
    }

    /// Its router lets in only whom it has sent to, which is another node. Proxies let in anybody.
    @Test func overUDPADeviceOfAnotherNodeCannotBeAskedUnlessItIsBehindProxies() throws {
        for path in [[], [Self.edge]] {
            var test = try TestRegistrar(devices: 1)
            let details = SIPUserDetails(
                contactURI: "sip:alice@10.0.0.9", transport: "udp", path: path, callID: "first", cseq: 1,
                peerAddress: "192.0.2.9", peerPort: 5060)
            try test.put(Registration(account: "alice", contact: "c", sipuser: details))
            var phone = Phone(callID: "newcomer")
            let sent = try test.receive(phone.register(newcomer))
            #expect(sent.map(\.status) == (path.isEmpty ? [403] : [0]))
            #expect(test.advance(.seconds(2)).last?.answer.status == (path.isEmpty ? nil : 200))
        }
    }

    /// By its CSeq the contact was registered elsewhere since: the address is still the one that was heard here, or the
    /// one that a connection of this node had.
    @Test func aDeviceThatHasGoneToAnotherNodeIsNotTakenForGone() throws {
        let stream = try TestRegistrar.stream(5, "192.0.2.5", 40_000)
        for route in [try TestRegistrar.route("192.0.2.5", 40_000), stream] {
            var test = try TestRegistrar(devices: 1)
            var first = Phone(callID: "first")
            test.flows.opened(stream.peer, lane: 1, number: 5)
            #expect(try test.answer(first.register("Contact: <sip:alice@10.0.0.5>"), from: route).status == 200)
            let contact = try #require(test.owner.replica.table.contact(inSlot: 0)?.contact)
            var registration = try contact.registration()
            guard case .sipuser(var details) = registration.details else {
                Issue.record("no SIP device")
                return
            }
            #expect(details.cseq == 1)
            details.cseq = 2
            registration.details = .sipuser(details)
            try test.put(registration)
            var phone = Phone(callID: "newcomer")
            #expect(try test.receive(phone.register(newcomer)).map(\.status) == [403])
            test.flows.closed(stream.peer, lane: 1, number: 5)
            #expect(try test.receive(phone.register(newcomer)).map(\.status) == [403])
            #expect(test.counters.statistics.probes == 0)
        }
    }

    @Test func theWayOverProxiesIsKept() throws {
        var test = try TestRegistrar(devices: 1)
        var first = Phone(callID: "first")
        try test.receive(
            first.register("Contact: <sip:alice@10.0.0.5>", "Supported: path", "Path: <sip:edge.example;lr>"))
        var phone = Phone(callID: "newcomer")
        #expect(try test.receive(phone.register(newcomer)).map { $0[.route] } == ["<sip:edge.example;lr>"])
    }

    @Test func searchesAreBoundedAndOneAnAccount() throws {
        var test = try full { $0.maximumProbes = 1 }
        var phone = Phone(callID: "newcomer")
        #expect(try test.receive(phone.register(newcomer)).count == 2)
        let second = try test.answer(phone.register("Contact: <sip:alice@192.0.2.10>"))
        #expect(second.status == 503 && second[.retryAfter] != nil)
        for number in 1...2 {
            let details = SIPUserDetails(
                contactURI: "sip:bob@h\(number)", transport: "udp", path: [Self.edge], peerAddress: "192.0.2.1",
                peerPort: 5060)
            try test.put(Registration(account: "bob", contact: "c\(number)", sipuser: details))
        }
        var bob = Phone(account: "bob", callID: "bob")
        #expect(try test.answer(bob.register("Contact: <sip:bob@h3>")).status == 403)
        test.advance(.seconds(2))
        #expect(try test.receive(bob.register("Contact: <sip:bob@h3>")).count == 2)
    }

    private func put(_ account: String, _ count: Int, in test: inout TestRegistrar) throws {
        for number in 0..<count {
            let details = SIPUserDetails(
                contactURI: "sip:\(account)@h\(number)", transport: "udp", path: [Self.edge], peerAddress: "192.0.2.1",
                peerPort: 5060)
            let registration = Registration(account: account, contact: "c\(number)", sipuser: details)
            try test.put(registration, ttl: 600_000 - UInt32(number) * 1_000)
        }
    }

    @Test func ofManyDevicesThoseWithTheLeastTimeLeftAreAsked() throws {
        var test = try TestRegistrar(devices: 100)
        try put("alice", 100, in: &test)
        var phone = Phone(callID: "newcomer")
        let questions = try test.receive(phone.register(newcomer))
        let asked = questions.map { $0.message.requestURI?.string }
        #expect(asked == (36..<100).reversed().map { "sip:alice@h\($0)" })
        for question in questions.dropLast() { #expect(try test.receive(answer(to: question)).isEmpty) }
        #expect(try test.receive(answer(to: questions[63])).map(\.status) == [403])
        #expect(test.answers.count == 0 && test.registrar.probing.byBranch.isEmpty)
    }

    /// What came in at another event loop is looked for when time has passed, not with each answer.
    @Test func anAnswerAdvancesItsOwnSearchAlone() throws {
        var test = try TestRegistrar(devices: 1)
        var questions: [Answer] = []
        for account in ["alice", "bob"] {
            try put(account, 1, in: &test)
            var phone = Phone(account: account, callID: account)
            questions += try test.receive(phone.register("Contact: <sip:\(account)@new>"))
        }
        try #require(questions.count == 2)
        let via = try Via(parsing: try #require(questions[1].message.first(.via)))
        #expect(test.answers.take(try #require(via.branch.flatMap(ProbeBranch.init))))
        #expect(try test.receive(answer(to: questions[0])).map { $0[.callID] } == ["alice"])
        #expect(test.advance(.milliseconds(100)).map { $0.answer[.callID] } == ["bob"])
        #expect(test.answers.count == 0 && test.registrar.probing.byBranch.isEmpty)
    }

    @Test func anOwnerThatIsLostMeanwhileIsOneThatIsLost() throws {
        var test = try full()
        var phone = Phone(callID: "newcomer")
        #expect(try test.receive(phone.register(newcomer)).count == 2)
        test.isOwnerHeld = true
        #expect(test.advance(.seconds(2)).allSatisfy { $0.answer.message.method == .options })
        #expect(test.held.count == 1)
        let answers = test.advance(Periods().requestDeadline + .milliseconds(100))
        #expect(answers.map(\.answer.status) == [503])
        #expect(test.registrar.probing.accounts.isEmpty)
        test.isOwnerHeld = false
        // One was ended late or never; whichever it was, the next try settles it.
        try test.receive(phone.register(newcomer))
        #expect(test.advance(.seconds(2)).last?.answer.status == 200)
    }
}
