import AccessTokens
import ClusterRuntime
import RegistrarEvents
import Synchronization
import Testing

@testable import WebSocketGateway

@Suite(.timeLimit(.minutes(1))) struct LoginTests {
    @Test func loginRegistersTheConnectionAndClosingEndsIt() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            let setup = try await client.ask(
                #"["setup",{"qid":0,"app":"phone","capabilities":["subscr","magic"]}]"#)
            #expect(setup.result == "ok")
            let reply = try await client.ask(Gateway.login)
            #expect(reply.method == "login_result")
            #expect(reply.fields["qid"] as? Int == 1)
            #expect(reply.fields["td"] as? String == "demo.example")
            #expect(reply.fields["login"] as? String == "u1")
            #expect(reply.fields["register"] as? String == "ok")
            let capabilities = reply.fields["capabilities"] as? [[String: String]]
            #expect(capabilities?.map(\.["result"]) == ["ok", "error"])
            let connection = try #require(reply.fields["connectionid"] as? String)
            let session = try #require(reply.fields["sessionid"] as? String)

            let operations = gateway.registrar.state.withLock { $0.operations }
            guard case .register(let contact, let ttl)? = operations.first else {
                Issue.record("nothing was registered")
                return
            }
            let registration = try contact.registration()
            #expect(ttl == 120_000)
            #expect(registration.key == ContactKey(.user, "u1", connection))
            guard case .user(let details) = registration.details else { return }
            #expect("\(details.sessionID)." == session.prefix(37))
            #expect(details.app == "phone" && details.caps == ["subscr"])
            #expect(details.peerAddress == "127.0.0.1" && details.peerPort > 0)

            let info = try await client.ask(#"["connection_info",{"qid":{"any":[1.5,null,true]}}]"#)
            #expect(info.fields["connectionid"] as? String == connection)
            #expect(info.fields["ownertype"] as? String == "user")
            #expect((info.fields["qid"] as? [String: Any])?["any"] != nil)
            #expect((info.fields["datetime"] as? String)?.hasSuffix("Z") == true)
            #expect(try await client.ask(Gateway.login).errorCode == 409)
            client.close()
            try await Gateway.eventually { gateway.registrar.state.withLock { $0.contacts.isEmpty } }
        }
    }

    @Test(arguments: [
        #""login":"u1","pwd":"wrong","td":"demo.example""#, #""login":"no","pwd":"secret","td":"demo.example""#,
        #""login":"u1","pwd":"secret","td":"other.example""#, #""login":"u1","pwd":"secret","td":"..""#,
        #""rsessionid":"nothing""#, #""token":"a.b.c""#, #""token":"SERVICE""#,
    ])
    func wrongCredentialsAreRefusedAlike(_ credentials: String) async throws {
        try await Gateway.run { gateway in
            let service = try await gateway.tokens.mint(domain: demo)
            let client = try await RawClient.open(port: gateway.port)
            let reply = try await client.ask(
                #"["login",{"qid":1,\#(credentials.replacing("SERVICE", with: service))}]"#)
            #expect(reply.errorCode == 401)
            #expect(gateway.registrar.state.withLock { $0.operations.isEmpty })
            #expect(gateway.server.statistics.loginsRefused == 1)
        }
    }

    @Test func sessionsAndTokensLogIn() async throws {
        try await Gateway.run { gateway in
            let first = try await RawClient.open(port: gateway.port)
            let reply = try await first.ask(Gateway.login)
            let session = try #require(reply.fields["sessionid"] as? String)
            first.close()
            let second = try await RawClient.open(port: gateway.port)
            let resumed = try await second.ask(#"["login",{"qid":2,"rsessionid":"\#(session)"}]"#)
            #expect(resumed.fields["sessionid"] as? String == session)
            #expect(resumed.fields["login"] as? String == "u1")
            #expect(resumed.fields["connectionid"] as? String != reply.fields["connectionid"] as? String)
            let token = try await gateway.tokens.mint(domain: demo, user: "u2")
            let third = try await RawClient.open(port: gateway.port)
            #expect(try await third.ask(#"["login",{"qid":3,"token":"\#(token)"}]"#).fields["login"] as? String == "u2")
        }
    }

    /// What everybody is told of a connection is not enough to log in by.
    @Test func nobodyResumesASessionByWhatEventsTell() async throws {
        try await Gateway.run { gateway in
            let first = try await gateway.loggedIn()
            let operations = gateway.registrar.state.withLock { $0.operations }
            guard case .register(let contact, _)? = operations.first,
                case .user(let details) = try contact.registration().details
            else {
                Issue.record("nothing was registered")
                return
            }
            let second = try await RawClient.open(port: gateway.port)
            let reply = try await second.ask(#"["login",{"qid":1,"rsessionid":"\#(details.sessionID)"}]"#)
            #expect(reply.errorCode == 401)
            first.close()
        }
    }

    @Test func accountsThatCannotBeReadAreNobodysFault() async throws {
        try await Gateway.run { gateway in
            let first = try await RawClient.open(port: gateway.port)
            let session = try #require(try await first.ask(Gateway.login).fields["sessionid"] as? String)
            let resume = #"["login",{"qid":1,"rsessionid":"\#(session)"}]"#
            gateway.directory.isReadable = false
            let second = try await RawClient.open(port: gateway.port)
            #expect(try await second.ask(resume).errorCode == 503)
            gateway.directory.isReadable = true
            #expect(try await second.ask(resume).result == "ok")
        }
    }

    @Test func whoWasRemovedDoesNotComeBackByAToken() async throws {
        try await Gateway.run { gateway in
            let token = try await gateway.tokens.mint(domain: demo, user: "u2")
            let login = #"["login",{"qid":1,"token":"\#(token)"}]"#
            let client = try await RawClient.open(port: gateway.port)
            gateway.directory.isReadable = false
            #expect(try await client.ask(login).errorCode == 503)
            gateway.directory.isReadable = true
            try gateway.directory.remove(demo, AccountID(.user, "u2"))
            #expect(try await client.ask(login).errorCode == 401)
            #expect(gateway.registrar.state.withLock { $0.operations.isEmpty })
        }
    }

    @Test func usersOfAnotherIssuerNeedNoAccount() async throws {
        try await Gateway.run { gateway in
            let token = try await AccessTokens(Gateway.otherIssuer).mint(domain: demo, user: "elsewhere")
            let client = try await RawClient.open(port: gateway.port)
            let reply = try await client.ask(#"["login",{"qid":1,"token":"\#(token)"}]"#)
            let session = try #require(reply.fields["sessionid"] as? String)
            let second = try await RawClient.open(port: gateway.port)
            let resumed = try await second.ask(#"["login",{"qid":2,"rsessionid":"\#(session)"}]"#)
            #expect(resumed.errorCode == nil && resumed.fields["login"] as? String == "elsewhere")
        }
    }

    /// Whoever closes the websockets of removed accounts does not find one that is logging in.
    @Test func aLoginDoesNotOutliveItsAccount() async throws {
        try await Gateway.run { gateway in
            gateway.registrar.state.withLock { state in
                state.meanwhile = {
                    // It is removed once; the registration's end comes here as well.
                    try? gateway.directory.remove(demo, AccountID(.user, "u1"))
                }
            }
            let client = try await RawClient.open(port: gateway.port)
            #expect(try await client.ask(Gateway.login).errorCode == 401)
            #expect(gateway.registrar.state.withLock { $0.operations.count } >= 1)
            try await Gateway.eventually { gateway.registrar.state.withLock { $0.contacts.isEmpty } }
            #expect(gateway.server.statistics.loginsRefused == 1)
        }
    }

    @Test func whatWaitsBehindALoginIsBounded() async throws {
        try await Gateway.run { gateway in
            let isHeld = Mutex(true)
            gateway.registrar.state.withLock { state in
                state.meanwhile = {
                    // The task lasts as long as the gateway, so it ends when the test does.
                    while isHeld.withLock({ $0 }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
                }
            }
            let padding = String(repeating: "x", count: 20_000)
            let ping = Array(#"["ping",{"qid":1,"x":"\#(padding)"}]"#.utf8)
            let patient = try await RawClient.open(port: gateway.port)
            try await patient.say(Gateway.login)
            for _ in 0..<3 { try await patient.send(bytes: RawClient.frame(1, ping)) }
            let greedy = try await RawClient.open(port: gateway.port)
            try await greedy.say(Gateway.login)
            for _ in 0..<4 { try await greedy.send(bytes: RawClient.frame(1, ping)) }
            #expect(try await greedy.closeCode() == 1008)
            isHeld.withLock { $0 = false }
            #expect(try await patient.message().method == "login_result")
            // What has been answered waits no more.
            for _ in 0..<3 { #expect(try await patient.message().result == "ok") }
            for _ in 0..<5 {
                try await patient.send(bytes: RawClient.frame(1, ping))
                #expect(try await patient.message().result == "ok")
            }
        }
    }

    @Test func loginFailsWhenTheRegistrarRefuses() async throws {
        try await Gateway.run { gateway in
            gateway.registrar.state.withLock { $0.refusal = .tooManyDevices(limit: 10) }
            let client = try await RawClient.open(port: gateway.port)
            #expect(try await client.ask(Gateway.login).errorCode == 429)
            gateway.registrar.state.withLock { $0.refusal = .unavailable }
            #expect(try await client.ask(Gateway.login).errorCode == 503)
            gateway.registrar.state.withLock { $0.refusal = nil }
            #expect(try await client.ask(Gateway.login).result == "ok")
        }
    }

    @Test func requestsBehindALoginWaitForIt() async throws {
        try await Gateway.run { gateway in
            let client = try await RawClient.open(port: gateway.port)
            try await client.send(
                bytes: RawClient.frame(1, Array(Gateway.login.utf8))
                    + RawClient.frame(1, Array(#"["subscribe",{"qid":2,"id":1,"events":["*"]}]"#.utf8)))
            #expect(try await client.message().method == "login_result")
            let reply = try await client.message()
            #expect(reply.method == "subscribe_result" && reply.result == "ok")
        }
    }

    @Test func whoDoesNotLogInIsShownOut() async throws {
        try await Gateway.run({ $0.loginTime = .milliseconds(100) }) { gateway in
            let client = try await RawClient.open(port: gateway.port)
            #expect(try await client.ask(#"["subscribe",{"id":1,"events":["*"]}]"#).errorCode == 403)
            #expect(try await client.ask(#"["dance",{}]"#).errorCode == 404)
            #expect(try await client.closeCode() == 1008)
        }
    }

    @Test func shutdownTellsClientsAndEndsTheirRegistrations() async throws {
        let clients = Box<RawClient>()
        let registrars = Box<Registrar>()
        try await Gateway.run { gateway in
            for _ in 0..<3 { clients.add(try await gateway.loggedIn()) }
            registrars.add(gateway.registrar)
        }
        for client in clients.all { #expect(try await client.closeCode() == 1012) }
        #expect(registrars.all[0].state.withLock { $0.contacts.isEmpty })
    }

    @Test func theWebsocketsOfRemovedAccountsAreClosed() async throws {
        try await Gateway.run { gateway in
            let gone = try await gateway.loggedIn()
            let other = try await RawClient.open(port: gateway.port)
            #expect(try await other.ask(Gateway.login.replacing("u1", with: "u2")).result == "ok")
            gateway.server.disconnect([
                .init(demo, AccountID(.user, "u1")), .init(demo, AccountID(.sipuser, "u2")),
            ])
            #expect(try await gone.closeCode() == 1008)
            #expect(try await other.ask(#"["subscribe",{"qid":2,"id":1,"events":["*"]}]"#).result == "ok")
            try await Gateway.eventually { gateway.registrar.state.withLock { $0.contacts.count } == 1 }
        }
    }

    @Test func bansAreListedAndLifted() async throws {
        try await Gateway.run({ $0.limits.loginFailures = 1 }) { gateway in
            let client = try await RawClient.open(port: gateway.port)
            let wrong = Gateway.login.replacing("secret", with: "wrong")
            #expect(try await client.ask(wrong).errorCode != nil)
            #expect(gateway.server.bans.map(\.network) == ["127.0.0.1"])
            #expect(gateway.server.liftBan("127.0.0.1"))
            #expect(gateway.server.bans.isEmpty)
            _ = try await gateway.loggedIn()
        }
    }

    @Test func sessionsAreForgottenAWhileAfterTheirLastConnection() {
        func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }
        let owner = SessionTable.Owner(domain: demo, account: "u1", rights: AccessRights(domain: demo))
        var table = SessionTable(capacity: 2, lifetime: .seconds(10))
        table.begin("a", owner, at: at(0))
        #expect(table.resume("a", at: at(1)) == owner)
        table.leave("a", at: at(2))
        table.leave("a", at: at(3))
        #expect(table.resume("a", at: at(12)) == owner)
        table.leave("a", at: at(13))
        #expect(table.resume("a", at: at(30)) == nil)
        for name in ["b", "c", "d"] { table.begin(name, owner, at: at(31)) }
        #expect(table.count == 2)
    }

    @Test func sessionsThatAreLeftOverAndOverTakeNoMoreRoom() {
        func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }
        let owner = SessionTable.Owner(domain: demo, account: "u1", rights: AccessRights(domain: demo))
        var table = SessionTable(capacity: 10, lifetime: .seconds(3_600))
        for name in ["a", "b", "c"] { table.begin(name, owner, at: at(0)) }
        table.leave("b", at: at(1))
        for second in 2..<1_000 as Range<Int64> {
            table.leave("a", at: at(second))
            #expect(table.resume("a", at: at(second)) == owner)
            #expect(table.left.count <= 20)
        }
        // They are forgotten when it is time, as before.
        #expect(table.count == 3)
        #expect(table.resume("b", at: at(3_602)) == nil && table.resume("a", at: at(3_602)) == owner)
    }

    /// Of a session whose login was refused nobody is told: it takes nobody's place.
    @Test func refusedLoginsLeaveNoSessions() async throws {
        try await Gateway.run({ $0.sessions = 1 }) { gateway in
            let first = try await gateway.loggedIn()
            let session = try #require(
                try await first.ask(#"["connection_info",{}]"#).fields["sessionid"] as? String)
            first.close()
            try await Gateway.eventually { gateway.registrar.state.withLock { $0.contacts.isEmpty } }
            gateway.registrar.state.withLock { $0.refusal = .tooManyDevices(limit: 10) }
            let second = try await RawClient.open(port: gateway.port)
            #expect(try await second.ask(Gateway.login).errorCode == 429)
            gateway.registrar.state.withLock { $0.refusal = nil }
            #expect(try await second.ask(#"["login",{"qid":2,"rsessionid":"\#(session)"}]"#).result == "ok")
        }
    }
}

/// Carries something out of a closure.
final class Box<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    var all: [Value] { values.withLock { $0 } }
    func add(_ value: Value) { values.withLock { $0.append(value) } }
}
