import Destinations
import Foundation
import PluginDestinations
import RegistrarEvents
import Synchronization
import Testing

/// The plugins of `Examples/`, written from the documents in another language, as processes of their own.
@Suite struct ExampleTests {
    /// A Python program of `Examples/` and the lines that it prints.
    private struct Program {
        let process = Process()
        let output: URL

        init(_ path: String, _ arguments: [String]) throws {
            var root = URL(fileURLWithPath: #filePath)
            for _ in 0..<3 { root.deleteLastPathComponent() }
            output = FileManager.default.temporaryDirectory.appendingPathComponent("plugin-\(UUID().uuidString)")
            try Data().write(to: output)
            // Debian's own, which has the modules.
            process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            process.arguments = ["-B", root.appendingPathComponent("Examples/\(path)").path] + arguments
            process.standardOutput = try FileHandle(forWritingTo: output)
            try process.run()
        }

        func end() throws -> [[String: JSONValue]] {
            // A child of a thread that runs tasks has their signals blocked: SIGTERM would wait for ever.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            defer { try? FileManager.default.removeItem(at: output) }
            return try String(contentsOf: output, encoding: .utf8).split(separator: "\n").map { line in
                try JSONValue(parsing: line.utf8, maximumDepth: 16).object ?? [:]
            }
        }
    }

    /// Events of every type, as the owner logs them, and what websockets get of them.
    private static let entries: [LogEntry] = {
        let user = Registration(
            account: "u1", contact: "c1",
            user: UserDetails(
                sessionID: "s1", app: "phonebook", caps: ["subscr"], peerAddress: "192.0.2.9", peerPort: 4_711))
        let sip = Registration(
            account: "zo\u{eb}", contact: "desk",
            sipuser: SIPUserDetails(
                login: "zo\u{eb}", contactURI: "sip:1@192.0.2.7", instanceID: "<urn:uuid:0>", regID: 1,
                parameters: "q=0.5", userAgent: "phone/1", transport: "tls", path: ["<sip:edge;lr>"],
                callID: "c@phone", cseq: 7, peerAddress: "192.0.2.7", peerPort: 5_061))
        guard let user = PackedContact(user), let sip = PackedContact(sip) else { preconditionFailure("too long") }
        let changes: [LogEntry.Change] = [
            .clear(.failover), .registered(user, ttl: 119_001, replay: true),
            .registered(sip, ttl: 60_000, replay: false),
            .unregistered(user, .expiredContact), .unregistered(sip, .deleteAOR), .clear(.storageCleared),
        ]
        return zip(1..., changes).map { LogEntry(seq: $0, timestamp: 1_735_689_600_000, change: $1) }
    }()

    private func expected() throws -> [[String: JSONValue]] {
        try Fixture.batch(Self.entries).events.map { event in
            try JSONValue(parsing: event.json(of: Fixture.domain("demo.example")), maximumDepth: 16).object ?? [:]
        }
    }

    @Test func thePluginInPythonSaysWhatTheOwnerLogged() async throws {
        let port = try await Fixture.freePort()
        let program = try Program("plugin-python/plugin.py", ["--listen", "127.0.0.1:\(port)"])
        let destination = NanomsgDestination(
            NanomsgDestination.Settings(
                plugin: "screens", node: "sr1", host: "127.0.0.1", port: port, receiptHost: "127.0.0.1"))
        #expect(try await Fixture.deliver(Fixture.batch(Self.entries), to: destination) == nil)
        await destination.close()
        #expect(try program.end() == expected())
    }

    /// The destination that docs/plugins.md shows.
    private final class Tally: Destination {
        let count = Mutex(0)

        func deliver(_ batch: DestinationBatch) async throws(DestinationError) {
            let registrations = batch.events.count { if case .registered = $0.entry.change { true } else { false } }
            count.withLock { $0 += registrations }
        }
    }

    @Test func theTallyCountsRegistrations() async throws {
        let tally = Tally()
        try await tally.deliver(Fixture.batch(Self.entries))
        #expect(tally.count.withLock(\.self) == 2)
    }

    @Test func theWebhookInPythonVerifiesAndSaysTheSame() async throws {
        let port = try await Fixture.freePort()
        let program = try Program(
            "webhook-python/webhook.py", ["--listen", "127.0.0.1:\(port)", "--secret", "sixteen bytes it is"])
        func webhook(_ secret: String) throws -> WebhookDestination {
            WebhookDestination(
                WebhookDestination.Settings(
                    plugin: "audit", node: "sr1", url: "http://127.0.0.1:\(port)/",
                    signature: try #require(WebhookSignature(secret: secret)), timeout: .seconds(30)))
        }
        let (honest, forger) = (try webhook("sixteen bytes it is"), try webhook("other bytes it is"))
        #expect(try await Fixture.deliver(Fixture.batch(Self.entries), to: honest) == nil)
        let refusal = await Fixture.failure(of: Fixture.batch(Self.entries, epoch: 9), at: forger)
        #expect(refusal?.description == "answered 401 to 6 events, expected 2xx")
        await honest.close()
        await forger.close()
        #expect(try program.end() == expected())
    }
}
