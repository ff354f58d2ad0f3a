import AccessTokens
import ClusterRuntime
import Foundation
import NIOCore
import RegistrarEvents
import Testing
import WSSubscrActor
import WebSocketFrames

@testable import WebSocketGateway

/// What a client may follow by its token's rights: machine alone.
@Suite struct RightsTests {
    private static let beneath = DomainName("sales.demo.example")!
    private static let foreign = DomainName("acme.example")!
    private static let served: Set<DomainName> = [demo, beneath, foreign]

    /// A service's connection, and what it is answered.
    struct Client {
        var conversation: Conversation
        var now = Moment(monotonic: MonotonicInstant(nanoseconds: 0), wall: 1_000_000)

        init(_ rights: AccessRights, expiresAt: Int64? = 10_000) {
            conversation = Conversation(
                peer: Peer(address: "127.0.0.1", port: 1, network: "127.0.0.1"), site: "main", maximumSubscriptions: 4,
                serves: { RightsTests.served.contains($0) },
                service: Member(
                    domain: demo, account: "", sessionID: "", connectionID: "c", registration: nil, rights: rights,
                    expiresAt: expiresAt))
        }

        struct Asked: Equatable {
            var domain: DomainName
            var matcher: SubscriptionMatcher?
            var expires: Duration
        }

        enum Outcome: Equatable {
            case asked(Asked)
            case refused(Int)
        }

        /// Subscribes with these parameters beside `qid` and `id`.
        mutating func subscribe(_ parameters: String, id: Int = 1) throws -> Outcome {
            let text = #"["subscribe",{"qid":1,"id":\#(id),\#(parameters)}]"#
            let actions = conversation.received(ByteBuffer(string: text), at: now)
            switch try #require(actions.first) {
            case .subscribe(_, let domain, let matcher, let expires, _):
                return .asked(Asked(domain: domain, matcher: matcher, expires: expires))
            case .reply(let json):
                let message = try JSONSerialization.jsonObject(with: Data(json)) as? [Any]
                return .refused(try #require((message?.last as? [String: Any])?["errorcode"] as? Int))
            case .login, .cancel, .close: throw Unexpected()
            }
        }

        struct Unexpected: Error {}
    }

    private static let everything = #""events":["*"]"#

    private static func of(_ domain: DomainName) -> String {
        #""events":["*"],"exargs":{"domain":"\#(domain)"}"#
    }

    private func asked(
        _ domain: DomainName, _ matcher: SubscriptionMatcher? = .everything, for expires: Duration = .seconds(3_600)
    ) -> Client.Outcome {
        .asked(Client.Asked(domain: domain, matcher: matcher, expires: expires))
    }

    @Test func aTokenIsForItsOwnDomainAlone() throws {
        var client = Client(AccessRights(domain: demo))
        #expect(try client.subscribe(Self.everything) == asked(demo))
        #expect(try client.subscribe(#""events":["*"],"exargs":{"domain":"DEMO.Example"}"#) == asked(demo))
        for domain in [Self.beneath, Self.foreign, DomainName("nobody.example")!, DomainName("example")!] {
            #expect(try client.subscribe(Self.of(domain)) == .refused(403), "\(domain)")
        }
        for text in [#""demo.example.""#, #"""# + #"""#, "1", #"["demo.example"]"#, #""demo\u3002example""#] {
            #expect(try client.subscribe(#""events":["*"],"exargs":{"domain":\#(text)}"#) == .refused(400), "\(text)")
        }
    }

    @Test func aSubtreeBringsWhatIsBeneath() throws {
        var client = Client(AccessRights(domain: demo, includesSubtree: true))
        #expect(try client.subscribe(Self.of(Self.beneath)) == asked(Self.beneath))
        // The same id goes on where it is, and nowhere else.
        #expect(try client.subscribe(#""expires":60"#) == asked(Self.beneath, nil, for: .seconds(60)))
        #expect(try client.subscribe(Self.of(demo)) == .refused(409))
        #expect(try client.subscribe(Self.of(demo), id: 2) == asked(demo))
        #expect(try client.subscribe(Self.of(Self.foreign), id: 3) == .refused(403))
        #expect(try client.subscribe(Self.of(DomainName("none.demo.example")!), id: 3) == .refused(404))
    }

    @Test func aDomainThatIsNotServedCanStillBeTheRoot() throws {
        var client = Client(AccessRights(domain: DomainName("example")!, includesSubtree: true))
        client.conversation.state = .member(
            Member(
                domain: DomainName("example")!, account: "", sessionID: "", connectionID: "c", registration: nil,
                rights: AccessRights(domain: DomainName("example")!, includesSubtree: true), expiresAt: nil))
        #expect(try client.subscribe(Self.everything) == .refused(404))
        #expect(try client.subscribe(Self.of(demo)) == asked(demo))
    }

    @Test func accountsNarrowEverySubscription() throws {
        var client = Client(AccessRights(domain: demo, accounts: ["u2", "u1"]))
        #expect(try client.subscribe(Self.everything) == asked(demo, SubscriptionMatcher(.all, objects: ["u1", "u2"])))
        #expect(
            try client.subscribe(#""events":["*"],"objects":[]"#)
                == asked(demo, SubscriptionMatcher(.all, objects: ["u1", "u2"])))
        #expect(
            try client.subscribe(#""events":["*"],"objects":["u2"]"#)
                == asked(demo, SubscriptionMatcher(.all, objects: ["u2"])))
        for objects in [#"["u3"]"#, #"["u1","u3"]"#, #"["U1"]"#, #"["*"]"#] {
            #expect(try client.subscribe(#""events":["*"],"objects":\#(objects)"#) == .refused(403), "\(objects)")
        }
        var nobody = Client(AccessRights(domain: demo, accounts: []))
        #expect(try nobody.subscribe(Self.everything) == .refused(403))
    }

    @Test func classesAndCapabilitiesAreAskedFor() throws {
        var views = Client(AccessRights(domain: demo, classes: [.modelEvents]))
        for event in ["registrarevents.*", "registrarevents.clear", "*"] {
            #expect(try views.subscribe(#""events":["\#(event)"]"#) == .refused(403), "\(event)")
        }
        var reader = Client(AccessRights(domain: demo, capabilities: [.read, .write]))
        #expect(try reader.subscribe(Self.everything) == .refused(403))
        let info = reader.conversation.received(
            ByteBuffer(string: #"["connection_info",{"qid":1}]"#), at: reader.now)
        guard case .reply(let json)? = info.first else {
            Issue.record("no answer")
            return
        }
        let text = String(decoding: json, as: UTF8.self)
        #expect(text.contains(#"{"key":"subscr","result":"error","errormsg":"the token lacks this capability"}"#))
    }

    @Test func nothingOutlastsTheToken() throws {
        var client = Client(AccessRights(domain: demo), expiresAt: 1_030)
        #expect(try client.subscribe(Self.everything) == asked(demo, for: .seconds(30)))
        #expect(try client.subscribe(#""expires":10"#) == asked(demo, nil, for: .seconds(10)))
        client.now.wall = 1_030_000
        #expect(try client.subscribe(#""expires":10"#) == .refused(403))
    }

    @Test func aSessionKeepsTheRightsOfItsLogin() async throws {
        try await Gateway.run { gateway in
            let rights = AccessRights(domain: demo, accounts: ["u2"])
            let token = try await gateway.tokens.mint(rights: rights, user: "u2")
            let first = try await RawClient.open(port: gateway.port)
            let reply = try await first.ask(#"["login",{"qid":1,"token":"\#(token)"}]"#)
            let session = try #require(reply.fields["sessionid"] as? String)
            first.close()
            let second = try await RawClient.open(port: gateway.port)
            #expect(try await second.ask(#"["login",{"qid":2,"rsessionid":"\#(session)"}]"#).result == "ok")
            let refused = try await second.ask(#"["subscribe",{"qid":3,"id":1,"events":["*"],"objects":["u1"]}]"#)
            #expect(refused.errorCode == 403)
        }
    }

    /// Numbers of subscriptions come round after 16 million; one that has lasted since keeps its own.
    @Test func aNumberInUseIsNotGivenOutAgain() throws {
        var client = Client(AccessRights(domain: demo))
        _ = try client.subscribe(Self.everything, id: 1)
        #expect(client.conversation.entries.keys.sorted() == [1])
        client.conversation.nextNumber = SubscriberID.maximumNumber - 1
        _ = try client.subscribe(Self.everything, id: 2)
        _ = try client.subscribe(Self.everything, id: 3)
        _ = try client.subscribe(Self.everything, id: 4)
        #expect(client.conversation.entries.keys.sorted() == [0, 1, 2, SubscriberID.maximumNumber])
    }

    @Test func requestsThatWaitForAnAnswerAreBounded() throws {
        var client = Client(AccessRights(domain: demo))
        for _ in 0..<Conversation.maximumPending {
            guard case .asked = try client.subscribe(Self.everything) else {
                Issue.record("refused too early")
                return
            }
        }
        #expect(try client.subscribe(Self.everything) == .refused(429))
        #expect(try client.subscribe(Self.everything, id: 2) != .refused(429))
    }

    @Test func aLongQIDIsRefused() throws {
        var client = Client(AccessRights(domain: demo))
        for qid in ["\"\(String(repeating: "x", count: 257))\"", "[\(String(repeating: "1,", count: 200))1]"] {
            let actions = client.conversation.received(ByteBuffer(string: #"["ping",{"qid":\#(qid)}]"#), at: client.now)
            guard case .reply(let json)? = actions.first, actions.count == 1 else {
                Issue.record("\(actions)")
                return
            }
            #expect(String(decoding: json, as: UTF8.self).contains("400"))
        }
    }

    /// What an event loop has to do for a message is bounded by more than its bytes.
    @Test func aMessageOfTooManyValuesEndsTheConnection() throws {
        var client = Client(AccessRights(domain: demo))
        let text = #"["ping",{"a":[\#(String(repeating: "{},", count: 10_000)){}]}]"#
        let actions = client.conversation.received(ByteBuffer(string: text), at: client.now)
        guard case .close(.policyViolation, _)? = actions.last else {
            Issue.record("\(actions)")
            return
        }
    }

    /// In the middle of a snapshot nothing comes after its one position: the end has to be told.
    @Test func whoWantsToIsToldThatASnapshotIsWhole() async throws {
        try await Gateway.run { gateway in
            let contact = PackedContact(
                Registration(account: "u9", contact: "c", user: UserDetails(sessionID: "s", app: "", caps: [])))!
            gateway.registrar.append([.registered(contact, ttl: 60_000, replay: false)])
            let client = try await gateway.service()
            func ask(_ id: Int, _ exargs: String) async throws -> [String] {
                try await client.say(
                    #"["subscribe",{"qid":1,"id":\#(id),"events":["*"],"exargs":{\#(exargs)}}]"#)
                var methods: [String] = []
                repeat {
                    let message = try await client.message()
                    methods.append(message.type ?? message.method)
                    if message.method == "synced" {
                        #expect(message.seq == 2 && message.fields["id"] as? Int == id)
                        #expect(message.fields["domain"] as? String == "demo.example")
                    }
                } while methods.last != "synced" && methods.last != "pong_result"
                return methods
            }
            #expect(
                try await ask(1, #""snapshot":true,"synced":true"#)
                    == ["subscribe_result", "clear", "user_registered", "synced"])
            #expect(
                try await ask(2, #""after":{"epoch":1,"seq":1},"synced":true"#)
                    == ["subscribe_result", "user_registered", "synced"])
            #expect(try await ask(3, #""after":{"epoch":1,"seq":2},"synced":true"#) == ["subscribe_result", "synced"])
            #expect(
                try await client.ask(#"["subscribe",{"id":4,"events":["*"],"exargs":{"synced":1}}]"#).errorCode == 400)
        }
    }
}
