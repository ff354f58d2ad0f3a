import Crypto
import Destinations
import Foundation
import NIOHTTP1
import PluginDestinations
import RegistrarEvents
import Synchronization
import Testing

/// Over real HTTP.
@Suite struct WebhookDestinationTests {
    private static let secret = "sixteen bytes it is"

    private func withWebhook(
        _ script: @escaping HTTPReceiver.Script, timeout: Duration = .seconds(30), maximumBytes: Int = 1 << 20,
        growth: Duration = .seconds(300), endsAnswers: Bool = true,
        _ body: (WebhookDestination, HTTPReceiver) async throws -> Void
    ) async throws {
        let receiver = try await HTTPReceiver(endsAnswers: endsAnswers, script)
        let signature = try #require(WebhookSignature(secret: Self.secret))
        let webhook = WebhookDestination(
            WebhookDestination.Settings(
                plugin: "audit", node: "sr1", url: receiver.url, signature: signature, timeout: timeout,
                maximumBytes: maximumBytes, growth: growth))
        do {
            try await body(webhook, receiver)
        } catch {
            Issue.record(error)
        }
        await webhook.close()
        await receiver.close()
    }

    @Test func aRequestSaysWhatItHoldsAndIsSigned() async throws {
        try await withWebhook({ _ in (.noContent, [:]) }) { webhook, receiver in
            try await webhook.deliver(Fixture.batch(1...3, epoch: 7))
            let request = try #require(receiver.requests.first)
            let id = try #require(request.headers["webhook-id"])
            #expect(id.hasPrefix("demo:example/7:1/7:3/") && !id.contains("."))
            #expect(request.headers["content-type"] == "application/json")
            let json = request.json
            #expect(json["plugin"] == "audit" && json["node"] == "sr1" && json["domain"] == "demo.example")
            let events = json["events"]?.array?.compactMap(\.object) ?? []
            #expect(events.map { $0["type"] } == ["clear", "sipuser_registered", "sipuser_registered"])
            #expect(events.allSatisfy { $0["domain"] == "demo.example" && $0["epoch"] == 7 })
            let stamp = try #require(request.headers["webhook-timestamp"])
            #expect(abs(try #require(Double(stamp)) - Date().timeIntervalSince1970) < 60)
            var code = HMAC<SHA256>(key: SymmetricKey(data: Data(Self.secret.utf8)))
            code.update(data: Data("\(id).\(stamp).".utf8))
            code.update(data: request.body)
            #expect(
                request.headers["webhook-signature"] == "v1,\(Data(code.finalize()).base64EncodedString())")
        }
    }

    @Test func aLimitMakesSeveralRequestsInOrder() async throws {
        try await withWebhook({ _ in (.ok, [:]) }, maximumBytes: 4_096) { webhook, receiver in
            try await webhook.deliver(Fixture.batch(1...100))
            #expect(receiver.requests.count > 5 && receiver.requests.flatMap(\.seqs) == Array(1...100))
        }
    }

    @Test func aRequestThatIsTooLargeIsMadeSmaller() async throws {
        let script: HTTPReceiver.Script = { ($0.body.count > 20_000 ? .payloadTooLarge : .ok, [:]) }
        try await withWebhook(script) { webhook, receiver in
            try await webhook.deliver(Fixture.batch(1...200))
            let taken = receiver.requests.filter { $0.body.count <= 20_000 }
            #expect(taken.flatMap(\.seqs) == Array(1...200))
            try await webhook.deliver(Fixture.batch(201...400))
            #expect(receiver.requests.count { $0.body.count > 20_000 } < 5, "what was learnt is forgotten")
        }
    }

    /// Each attempt to make them larger is one request that is refused.
    @Test func requestsGrowAgainOnceTheReceiverTakesMore() async throws {
        let takes = Mutex(20_000)
        let script: HTTPReceiver.Script = { request in
            (request.body.count > takes.withLock(\.self) ? .payloadTooLarge : .ok, [:])
        }
        try await withWebhook(script, growth: .zero) { webhook, receiver in
            try await webhook.deliver(Fixture.batch(1...200))
            let refused = receiver.requests.count { $0.body.count > 20_000 }
            #expect(refused > 0)
            takes.withLock { $0 = 1 << 20 }
            for _ in 1...3 { try await webhook.deliver(Fixture.batch(1...200)) }
            #expect(receiver.requests.last?.seqs == Array(1...200))
        }
    }

    /// It comes again every half minute, and is nothing to other domains.
    @Test func anEventThatIsNeverTakenMakesNoRequestsSmaller() async throws {
        let script: HTTPReceiver.Script = { ($0.body.count > 8_000 ? .payloadTooLarge : .ok, [:]) }
        var entries = Fixture.entries(1...12)
        entries[8] = try LogEntry(seq: 9, timestamp: 0, change: .registered(large(8_000), ttl: 1, replay: false))
        try await withWebhook(script) { webhook, receiver in
            for _ in 1...5 {
                let failure = await Fixture.failure(of: Fixture.batch(entries), at: webhook)
                #expect(failure?.kind == .unavailable)
            }
            try await webhook.deliver(Fixture.batch(1...20, of: "acme.example"))
            #expect(receiver.requests.last?.seqs == Array(1...20))
            #expect((receiver.requests.last?.body.count ?? 0) > 5_000)
        }
    }

    /// A single event may be as large as all others of a request together: halving their bytes leaves it where it is.
    @Test(arguments: [(5_200, 10_000), (4_096, 7_500)])
    func anEventThatFitsAloneIsTaken(limit: Int, takes: Int) async throws {
        let requests = Mutex(0)
        let script: HTTPReceiver.Script = { request in
            // One that is flooded ends it.
            let isFlooded = requests.withLock { requests in
                requests += 1
                return requests > 50
            }
            return (isFlooded ? .gone : request.body.count > takes ? .payloadTooLarge : .ok, [:])
        }
        var entries = Fixture.entries(1...12)
        let length = takes - 2_000
        entries[11] = try LogEntry(seq: 12, timestamp: 0, change: .registered(large(length), ttl: 1, replay: false))
        try await withWebhook(script, maximumBytes: limit) { webhook, receiver in
            try await webhook.deliver(Fixture.batch(entries))
            #expect(receiver.requests.filter { $0.body.count <= takes }.flatMap(\.seqs) == Array(1...12))
            #expect(receiver.requests.contains { $0.body.count > takes }, "nothing was too large")
        }
    }

    private func large(_ length: Int) throws -> PackedContact {
        let path = "sip:192.0.2.7;x=" + String(repeating: "x", count: length)
        let details = SIPUserDetails(contactURI: path, cseq: 1)
        return try #require(PackedContact(Registration(account: "1", contact: "desk", sipuser: details)))
    }

    @Test func anAnswerThatIsNoYesTakesNothing() async throws {
        let answers: [(HTTPResponseStatus, HTTPHeaders)] = [
            (.serviceUnavailable, ["retry-after": "1"]), (.gone, [:]), (.found, ["location": "http://127.0.0.1:1/"]),
        ]
        let turn = Mutex(0)
        let script: HTTPReceiver.Script = { _ in
            turn.withLock { turn in
                defer { turn += 1 }
                return answers[turn]
            }
        }
        try await withWebhook(script) { webhook, receiver in
            var failures: [DestinationError?] = []
            for _ in answers { failures.append(await Fixture.failure(of: Fixture.batch(1...2), at: webhook)) }
            #expect(
                failures == [
                    DestinationError(.unavailable, "answered 503 to 2 events", pause: .seconds(1)),
                    DestinationError(.gone, "answered 410 to 2 events"),
                    DestinationError(.unavailable, "answered 302 to 2 events, expected 2xx", pause: .seconds(30)),
                ])
            // The redirect was not followed, and what is sent again has the same name.
            #expect(receiver.requests.count == 3)
            #expect(Set(receiver.requests.map { $0.headers["webhook-id"] }).count == 1)
        }
    }

    /// Its head has said what counts.
    @Test func anAnswerThatDoesNotEndIsNotWaitedFor() async throws {
        let script: HTTPReceiver.Script = { _ in (.ok, ["content-length": "10"]) }
        try await withWebhook(script, timeout: .milliseconds(500), endsAnswers: false) { webhook, receiver in
            try await webhook.deliver(Fixture.batch(1...2))
            try await webhook.deliver(Fixture.batch(3...4))
            #expect(receiver.requests.flatMap(\.seqs) == Array(1...4))
        }
    }

    @Test func aContactThatCannotBeReadIsPassedOverAlone() async throws {
        let broken = try #require(PackedContact(bytes: [0xC1, 0xC1, 0xC1], accountLength: 1, keyLength: 2))
        var entries = Fixture.entries(1...4)
        for seq in [0, 2] {
            entries[seq] = LogEntry(
                seq: UInt64(seq + 1), timestamp: 0, change: .registered(broken, ttl: 1, replay: false))
        }
        try await withWebhook({ _ in (.ok, [:]) }) { webhook, receiver in
            let failure = await Fixture.failure(of: Fixture.batch(entries), at: webhook)
            #expect(failure?.kind == .rejected(events: 2))
            #expect(receiver.requests.map(\.seqs) == [[2, 4]])
            _ = await Fixture.failure(of: Fixture.batch(Array(entries[2...2])), at: webhook)
            #expect(receiver.requests.count == 1, "of nothing nothing is told")
        }
    }

    /// Not even by a receiver that finds everything too large.
    @Test func thereIsAnEndToMakingRequestsSmaller() async throws {
        try await withWebhook({ _ in (.payloadTooLarge, [:]) }) { webhook, receiver in
            let failure = await Fixture.failure(of: Fixture.batch(1...100), at: webhook)
            #expect(failure?.kind == .unavailable && failure?.pause == .seconds(30))
            #expect(receiver.requests.count < 20)
        }
    }

    @Test func aReceiverThatHangsIsGivenUpOn() async throws {
        try await withWebhook({ _ in nil }, timeout: .milliseconds(200)) { webhook, _ in
            let failure = await Fixture.failure(of: Fixture.batch(1...2), at: webhook)
            #expect(failure == DestinationError(.unavailable, "did not answer in time"))
        }
    }
}
