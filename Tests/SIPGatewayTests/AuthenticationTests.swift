import ClusterRuntime
import Digests
import Foundation
import GRDB
import RegistrarEvents
import SIP
import SQLiteAccounts
import Testing

@testable import SIPGateway

/// Digest (RFC 7616, RFC 8760), and what becomes of those who guess.
@Suite struct AuthenticationTests {
    private let contact = "Contact: <sip:alice@192.0.2.1>;expires=120"
    private let directory = InMemoryDirectory()

    init() throws {
        for domain in [demo, try #require(DomainName("other.example"))] {
            for account in ["alice", "bob"] {
                try directory.add(domain, AccountID(.sipuser, account), password: "secret")
            }
        }
    }

    private func registrar() throws -> TestRegistrar { try TestRegistrar(directory: directory) }

    @Test func threeAlgorithmsAreOfferedWithOneNonce() throws {
        var test = try registrar()
        var phone = Phone()
        let challenge = try test.answer(phone.register(contact))
        #expect(challenge.status == 401)
        let offers = challenge.message.headers.filter { $0.name.matches("WWW-Authenticate") }.map(\.value.string)
        let nonce = try challenge.nonce
        #expect(
            offers
                == ["SHA-256", "SHA-512-256", "MD5"].map {
                    "Digest realm=\"demo.example\", nonce=\"\(nonce)\", algorithm=\($0), qop=\"auth\""
                })
        #expect(test.asked.isEmpty && test.registrar.transactions.count == 0)
    }

    @Test(arguments: DigestAlgorithm.allCases, [true, false])
    func theRightAnswerIsTaken(algorithm: DigestAlgorithm, usesQOP: Bool) throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        var credentials = Credentials(algorithm: algorithm, nonce: nonce, usesQOP: usesQOP)
        #expect(try test.answer(phone.register(contact, credentials.header)).status == 200)
        // Counting on, the nonce is good again; without counts it was good once.
        credentials.count += 1
        let next = try test.answer(phone.register(contact, credentials.header))
        #expect(next.status == (usesQOP ? 200 : 401))
        if !usesQOP { #expect(next[.wwwAuthenticate]?.hasSuffix("stale=true") == true) }
    }

    @Test func aWrongPasswordAndNoAccountGetTheSameAnswer() throws {
        var test = try registrar()
        func answer(_ account: String, _ password: String) throws -> String {
            var phone = Phone(account: account, callID: "c-\(account)")
            let nonce = try test.answer(phone.register(contact)).nonce
            var credentials = Credentials(nonce: nonce)
            (credentials.account, credentials.password) = (account, password)
            let answer = try test.answer(phone.register(contact, credentials.header))
            #expect(answer.status == 401 && answer.all(.wwwAuthenticate).count > 0)
            test.advance(.seconds(10))
            let text = String(decoding: answer.bytes, as: UTF8.self)
            return text.replacing(try answer.nonce, with: "N").replacing(account, with: "A")
                .replacing(try #require(try answer.toTag), with: "T")
        }
        let wrong = try answer("alice", "guess")
        #expect(!wrong.contains("stale"))
        #expect(try answer("nobody", "guess") == wrong)
        #expect(try answer("nobody", "secret") == wrong)
        #expect(test.counters.statistics.wrongPasswords == 3)
    }

    @Test func aNonceThatIsOldUsedOrOfElsewhereIsStale() throws {
        var test = try registrar()
        var phone = Phone()
        func answer(_ credentials: Credentials, from route: Route? = nil) throws -> Answer {
            try test.answer(phone.register(contact, credentials.header), from: route)
        }
        func isStale(_ answer: Answer) -> Bool {
            answer.status == 401 && answer[.wwwAuthenticate]?.hasSuffix("stale=true") == true
        }
        let nonce = try test.answer(phone.register(contact)).nonce
        #expect(try answer(Credentials(nonce: nonce)).status == 200)
        #expect(isStale(try answer(Credentials(nonce: nonce))), "the same count again")
        #expect(isStale(try answer(Credentials(nonce: nonce, count: 2), from: try TestRegistrar.route("192.0.2.2"))))
        #expect(isStale(try answer(Credentials(nonce: String(repeating: "0", count: 64)))))
        #expect(isStale(try answer(Credentials(nonce: "something of our own"))))
        #expect(try answer(Credentials(nonce: nonce, count: 2)).status == 200)
        var other = Phone(domain: "other.example", callID: "other")
        let foreign = try test.answer(other.register(contact)).nonce
        #expect(isStale(try answer(Credentials(nonce: foreign))))
        test.advance(Authenticator.lifetime + .seconds(1))
        #expect(isStale(try answer(Credentials(nonce: nonce, count: 3))))
        // Who does not know the password does not learn that the nonce is old.
        let wrong = try answer(Credentials(password: "guess", nonce: nonce, count: 4))
        #expect(wrong.status == 401 && !isStale(wrong))
    }

    @Test func whoProvesToBeOneMayNotBeAnother() throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        let answer = try test.answer(
            phone.register(contact, Credentials(nonce: nonce).header, to: "sip:bob@demo.example"))
        #expect(answer.status == 403)
        #expect(test.registered == 0)
    }

    /// A proxy may have changed the request's address, and some clients hash where they send to.
    @Test func aProofMayBeOfAnotherAddressButGoodIsItOnlyOnce() throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        let proof = Credentials(uri: "sip:192.0.2.1:5060", nonce: nonce).header
        #expect(try test.answer(phone.register(contact, proof)).status == 200)
        #expect(try test.answer(phone.register(contact, proof)).status == 401)
        let changed = proof.replacing("sip:192.0.2.1:5060", with: "sip:192.0.2.1:5061")
        #expect(try test.answer(phone.register(contact, changed)).status == 401)
    }

    @Test func aMalformedProofIsRefusedAndAnUnknownSchemeIsNone() throws {
        var test = try registrar()
        var phone = Phone()
        let good = Credentials(nonce: try test.answer(phone.register(contact)).nonce).header
        for (from, to) in [
            (", nc=00000001", ""), ("uri=", "uri"), (", response=", ", nonsense="), ("nc=00000001", "nc=xyz"),
            ("username=\"alice\"", "username=\"alice"),
        ] {
            let answer = try test.answer(phone.register(contact, good.replacing(from, with: to)))
            #expect(answer.status == 400, "\(to) for \(from)")
        }
        for header in ["Authorization: Basic YWxpY2U6c2VjcmV0", good.replacing("SHA-256", with: "SHA-1")] {
            #expect(try test.answer(phone.register(contact, header)).status == 401)
        }
        // Credentials for a proxy on the way are not for us.
        let others = good.replacing("\"demo.example\"", with: "\"proxy\"")
        #expect(try test.answer(phone.register(contact, others, good)).status == 200)
    }

    @Test func aGuesserIsSlowed() throws {
        var test = try registrar()
        var phone = Phone()
        let guess = Credentials(password: "guess", nonce: try test.answer(phone.register(contact)).nonce)
        var answered = 0
        for _ in 0..<600 {
            answered += try test.receive(phone.register(contact, guess.header)).count
            test.advance(.milliseconds(100))
        }
        // Delays that double from 0.2 s to 10 s leave room for some ten guesses in a minute.
        #expect((8...14).contains(answered), "\(answered) guesses in a minute")
        #expect(test.counters.statistics.banned == 600 - UInt64(answered))
        #expect(test.registrar.transactions.count == 0)
    }

    @Test func aNetworkThatGuessesAtManyAccountsIsBanned() throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        for number in 0..<Limits().loginFailures {
            var guess = Credentials(nonce: nonce)
            guess.account = "user\(number)"
            #expect(try test.answer(phone.register(contact, guess.header)).status == 401)
        }
        #expect(try test.receive(phone.register(contact)).isEmpty)
        #expect(try test.answer(phone.register(contact), from: try TestRegistrar.route("192.0.2.2")).status == 401)
        test.advance(Periods().loginBan)
        #expect(try test.answer(phone.register(contact)).status == 401)
    }

    /// Wrong passwords for as many accounts as it takes to have a network banned.
    private func guess(_ test: inout TestRegistrar, _ nonce: String) throws {
        var phone = Phone(callID: "guesser@phone")
        for number in 0..<Limits().loginFailures {
            var guess = Credentials(nonce: nonce)
            guess.account = "user\(number)"
            #expect(try test.answer(phone.register(contact, guess.header)).status == 401)
        }
    }

    /// Behind a carrier's address translator somebody guesses.
    @Test func whoHasProvenItselfIsListenedToWhileItsNetworkIsBanned() throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        #expect(try test.answer(phone.register(contact, Credentials(nonce: nonce).header)).status == 200)
        try guess(&test, nonce)
        #expect(try test.answer(phone.register(contact, Credentials(nonce: nonce, count: 2).header)).status == 200)
        var stranger = Phone(account: "bob", callID: "bob@phone")
        #expect(try test.receive(stranger.register(contact)).isEmpty)
        var elsewhere = Phone(domain: "other.example", callID: "other@phone")
        #expect(try test.receive(elsewhere.register(contact)).isEmpty)
        #expect(try test.receive(phone.register(contact).replacing("CSeq: ", with: "CSeq: x")).isEmpty)
        var hidden = Credentials(nonce: nonce, count: 3)
        hidden.account = "bob"
        #expect(try test.receive(phone.register(contact, hidden.header)).isEmpty)
        #expect((test.counters.statistics.banned, test.counters.statistics.malformed) == (4, 0))
        // What it guesses itself is held against it alone, and makes the ban no longer.
        let wrong = Credentials(password: "guess", nonce: nonce, count: 3)
        test.advance(Periods().loginBan / 2)
        #expect(try test.answer(phone.register(contact, wrong.header)).status == 401)
        #expect(try test.receive(phone.register(contact, wrong.header)).isEmpty)
        test.advance(Periods().loginBan / 2)
        #expect(try test.answer(stranger.register(contact)).status == 401)
    }

    @Test func aNetworkThatIsSharedIsNotBannedButItsAccountsAreGuarded() throws {
        var test = try TestRegistrar(directory: directory) {
            $0.listen = SIPListen(udp: 5060, tcp: 5060, sharedNetworks: ["192.0.2.1"])
        }
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        try guess(&test, nonce)
        for _ in 0..<Limits().loginFailures * 10 { try test.receive("nonsense") }
        #expect(try test.answer(phone.register(contact)).status == 401)
        #expect(try test.answer(phone.register(contact, Credentials(password: "x", nonce: nonce).header)).status == 401)
        #expect(try test.receive(phone.register(contact, Credentials(nonce: nonce).header)).isEmpty)
    }

    /// They ask for a while longer, perhaps through a proxy that others use as well.
    @Test func phonesOfADomainThatWasRemovedAreNoNuisance() throws {
        var test = try registrar()
        test.serve([demo])
        var phone = Phone(domain: "other.example")
        for _ in 0...Limits().loginFailures * 10 {
            #expect(try test.answer(phone.register(contact)).status == 404)
        }
    }

    /// Unreadable responses are looked at, since they may be answers, and anybody can forge them.
    @Test func aBanIsNotMadeLongerByWhatIsDroppedForIt() throws {
        var test = try registrar()
        var phone = Phone(domain: "nowhere.example")
        for _ in 0..<Limits().loginFailures * 10 { try test.receive(phone.register(contact)) }
        test.advance(Periods().loginBan / 2)
        #expect(try test.receive("SIP/x").isEmpty)
        test.advance(Periods().loginBan / 2)
        #expect(try test.answer(phone.register(contact)).status == 404)
    }

    /// No account has such a name, so nothing can be guessed by it.
    @Test func aNameTooLongForAnAccountIsNotRemembered() throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        for number in 0..<Limits().loginFailures * 2 {
            var guess = Credentials(nonce: nonce)
            guess.account = String(repeating: "x", count: NewAccount.maximumNameLength) + "\(number)"
            #expect(try test.answer(phone.register(contact, guess.header)).status == 401)
        }
        #expect(test.counters.statistics.wrongPasswords == 0)
    }

    @Test func whileTheAccountsCannotBeReadNobodyIsWrong() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "rollcall-accounts-\(UUID().uuidString)").path
        // What is left in the temporary directory does no harm.
        defer {
            for suffix in ["", "-wal", "-shm", ".lock"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        }
        let accounts = try SQLiteDirectory(path: path, create: true)
        try accounts.add(demo, AccountID(.sipuser, "alice"), password: "secret")
        var test = try TestRegistrar(directory: accounts)
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        try DatabaseQueue(path: path).write { try $0.rename(table: "accounts", to: "elsewhere") }
        for count in 1...UInt32(Limits().loginFailures) * 2 {
            let answer = try test.answer(phone.register(contact, Credentials(nonce: nonce, count: count).header))
            #expect(answer.status == 503 && answer[.retryAfter] != nil)
        }
        #expect(test.counters.statistics.wrongPasswords == 0 && test.counters.statistics.banned == 0)
        try DatabaseQueue(path: path).write { try $0.rename(table: "elsewhere", to: "accounts") }
        #expect(try test.answer(phone.register(contact, Credentials(nonce: nonce).header)).status == 200)
    }

    /// Behind one address there may be an office.
    @Test func oneWrongPasswordSlowsNobodyElse() throws {
        var test = try registrar()
        var phone = Phone()
        let nonce = try test.answer(phone.register(contact)).nonce
        let guess = Credentials(password: "guess", nonce: nonce)
        #expect(try test.answer(phone.register(contact, guess.header)).status == 401)
        var bob = Phone(account: "bob", callID: "bob")
        var proof = Credentials(nonce: nonce)
        proof.account = "bob"
        #expect(try test.answer(bob.register("Contact: <sip:bob@192.0.2.1>", proof.header)).status == 200)
        let right = phone.register(contact, Credentials(nonce: nonce, count: 2).header)
        #expect(try test.receive(right).isEmpty)
        test.advance(.milliseconds(200))
        #expect(try test.answer(right).status == 200)
    }

    @Test func aScannerIsBannedForAWhile() throws {
        var test = try registrar()
        var phone = Phone(domain: "nowhere.example")
        let limit = Limits().loginFailures * 10
        for _ in 0..<limit { #expect(try test.answer(phone.register(contact)).status == 404) }
        #expect(try test.receive(phone.register(contact)).isEmpty)
        test.advance(Periods().loginBan)
        #expect(try test.answer(phone.register(contact)).status == 404)
    }

    /// Whether or not it can be read: only what answers a question of ours is listened to.
    @Test func nothingOfABannedNetworkIsAnswered() throws {
        var test = try registrar()
        var phone = Phone(domain: "nowhere.example")
        for _ in 0..<Limits().loginFailures * 10 { try test.receive(phone.register(contact)) }
        let malformed = phone.register(contact).replacing("CSeq: ", with: "CSeq: x")
        #expect(try test.receive(malformed).isEmpty && test.receive("nonsense").isEmpty)
        #expect((test.counters.statistics.malformed, test.counters.statistics.banned) == (0, 2))
        #expect(try test.answer(malformed, from: try TestRegistrar.route("192.0.2.2")).status == 400)
        try test.receive("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n")
        #expect(test.counters.statistics.responses == 1)
    }

    @Test func addressesOfOneIPv6NetworkAreOne() throws {
        var test = try registrar()
        var phone = Phone()
        let (first, second) = (try TestRegistrar.route("2001:db8::1"), try TestRegistrar.route("2001:db8::2"))
        let nonce = try test.answer(phone.register(contact), from: first).nonce
        let guess = Credentials(password: "guess", nonce: nonce)
        #expect(try test.answer(phone.register(contact, guess.header), from: first).status == 401)
        let right = phone.register(contact, Credentials(nonce: nonce).header)
        #expect(try test.receive(right, from: second).isEmpty)
        test.advance(.milliseconds(200))
        #expect(try test.answer(right, from: second).status == 200)
    }
}
