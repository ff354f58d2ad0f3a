import ClusterRuntime
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// Repetitions (RFC 3261 section 17.2.2), and what is answered when the owner does not do as asked.
@Suite struct TransactionTests {
    private let contact = "Contact: <sip:alice@192.0.2.1>;expires=120"

    @Test func aRepetitionIsAbsorbedUntilTheAnswerAndThenGetsTheSame() throws {
        var test = try TestRegistrar()
        test.isOwnerHeld = true
        var phone = Phone()
        let request = phone.register(contact)
        #expect(try test.receive(request).isEmpty)
        #expect(try test.receive(request).isEmpty)
        #expect(test.held.count == 1)
        let answers = try test.reply(.bound(Position(epoch: 1, seq: 1), []))
        #expect(answers.map(\.status) == [200])
        test.advance(.seconds(5))
        let again = try test.answer(request)
        #expect(again.bytes == answers[0].bytes)
        #expect(test.held.isEmpty)
        #expect(test.counters.statistics.repetitions == 2 && test.counters.statistics.registers == 1)
        // After timer J it is a request like any other.
        test.advance(.seconds(28))
        #expect(try test.receive(request).isEmpty)
        #expect(test.held.count == 1)
    }

    /// In the next home there is a phone with the same address and, by accident, the same branch; and whoever has read
    /// a branch somewhere could ask for what was answered.
    @Test func theSameFromElsewhereIsNoRepetition() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let request = phone.register(contact)
        let first = try test.answer(request)
        for route in [try TestRegistrar.route("192.0.2.2"), try TestRegistrar.route("192.0.2.1", 5_061)] {
            let other = try test.answer(request, from: route)
            #expect(try other.status == 200 && other.toTag != first.toTag)
        }
        #expect(test.counters.statistics.registers == 3 && test.counters.statistics.repetitions == 0)
        #expect(try test.answer(request).bytes == first.bytes)
        #expect(test.counters.statistics.repetitions == 1)
    }

    /// A restart: what waits is answered, what is new is left to the node's next life.
    @Test func whoeverLeavesAnswersWhatWaitsAndTakesOnNothingNew() throws {
        var test = try TestRegistrar()
        test.isOwnerHeld = true
        var phone = Phone()
        let first = phone.register(contact)
        #expect(try test.receive(first).isEmpty)
        #expect(test.registrar.underWay == 1)
        test.leave()
        let second = phone.register(contact)
        #expect(try test.receive(second).isEmpty)
        #expect(try test.receive(second, from: TestRegistrar.stream(1)).isEmpty)
        #expect(test.held.count == 1 && test.registrar.underWay == 1)
        #expect(test.counters.statistics.leftToRepeat == 2)
        let answers = try test.reply(.bound(Position(epoch: 1, seq: 1), []))
        #expect(answers.map(\.status) == [200])
        #expect(test.registrar.underWay == 0)
        // A lost answer is given again until the end.
        #expect(try test.answer(first).bytes == answers[0].bytes)
        #expect(try test.receive(second).isEmpty)
        #expect(test.held.isEmpty && test.registrar.transactions.count == 1)
    }

    @Test func onStreamsNothingIsRepeatedSoNothingIsKept() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let request = phone.register(contact)
        let route = try TestRegistrar.stream(1)
        #expect(try test.answer(request, from: route).status == 200)
        #expect(try test.answer(request, from: route).status == 200)
        #expect(test.counters.statistics.registers == 2 && test.registrar.transactions.count == 0)
    }

    @Test func theTagOfToIsTheSameInAllAnswersToARequestAndOnlyThere() throws {
        var test = try TestRegistrar(directory: nil, isOwned: false)
        var phone = Phone()
        let request = phone.request("OPTIONS", uri: "sip:demo.example")
        let first = try test.answer(request)
        test.advance(.seconds(40))
        let second = try test.answer(request)
        #expect(try first.toTag == second.toTag && first.toTag?.isEmpty == false)
        let other = try test.answer(phone.request("OPTIONS", uri: "sip:demo.example"))
        #expect(try other.toTag != first.toTag)
        let within = phone.request("OPTIONS", uri: "sip:demo.example", to: "sip:bob@demo.example")
        let tagged = try test.answer(within.replacing("bob@demo.example>", with: "bob@demo.example>;tag=mine"))
        #expect(try tagged.toTag == "mine")
    }

    @Test(arguments: [Refusal.notOwner, .unavailable, .overloaded])
    func whatMayPassIsTriedAgainAndThenPutOff(refusal: Refusal) throws {
        var test = try TestRegistrar()
        test.isOwnerHeld = true
        var phone = Phone()
        let request = phone.register(contact)
        try test.receive(request)
        #expect(try test.reply(.refused(refusal)).isEmpty)
        var answers: [Answer] = []
        for _ in 0..<400 where answers.isEmpty {
            answers = test.advance(.milliseconds(50)).map(\.answer)
            if answers.isEmpty { answers = try test.reply(.refused(refusal)) }
        }
        #expect(answers.map(\.status) == [503])
        #expect(test.asked.count > 2)
        let wait = try #require(answers.first?[.retryAfter].flatMap(Int.init))
        #expect((1...5).contains(wait))
        #expect(test.counters.statistics.unavailable == 1)
        #expect(try test.answer(request).bytes == answers[0].bytes)
    }

    @Test func anOwnerThatComesBackInTimeIsAsSilentAsNone() throws {
        var test = try TestRegistrar()
        test.isOwnerHeld = true
        var phone = Phone()
        try test.receive(phone.register(contact))
        try test.reply(.refused(.unavailable))
        test.isOwnerHeld = false
        #expect(test.advance(.seconds(1)).map(\.answer.status) == [200])
    }

    @Test func withoutAnOwnerOrItsAnswerTheDeviceComesBackLater() throws {
        var nobody = try TestRegistrar(isOwned: false)
        var phone = Phone()
        #expect(try nobody.answer(phone.register(contact)).status == 503)
        var deaf = try TestRegistrar()
        deaf.isOwnerHeld = true
        #expect(try deaf.receive(phone.register(contact)).isEmpty)
        let deadline = Periods().requestDeadline
        #expect(deaf.advance(deadline - .milliseconds(50)).isEmpty)
        #expect(deaf.advance(.milliseconds(100)).map(\.answer.status) == [503])
    }

    @Test func aFullDomainComesBackLater() throws {
        var test = try TestRegistrar()
        test.isOwnerHeld = true
        var phone = Phone()
        try test.receive(phone.register(contact))
        #expect(try test.reply(.refused(.domainFull(limit: 3))).map(\.status) == [503])
    }

    @Test func oneDomainCannotFillTheWaitingRoom() throws {
        var test = try TestRegistrar { $0.limits.parkedRequests = 2 }
        test.isOwnerHeld = true
        var phone = Phone()
        #expect(try test.receive(phone.register(contact)).isEmpty)
        #expect(try test.receive(phone.register()).isEmpty)
        let third = try test.answer(phone.register())
        #expect(third.status == 503 && third[.retryAfter] != nil)
        test.isOwnerHeld = false
        #expect(try test.reply(.bound(Position(epoch: 1, seq: 1), [])).count == 2)
        #expect(try test.answer(phone.register()).status == 200)
    }

    @Test func whatCannotBeReadIsAnsweredAsFarAsItCanBe() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let request = phone.register(contact)
        let twice = try test.answer(request.replacing("Max-Forwards: 70", with: "CSeq: 1 REGISTER"))
        #expect(twice.status == 400 && twice[.callID] == phone.callID)
        #expect(try test.answer(request.replacing("SIP/2.0\r\nVia", with: "SIP/3.0\r\nVia")).status == 505)
        #expect(try test.receive("hello\r\n\r\n").isEmpty)
        #expect(try test.receive(request.replacing("Call-ID", with: "Call-It")).isEmpty == false)
        #expect(test.counters.statistics.malformed == 4)
        #expect(test.registered == 0)
    }

    /// Every prefix of a request, and one with each byte changed: no crash, and an answer that can be read.
    @Test func nothingThatIsCutOrChangedDoesHarm() throws {
        var test = try TestRegistrar { $0.limits.loginFailures = 1_000_000 }
        var phone = Phone()
        let bytes = [UInt8](phone.register(contact, "Supported: path, outbound, gruu").utf8)
        for count in bytes.indices { try test.receive(Array(bytes[..<count])) }
        for index in bytes.indices {
            for value in [0, 10, 34, 59, 255] as [UInt8] {
                var changed = bytes
                changed[index] = value
                try test.receive(changed)
            }
        }
        #expect(try test.answer(phone.register(contact)).status == 200)
    }
}
