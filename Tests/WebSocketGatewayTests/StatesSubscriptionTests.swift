import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WebSocketGateway

@Suite(.timeLimit(.minutes(1))) struct StatesSubscriptionTests {
    private static let users = #""events":["modelevents.data_changed"],"classpath":"/rest/v1/uc/user_states""#

    private func registered(_ account: String, _ contact: String) -> LogEntry.Change {
        guard let packed = PackedContact(Registration(account: account, contact: contact, user: UserDetails())) else {
            preconditionFailure("too long")
        }
        return .registered(packed, ttl: 60_000, replay: false)
    }

    @Test func subscriberIsToldWhoComesOnline() async throws {
        try await Gateway.run { gateway in
            gateway.registrar.append([registered("a", "1")])
            let client = try await gateway.service()
            let reply = try await client.ask(
                #"["subscribe",{"id":"s",\#(Self.users),"exargs":{"snapshot":true}}]"#)
            #expect((reply.fields["position"] as? [String: Int]) == ["epoch": 1, "seq": 2])
            #expect(try await client.message().type == "clear")
            let known = try await client.message()
            #expect(known.fields["replay"] as? Bool == true && known.data["operation"] as? Int == 1)
            #expect(known.data["entity"] as? [String: String] == ["id": "a", "username": "a", "status": "online"])
            gateway.registrar.append([registered("a", "1"), registered("a", "2"), registered("b", "1")])
            let change = try await client.message()
            #expect(change.seq == 5 && change.data["eclass"] as? String == "user_states")
            #expect(change.data["operation"] as? Int == 2 && change.data["eid"] as? String == "b")
            #expect((change.data["entity0"] as? [String: String])?["status"] == "offline")
            let renewed = try await client.ask(#"["subscribe",{"id":"s","expires":60,"objects":["c"]}]"#)
            #expect(renewed.result == "ok")
            gateway.registrar.append([registered("d", "1"), registered("c", "1")])
            #expect(try await client.message().data["eid"] as? String == "c")
            let other = try await gateway.service()
            _ = try await other.ask(#"["subscribe",{"id":1,\#(Self.users),"exargs":{"after":{"epoch":1,"seq":2}}}]"#)
            for account in ["b", "d", "c"] { #expect(try await other.message().data["eid"] as? String == account) }
        }
    }

    @Test(arguments: [
        (#"{"id":1,"events":["modelevents.data_changed"]}"#, 400),
        (#"{"id":1,"events":["modelevents.data_changed"],"classpath":7}"#, 400),
        (#"{"id":1,"events":["modelevents.data_changed"],"classpath":"/rest/v1/uc/contacts"}"#, 404),
        (#"{"id":1,"events":["modelevents.created"],"classpath":"/rest/v1/uc/user_states"}"#, 404),
        (#"{"id":1,"events":["*","modelevents.data_changed"],"classpath":"/rest/v1/uc/user_states"}"#, 400),
        (#"{"id":"s","exargs":{"mask":["eid"]}}"#, 422), (#"{"id":"s","exargs":{"changes":true}}"#, 422),
        (#"{"id":"s","events":["registrarevents.*"]}"#, 409),
        (#"{"id":"e","events":["modelevents.*"],"classpath":"/rest/v1/uc/user_states"}"#, 409),
    ])
    func mistakesAreAnsweredWithACode(_ parameters: String, _ code: Int) async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            #expect(try await client.ask(#"["subscribe",{"id":"s",\#(Self.users)}]"#).result == "ok")
            // Of no effect where there is only one view.
            let events = #"{"id":"e","events":["*"],"classpath":"anything"}"#
            #expect(try await client.ask(#"["subscribe",\#(events)]"#).result == "ok")
            #expect(try await client.ask(#"["subscribe",\#(parameters)]"#).errorCode == code)
            let changed = #"{"id":"s","classpath":"/rest/v1/uc/sipuser_states"}"#
            #expect(try await client.ask(#"["subscribe",\#(changed)]"#).result == "ok")
        }
    }
}
