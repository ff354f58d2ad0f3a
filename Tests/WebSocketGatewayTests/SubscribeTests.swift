import ClusterRuntime
import RegistrarEvents
import Testing
import WSSubscrActor

@testable import WebSocketGateway

@Suite(.timeLimit(.minutes(1))) struct SubscribeTests {
    private func registered(_ account: String) -> LogEntry.Change {
        .registered(Self.contact(account), ttl: 60_000, replay: false)
    }

    private static func contact(_ account: String, padding: Int = 0) -> PackedContact {
        let details = UserDetails(sessionID: "s", app: String(repeating: "x", count: padding), caps: [])
        return PackedContact(Registration(account: account, contact: "c", user: details))
            ?? { preconditionFailure("too long") }()
    }

    @Test func subscriberSeesItsOwnDomainsEventsOncePerSubscription() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.loggedIn()
            let reply = try await client.ask(
                #"["subscribe",{"qid":"s","id":"all","expires":300,"events":["registrarevents.*"]}]"#)
            #expect(reply.fields["id"] as? String == "all")
            #expect(reply.fields["expires"] as? Int == 300)
            #expect((reply.fields["position"] as? [String: Int]) == ["epoch": 1, "seq": 2])
            _ = try await client.ask(
                #"["subscribe",{"id":7,"events":["registrarevents.user_registered"],"objects":["u9"]}]"#)
            gateway.registrar.append([registered("u8"), registered("u9")])
            var seen: [String] = []
            for _ in 0..<3 {
                let event = try await client.message()
                #expect(event.method == "event" && event.type == "user_registered")
                let id = (event.fields["id"] as? String) ?? "\(event.fields["id"] as? Int ?? 0)"
                seen.append("\(id) \(event.data["user_id"] as? String ?? "") \(event.seq ?? 0)")
            }
            #expect(seen.sorted() == ["7 u9 4", "all u8 3", "all u9 4"])
        }
    }

    @Test func snapshotAndResume() async throws {
        try await Gateway.run { gateway in
            gateway.registrar.append((0..<500).map { registered("a\($0)") })
            let client = try await gateway.service()
            let reply = try await client.ask(
                #"["subscribe",{"id":1,"events":["*"],"exargs":{"snapshot":true}}]"#)
            #expect((reply.fields["position"] as? [String: Int]) == ["epoch": 1, "seq": 501])
            let clear = try await client.message()
            #expect(clear.type == "clear" && clear.data["reason"] as? String == "snapshot")
            var accounts: Set<String> = []
            for _ in 0..<500 {
                let event = try await client.message()
                #expect(event.fields["replay"] as? Bool == true && event.seq == 501)
                accounts.insert(event.data["user_id"] as? String ?? "")
            }
            #expect(accounts.count == 500)
            gateway.registrar.append([registered("late")])
            #expect(try await client.message().seq == 502)

            let other = try await gateway.service()
            _ = try await other.ask(
                #"["subscribe",{"id":1,"events":["*"],"exargs":{"after":{"epoch":1,"seq":499}}}]"#)
            for seq in 500...502 { #expect(try await other.message().seq == seq) }
            _ = try await other.ask(
                #"["subscribe",{"id":2,"events":["*"],"exargs":{"after":{"epoch":9,"seq":1}}}]"#)
            #expect(try await other.message().data["reason"] as? String == "resync")
        }
    }

    @Test func subscriptionsAreRenewedChangedAndEnded() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            _ = try await client.ask(#"["subscribe",{"id":1,"events":["registrarevents.user_registered"]}]"#)
            #expect(try await client.ask(#"["subscribe",{"id":1,"expires":60}]"#).result == "ok")
            #expect(try await client.ask(#"["subscribe",{"id":1,"objects":["b"]}]"#).result == "ok")
            gateway.registrar.append([registered("a"), registered("b")])
            #expect(try await client.message().data["user_id"] as? String == "b")
            #expect(try await client.ask(#"["subscribe",{"id":1,"expires":0}]"#).fields["expires"] as? Int == 0)
            gateway.registrar.append([registered("b")])
            #expect(try await client.ask(#"["ping",{}]"#).method == "ping_result")
            #expect(try await client.ask(#"["subscribe",{"id":1,"expires":60}]"#).errorCode == 400)
        }
    }

    @Test func whatWasNotRenewedIsRenewedNoMore() async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            for renewal in [#""expires":60"#, #""expires":60,"events":["*"]"#] {
                _ = try await client.ask(#"["subscribe",{"id":1,"expires":1,"events":["*"]}]"#)
                try await Gateway.eventually { gateway.node.report(of: demo)?.subscriptions == 0 }
                let reply = try await client.ask(#"["subscribe",{"id":1,\#(renewal)}]"#)
                guard renewal.contains("events") else {
                    #expect(reply.errorCode == 400)
                    continue
                }
                // It begins anew.
                #expect(reply.fields["position"] as? [String: Int] == ["epoch": 1, "seq": 1])
                gateway.registrar.append([registered("a")])
                #expect(try await client.message().seq == 2)
            }
        }
    }

    @Test(arguments: [
        (#"{"events":["*"]}"#, 400), (#"{"id":1.5,"events":["*"]}"#, 400), (#"{"id":1}"#, 400),
        (#"{"id":1,"events":[]}"#, 400), (#"{"id":1,"events":["modelevents.data_changed"]}"#, 400),
        (#"{"id":1,"events":["*"],"expires":-1}"#, 400), (#"{"id":1,"events":["*"],"expires":"x"}"#, 400),
        (#"{"id":1,"events":["*"],"exargs":{"changes":1}}"#, 400),
        (#"{"id":1,"events":["*"],"exargs":{"filter":["=="]}}"#, 400),
        (#"{"id":1,"events":["*"],"exargs":{"mask":[]}}"#, 400), (#"{"id":1,"events":["*"],"exargs":[]}"#, 400),
        (#"{"id":1,"events":["*"],"exargs":{"snapshot":1}}"#, 400),
        (#"{"id":1,"events":["*"],"exargs":{"after":{"epoch":1}}}"#, 400),
        (#"{"id":1,"events":["*"],"exargs":{"snapshot":true,"after":{"epoch":1,"seq":1}}}"#, 400),
    ])
    func mistakesAreAnsweredWithACode(_ parameters: String, _ code: Int) async throws {
        try await Gateway.run { gateway in
            let client = try await gateway.service()
            let reply = try await client.ask(#"["subscribe",\#(parameters)]"#)
            #expect(reply.errorCode == code)
            #expect(reply.fields["errormsg"] as? String != "")
            #expect(try await client.ask(#"["ping",{}]"#).result == "ok")
        }
    }

    @Test func subscriptionsOfAConnectionAreBounded() async throws {
        try await Gateway.run({ $0.limits.subscriptionsPerConnection = 3 }) { gateway in
            let client = try await gateway.service()
            for id in 1...3 { _ = try await client.ask(#"["subscribe",{"id":\#(id),"events":["*"]}]"#) }
            #expect(try await client.ask(#"["subscribe",{"id":4,"events":["*"]}]"#).errorCode == 429)
            #expect(try await client.ask(#"["subscribe",{"id":3,"events":["*"]}]"#).result == "ok")
        }
    }

    @Test func slowReaderIsToldAndEndsWithTheOwnersList() async throws {
        try await Gateway.run({ $0.limits.websocketBudgetBytes = 64 << 10 }) { gateway in
            let client = try await gateway.service(receiveBuffer: 4_096)
            _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
            let fast = try await gateway.service()
            _ = try await fast.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
            try await client.pauseReading(true)
            // About 20 MB of events about 20 contacts: more than the sockets' own buffers hold.
            for round in 0..<1_000 {
                gateway.registrar.append(
                    (0..<20).map {
                        .registered(Self.contact("a\($0)", padding: 1_000), ttl: 60_000, replay: false)
                    })
                if round % 50 == 0 { try await Task.sleep(for: .milliseconds(5)) }
            }
            let last = Int(gateway.registrar.append([registered("end")]))
            try await Gateway.eventually { gateway.server.statistics.fellBehind >= 1 }
            try await client.pauseReading(false)
            for reader in [client, fast] {
                var accounts: Set<String> = []
                var seq = 1
                while accounts.contains("end") == false || seq < last {
                    let event = try await reader.message()
                    let isReplay = event.fields["replay"] as? Bool == true
                    let found = try #require(event.seq)
                    if event.type == "clear" {
                        #expect(event.data["reason"] as? String == "resync")
                        accounts = []
                    } else {
                        #expect(found == seq + 1 || (isReplay && found == seq), "\(found) after \(seq)")
                        accounts.insert(event.data["user_id"] as? String ?? "")
                    }
                    seq = found
                }
                #expect(accounts.count == 21)
            }
            #expect(gateway.server.statistics.eventsDropped > 0)
        }
    }

    @Test func manySocketsGetEveryEvent() async throws {
        try await Gateway.run { gateway in
            var clients: [RawClient] = []
            for _ in 0..<100 {
                let client = try await gateway.service()
                _ = try await client.ask(#"["subscribe",{"id":1,"events":["*"]}]"#)
                clients.append(client)
            }
            for _ in 0..<10 { gateway.registrar.append((0..<20).map { registered("a\($0)") }) }
            for client in clients {
                for seq in 2...201 { #expect(try await client.message().seq == seq) }
            }
            #expect(gateway.server.statistics.eventsSent == 20_000)
            #expect(gateway.server.statistics.eventsDropped == 0)
        }
    }
}
