import Crypto
import Foundation
import NIOHTTP1
import PluginDestinations
import RegistrarEvents
import Synchronization
import Testing

/// Over real HTTP.
@Suite struct WebhookSenderTests {
    private static let secret = "sixteen bytes it is"
    private let domain = Fixture.domain("demo.example")

    private func withSender(
        _ script: @escaping HTTPReceiver.Script, timeout: Duration = .seconds(30), maximumBytes: Int = 1 << 20,
        _ body: (WebhookSender, HTTPReceiver) async throws -> Void
    ) async throws {
        let receiver = try await HTTPReceiver(script)
        let signature = try #require(WebhookSignature(secret: Self.secret))
        let sender = WebhookSender(
            WebhookSender.Settings(
                plugin: "audit", node: "sr1", url: receiver.url, signature: signature, timeout: timeout,
                maximumBytes: maximumBytes, concurrency: 2))
        do {
            try await body(sender, receiver)
        } catch {
            Issue.record(error)
        }
        await sender.shutDown()
        await receiver.close()
    }

    @Test func aRequestSaysWhatItHoldsAndIsSigned() async throws {
        try await withSender({ _ in (.noContent, [:]) }) { sender, receiver in
            let outcome = await sender.deliver(Fixture.entries(1...3), domain: domain, epoch: 7)
            #expect(outcome == PluginOutcome(taken: 3))
            let request = try #require(receiver.requests.first)
            #expect(request.headers["webhook-id"] == "demo:example/7/1-3")
            #expect(request.headers["content-type"] == "application/json")
            let json = request.json
            #expect(json["plugin"] == "audit" && json["node"] == "sr1" && json["domain"] == "demo.example")
            #expect(json["epoch"] == 7 && json["first"] == 1 && json["last"] == 3)
            let events = json["events"]?.array?.compactMap(\.object) ?? []
            #expect(
                events.map { $0["event"]?.object?["type"] } == ["clear", "sipuser_registered", "sipuser_registered"])
            #expect(events.allSatisfy { $0["domain"] == "demo.example" && $0["epoch"] == 7 })
            let stamp = try #require(request.headers["webhook-timestamp"])
            #expect(abs(try #require(Double(stamp)) - Date().timeIntervalSince1970) < 60)
            var code = HMAC<SHA256>(key: SymmetricKey(data: Data(Self.secret.utf8)))
            code.update(data: Data("demo:example/7/1-3.\(stamp).".utf8))
            code.update(data: request.body)
            #expect(
                request.headers["webhook-signature"] == "v1,\(Data(code.finalize()).base64EncodedString())")
        }
    }

    @Test func aLimitMakesSeveralRequestsInOrder() async throws {
        try await withSender({ _ in (.ok, [:]) }, maximumBytes: 4_096) { sender, receiver in
            #expect(await sender.deliver(Fixture.entries(1...100), domain: domain, epoch: 7).taken == 100)
            #expect(receiver.requests.count > 5 && receiver.requests.flatMap(\.seqs) == Array(1...100))
        }
    }

    @Test func aRequestThatIsTooLargeIsMadeSmaller() async throws {
        let script: HTTPReceiver.Script = { ($0.body.count > 20_000 ? .payloadTooLarge : .ok, [:]) }
        try await withSender(script) { sender, receiver in
            #expect(await sender.deliver(Fixture.entries(1...200), domain: domain, epoch: 7).taken == 200)
            let taken = receiver.requests.filter { $0.body.count <= 20_000 }
            #expect(taken.flatMap(\.seqs) == Array(1...200))
            #expect(await sender.deliver(Fixture.entries(201...400), domain: domain, epoch: 7).taken == 200)
            #expect(receiver.requests.count { $0.body.count > 20_000 } < 5, "what was learnt is forgotten")
        }
    }

    @Test func anAnswerThatIsNoYesTakesNothing() async throws {
        let answers: [(HTTPResponseStatus, HTTPHeaders)] = [
            (.serviceUnavailable, ["retry-after": "3"]), (.found, ["location": "http://127.0.0.1:1/"]), (.gone, [:]),
        ]
        let turn = Mutex(0)
        let script: HTTPReceiver.Script = { _ in
            turn.withLock { turn in
                defer { turn += 1 }
                return answers[turn]
            }
        }
        try await withSender(script) { sender, receiver in
            var failures: [PluginFailure?] = []
            for _ in answers {
                let outcome = await sender.deliver(Fixture.entries(1...2), domain: domain, epoch: 7)
                #expect(outcome.taken == 0)
                failures.append(outcome.failure)
            }
            #expect(
                failures == [
                    .unavailable("answered 503 to 2 events", after: .seconds(3)),
                    .misconfigured("answered 302 to 2 events"), .gone("answered 410 to 2 events"),
                ])
            // The redirect was not followed, and what is sent again has the same name.
            #expect(receiver.requests.count == 3)
            #expect(Set(receiver.requests.map { $0.headers["webhook-id"] }).count == 1)
        }
    }

    @Test func aReceiverThatHangsIsGivenUpOn() async throws {
        try await withSender({ _ in nil }, timeout: .milliseconds(200)) { sender, _ in
            let outcome = await sender.deliver(Fixture.entries(1...2), domain: domain, epoch: 7)
            #expect(outcome == PluginOutcome(taken: 0, failure: .unavailable("did not answer in time", after: nil)))
        }
    }

    @Test func whatIsTakenStaysTakenWhenTheRestFails() async throws {
        let script: HTTPReceiver.Script = { ($0.seqs.first == 1 ? .ok : .badGateway, [:]) }
        try await withSender(script, maximumBytes: 2_000) { sender, receiver in
            let outcome = await sender.deliver(Fixture.entries(1...100), domain: domain, epoch: 7)
            #expect(outcome.taken == receiver.requests.first?.seqs.count && outcome.taken > 0 && outcome.taken < 100)
            #expect(outcome.failure != nil)
        }
    }
}
