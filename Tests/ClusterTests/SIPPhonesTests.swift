import ClusterRuntime
import NIOCore
import RegistrarEvents
import Testing

@testable import Drills

@Suite struct SIPAnswerTests {
    @Test func whatAPhoneLooksIntoIsRead() throws {
        let text = """
            SIP/2.0 200 OK\r
            v: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa\r
            i: d-7@drill\r
            CSEQ:  12 REGISTER\r
            Contact: "A" <sip:other@192.0.2.1>;q=0.5;expires=9, <sip:d-7@127.0.0.1:5070>;Expires=47\r
            m: <sip:third@192.0.2.1>\r
            Expires: 60\r
            \r
            Call-ID: this is the body
            """
        let answer = try #require(SIPAnswer(ByteBuffer(string: text)))
        #expect((answer.status, answer.callID, answer.cseq) == (200, "d-7@drill", 12))
        #expect(answer.granted(to: "sip:d-7@127.0.0.1:5070") == 47)
        #expect(answer.granted(to: "sip:third@192.0.2.1") == 60)
        #expect(answer.granted(to: "sip:nobody@192.0.2.1") == nil)
    }

    @Test(arguments: [
        "", "\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\n\r\n", "SIP/2.0 999 X\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\n\r\n",
        "SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n", "SIP/2.0 200 OK\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\r\n",
        "SIP/2.0 200 OK\r\nCall-ID a\r\n\r\n",
    ])
    func whatIsNoAnswerToARegisterIsNone(text: String) {
        #expect(SIPAnswer(ByteBuffer(string: text)) == nil)
    }

    /// The digests were made with md5sum.
    @Test func aChallengeIsAnswered() throws {
        let offer = #"Digest realm="demo.example", qop="auth,auth-int", nonce="abc=", algorithm=MD5, opaque="o,1""#
        let challenge = try #require(SIPChallenge(offer))
        let value = challenge.authorization(
            account: "u7", password: "secret", uri: "sip:demo.example", count: 31, cnonce: "x1")
        #expect(value.contains("response=\"518862c000e0eee8ca7a7443d6e5cd07\""))
        #expect(value.contains("nc=0000001f") && value.contains(#"opaque="o,1""#))
        let old = try #require(SIPChallenge(#"Digest nonce="abc=",realm="demo.example""#))
        let plain = old.authorization(
            account: "u7", password: "secret", uri: "sip:demo.example", count: 1, cnonce: "x1")
        #expect(plain.contains("response=\"931dfdbd17165aa22bae3e894543c3ec\"") && !plain.contains("nc="))
        #expect(SIPChallenge(#"Digest realm="a", nonce="b", algorithm=SHA-256"#) == nil)
        #expect(SIPChallenge(#"Basic realm="a""#) == nil)
    }
}

@Suite struct SIPPhonesTests {
    private let script: SIPScript
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    init() throws {
        script = SIPScript(
            domain: try #require(DomainName("demo.example")), names: ContactNames(), host: "127.0.0.1", port: 5070,
            password: "secret", accounts: 1001...1002)
    }

    @Test func aRegistrationIsToldWithItsCSeqAndWhatWasGranted() {
        var phones = SIPPhones(script: script, contacts: 3)
        let sent = phones.start(2, ttl: 600, at: start)
        #expect(requests(sent).first?.contains("From: <sip:1001@demo.example>") == true)
        let contact = "Contact: <\(script.uri(of: 2))>;expires=500\r\n"
        let actions = phones.take(answer(200, to: 2, cseq: 1, contact), at: start + .milliseconds(3))
        #expect(
            actions == [
                .record(
                    Operation(
                        contact: 2, kind: .register(ttl: .seconds(500)), sent: start, ended: start + .milliseconds(3),
                        outcome: .accepted(cseq: 1), cseq: 1)),
                .finished(2),
            ])
        let again = phones.take(answer(200, to: 2, cseq: 1, contact), at: start + .milliseconds(4))
        #expect(again == [])
        #expect(phones.counts == SIPCounts(answers: ["200": 1]))
    }

    @Test func silenceIsAnsweredByTheSameRequestUntilThePhoneGivesUp() {
        var phones = SIPPhones(script: script, contacts: 1)
        let first = phones.start(0, ttl: 60, at: start)
        var times: [Int64] = []
        var ended: Int64?
        for tenth in 1...400 where ended == nil {
            for action in phones.tick(at: start + .milliseconds(tenth * 100)) {
                switch action {
                case .send:
                    #expect([action] == first)
                    times.append(Int64(tenth * 100))
                case .record(let operation): #expect(operation.outcome == .unknown("no answer"))
                case .finished: ended = Int64(tenth * 100)
                }
            }
        }
        #expect(times == [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500])
        #expect(ended == 32_000)
        #expect((phones.counts.errors, phones.counts.unanswered, phones.counts.retransmitted) == (1, 1, 10))
    }

    @Test func aPhoneThatIsToldWhenToTryAgainDoesAndOneThatIsNotCountsAsAnError() {
        var phones = SIPPhones(script: script, contacts: 2)
        _ = phones.start(0, ttl: 60, at: start) + phones.start(1, ttl: 60, at: start)
        let told = phones.take(answer(503, to: 0, cseq: 1, "Retry-After: 2\r\n"), at: start)
        #expect(told.count == 1)  // Recorded; the wish goes on.
        let untold = phones.take(answer(503, to: 1, cseq: 1), at: start)
        #expect(untold.last == .finished(1))
        let early = phones.tick(at: start + .milliseconds(1_990))
        #expect(early == [])
        let retried = requests(phones.tick(at: start + .seconds(2)))
        #expect(retried.count == 1 && retried[0].contains("CSeq: 2 REGISTER"))
        let done = phones.take(answer(200, to: 0, cseq: 2), at: start + .seconds(2))
        #expect(done.last == .finished(0))
        #expect(phones.counts.errors == 1)
        #expect(phones.counts.answers == ["200": 1, "503": 2])
    }

    @Test func oneNonceDoesForAllAndAWrongPasswordEnds() {
        var phones = SIPPhones(script: script, contacts: 2)
        _ = phones.start(0, ttl: 60, at: start) + phones.start(1, ttl: 60, at: start)
        let first = requests(phones.take(answer(401, to: 0, cseq: 1, challenge("n1")), at: start))
        #expect(first.first?.contains("nonce=\"n1\"") == true && first.first?.contains("nc=00000001") == true)
        let other = requests(phones.take(answer(401, to: 1, cseq: 1, challenge("n2")), at: start))
        #expect(other.first?.contains("nonce=\"n1\"") == true && other.first?.contains("nc=00000002") == true)
        // The nonce is too old by now: the newer one is taken, and its count begins anew.
        let stale = requests(phones.take(answer(401, to: 0, cseq: 2, challenge("n3")), at: start))
        #expect(stale.first?.contains("nonce=\"n3\"") == true && stale.first?.contains("nc=00000001") == true)
        let refused = phones.take(answer(401, to: 0, cseq: 3, challenge("n4")), at: start)
        #expect(refused.last == .finished(0))
        #expect(phones.counts.errors == 1)
    }

    @Test(arguments: [(403, 1), (404, 1), (500, 1), (423, 0)])
    func refusalsThatNoPhoneShouldGetAreErrors(status: Int, errors: Int) {
        var phones = SIPPhones(script: script, contacts: 1)
        _ = phones.start(0, ttl: 60, at: start)
        #expect(phones.take(answer(100, to: 0, cseq: 1), at: start) == [])
        let actions = phones.take(answer(status, to: 0, cseq: 1), at: start)
        #expect(actions.last == .finished(0))
        #expect(phones.counts.errors == errors)
    }

    @Test func theLogTellsWhereARequestWasCommitted() {
        let recorder = HistoryRecorder()
        for (contact, cseq) in [(4, 1), (4, 2)] as [(ContactNumber, UInt32)] {
            recorder.record(
                Operation(
                    contact: contact, kind: .register(ttl: .seconds(60)), sent: start, ended: start,
                    outcome: .accepted(cseq: cseq)))
        }
        recorder.saw(cseq: 1, of: 4, at: Position(epoch: 2, seq: 9))
        recorder.saw(cseq: 1, of: 4, at: Position(epoch: 1, seq: 30))
        #expect(recorder.located.map(\.position) == [Position(epoch: 2, seq: 9), nil])
        #expect(recorder.located.map(\.isAcknowledged) == [true, true])
    }

    @Test func aPhoneThatWasAcceptedAndIsNotListedIsLost() {
        let operation = Operation(
            contact: 4, kind: .register(ttl: .seconds(60)), sent: start, ended: start, outcome: .accepted(cseq: 1))
        func kinds(_ list: Set<ContactNumber>) -> [Violation.Kind] {
            let history = History(
                operations: [operation], events: [:], subscribers: [], list: list, takenAt: start + .seconds(1))
            return HistoryChecker(settledAfter: .seconds(5)).check(history).map(\.kind)
        }
        #expect(kinds([]) == [.lost])
        #expect(kinds([4]) == [])
    }

    @Test func aPhonesContactIsKnownByTheUserOfItsURI() {
        let name = script.names.name(12)
        #expect(script.names.number(id: "gateway-1", uri: "sip:\(name)@127.0.0.1:5070;transport=udp") == 12)
        #expect(script.names.number(id: name, uri: "") == 12)
        #expect(script.names.number(id: "x", uri: "sip:someone@127.0.0.1") == nil)
    }

    private func challenge(_ nonce: String) -> String {
        "WWW-Authenticate: Digest realm=\"demo.example\", nonce=\"\(nonce)\", qop=\"auth\"\r\n"
    }

    private func answer(
        _ status: Int, to contact: ContactNumber, cseq: UInt32, _ header: String = ""
    ) -> ByteBuffer {
        ByteBuffer(
            string: "SIP/2.0 \(status) X\r\nCall-ID: \(script.names.name(contact))@drill\r\n"
                + "CSeq: \(cseq) REGISTER\r\n\(header)Content-Length: 0\r\n\r\n")
    }

    private func requests(_ actions: [SIPPhones.Action]) -> [String] {
        actions.compactMap { action in
            guard case .send(let request) = action else { return nil }
            return String(buffer: request)
        }
    }
}
