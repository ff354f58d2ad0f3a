import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WebSocketGateway

/// Subscriptions with `exargs.filter`, `exargs.mask` and `exargs.changes`.
@Suite(.timeLimit(.minutes(1))) struct NarrowedSubscriptionTests {
    private func registered(_ account: String, app: String = "", session: String = "s") -> LogEntry.Change {
        .registered(Self.contact(account, app: app, session: session), ttl: 60_000, replay: false)
    }

    private static func contact(_ account: String, app: String = "", session: String = "s") -> PackedContact {
        let details = UserDetails(sessionID: session, app: app, caps: ["subscr"], peerAddress: "10.0.0.1")
        return PackedContact(Registration(account: account, contact: "c", user: details))
            ?? { preconditionFailure("too long") }()
    }

    @Test func filterPassesWhatItSaysAndClear() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            let filter = #"["and",["==",["property","app"],"desk"],["!=",["property","data.user_id"],"u3"]]"#
            _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"],"exargs":{"filter":\#(filter)}}]"#)
            gateway.registrar.append([
                registered("u1", app: "desk"), registered("u2", app: "phone"), registered("u3", app: "desk"),
                .unregistered(Self.contact("u1", app: "desk"), .expiredContact),
            ])
            #expect(try await client.message().seq == 2)
            #expect(try await client.message().seq == 5)
            gateway.registrar.failOver()
            #expect(try await client.message().type == "clear")
            gateway.registrar.append([registered("u4", app: "desk")])
            #expect(try await client.message().data["user_id"] as? String == "u4")
        }
    }

    @Test func maskKeepsOnlyWhatItNames() async throws {
        try await Gateway.run { gateway in
            gateway.registrar.append([registered("u0")])
            let client = try await gateway.service()
            _ = try await client.ask(
                #"["subscribe",{"id":1,"events":["*"],"exargs":{"snapshot":true,"mask":["user_id","reason","ttl"]}}]"#)
            #expect(try await client.message().data["reason"] as? String == "snapshot")
            #expect(try await client.message().data.keys.sorted() == ["ttl", "user_id"])
            gateway.registrar.append([registered("u1"), .unregistered(Self.contact("u1"), .deleteAOR)])
            let event = try await client.message()
            #expect(event.type == "user_registered" && event.data.keys.sorted() == ["ttl", "user_id"])
            #expect(try await client.message().data as? [String: String] == ["user_id": "u1", "reason": "delete_aor"])
        }
    }

    @Test func whatIsNotSaidAtARenewalStaysAndNullTakesItAway() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            let filter = #"["==",["property","app"],"desk"]"#
            _ = try await client.ask(
                #"["subscribe",{"id":1,"events":["*"],"exargs":{"filter":\#(filter),"mask":["user_id"]}}]"#)
            _ = try await client.ask(#"["subscribe",{"id":1,"expires":60,"exargs":{}}]"#)
            gateway.registrar.append([registered("u1", app: "phone"), registered("u2", app: "desk")])
            let masked = try await client.message()
            #expect(masked.seq == 3 && masked.data.count == 1)
            _ = try await client.ask(#"["subscribe",{"id":1,"exargs":{"mask":null}}]"#)
            gateway.registrar.append([registered("u1", app: "phone"), registered("u2", app: "desk")])
            let whole = try await client.message()
            #expect(whole.seq == 5 && whole.data.count > 5)
            _ = try await client.ask(#"["subscribe",{"id":1,"exargs":{"filter":null,"mask":["app"]}}]"#)
            gateway.registrar.append([registered("u1", app: "phone")])
            #expect(try await client.message().data as? [String: String] == ["app": "phone"])
        }
    }

    @Test(arguments: [
        (#"{"filter":["==",["property","usr"],1]}"#, "`exargs.filter[1][1]`: expected one of `type`, `user_id`"),
        (#"{"filter":"online"}"#, "`exargs.filter`: expected a condition"),
        (#"{"mask":["user_id","x"]}"#, "`exargs.mask[1]`: expected one of `type`"),
        (#"{"changes":"yes"}"#, "`changes` must be true or false"),
    ])
    func mistakesAreToldWithTheirPlace(_ extra: String, _ beginning: String) async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            let reply = try await client.ask(#"["subscribe",{"id":1,"events":["*"],"exargs":\#(extra)}]"#)
            #expect(reply.errorCode == 400)
            let message = try #require(reply.fields["errormsg"] as? String)
            #expect(message.hasPrefix(beginning), "\(message)")
            // A mistake at a renewal changes nothing.
            _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
            #expect(try await client.ask(#"["subscribe",{"id":1,"exargs":\#(extra)}]"#).errorCode == 400)
            gateway.registrar.append([registered("u1")])
            #expect(try await client.message().seq == 2)
        }
    }

    @Test func netChangesLeaveOutRenewalsAndFailovers() async throws {
        try await Gateway.run { gateway in
            gateway.registrar.append([registered("u1")])
            let client = try await gateway.service()
            let whole = try await gateway.service()
            _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"],"exargs":{"changes":true}}]"#)
            _ = try await whole.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
            gateway.registrar.append([registered("u1"), registered("u2")])
            // A new owner's word would overtake what is under way.
            for seq in [3, 4] { #expect(try await whole.message().seq == seq) }
            gateway.registrar.failOver()
            gateway.registrar.append([registered("u2"), registered("u1", session: "other")])
            gateway.registrar.append([.unregistered(Self.contact("u2"), .expiredContact)])
            var seen: [String] = []
            for _ in 0..<3 {
                let event = try await client.message()
                seen.append("\(event.fields["epoch"] ?? 0):\(event.seq ?? 0) \(event.type ?? "")")
            }
            #expect(seen == ["1:4 user_registered", "2:5 user_registered", "2:6 user_unregistered"])
            for seq in 1...6 { #expect(try await whole.message().seq == seq) }

            // From a position in the epoch before, only what changed since.
            let other = try await gateway.service()
            let reply = try await other.ask(
                #"["subscribe",{"id":1,"events":["*"],"exargs":{"changes":true,"after":{"epoch":1,"seq":4}}}]"#)
            #expect(reply.result == "ok")
            #expect(try await other.message().seq == 5)
            #expect(try await other.message().seq == 6)
        }
    }
}
