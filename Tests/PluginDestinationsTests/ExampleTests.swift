import Foundation
import PluginDestinations
import RegistrarEvents
import Testing

/// The plugins of `Examples/`, written from the documents in another language, as processes of their own.
@Suite struct ExampleTests {
    private let domain = Fixture.domain("demo.example")

    /// A Python program of `Examples/` and the lines that it prints.
    private struct Program {
        let process = Process()
        let output: URL

        init(_ path: String, _ arguments: [String]) throws {
            var root = URL(fileURLWithPath: #filePath)
            for _ in 0..<3 { root.deleteLastPathComponent() }
            output = FileManager.default.temporaryDirectory.appendingPathComponent("plugin-\(UUID().uuidString)")
            FileManager.default.createFile(atPath: output.path, contents: nil)
            // Debian's own, which has the modules.
            process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            process.arguments = ["-B", root.appendingPathComponent("Examples/\(path)").path] + arguments
            process.standardOutput = try FileHandle(forWritingTo: output)
            try process.run()
        }

        func end() throws -> [[String: JSONValue]] {
            process.terminate()
            process.waitUntilExit()
            defer { try? FileManager.default.removeItem(at: output) }
            return try String(contentsOf: output, encoding: .utf8).split(separator: "\n").map { line in
                try JSONValue(parsing: line.utf8, maximumDepth: 16).object ?? [:]
            }
        }
    }

    /// Delivers until the program has everything: it takes a moment to start.
    private func deliver(
        _ entries: [LogEntry], _ send: (ArraySlice<LogEntry>) async -> PluginOutcome
    ) async throws {
        var rest = entries[...]
        var outcome = PluginOutcome(taken: 0)
        for _ in 0..<600 where !rest.isEmpty {
            outcome = await send(rest)
            rest = rest.dropFirst(outcome.taken)
            if !rest.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        }
        #expect(rest.isEmpty, "not taken: \(String(describing: outcome.failure))")
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
        try Self.entries.map { entry in
            var json = JSONWriter()
            json.notification(
                of: entry, registration: try entry.change.contact?.registration(), domain: domain, epoch: 3)
            return try JSONValue(parsing: json.bytes, maximumDepth: 16).object ?? [:]
        }
    }

    @Test func thePluginInPythonSaysWhatWebsocketsSay() async throws {
        let port = try await Fixture.freePort()
        let program = try Program("plugin-python/plugin.py", ["--listen", "127.0.0.1:\(port)"])
        let plugin = try await PushPlugin(
            PushPlugin.Settings(
                plugin: "screens", node: "sr1", host: "127.0.0.1", port: port, receiptHost: "127.0.0.1"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await plugin.run() }
            try await deliver(Self.entries) { await plugin.deliver(Array($0), domain: domain, epoch: 3) }
            group.cancelAll()
        }
        #expect(try program.end() == expected())
    }

    @Test func theWebhookInPythonVerifiesAndSaysTheSame() async throws {
        let port = try await Fixture.freePort()
        let program = try Program(
            "webhook-python/webhook.py", ["--listen", "127.0.0.1:\(port)", "--secret", "sixteen bytes it is"])
        func sender(_ secret: String) throws -> WebhookSender {
            WebhookSender(
                WebhookSender.Settings(
                    plugin: "audit", node: "sr1", url: "http://127.0.0.1:\(port)/",
                    signature: try #require(WebhookSignature(secret: secret)), maximumBytes: 1_000))
        }
        let (honest, forger) = (try sender("sixteen bytes it is"), try sender("other bytes it is"))
        try await deliver(Self.entries) { await honest.deliver(Array($0), domain: domain, epoch: 3) }
        let forged = await forger.deliver(Self.entries, domain: domain, epoch: 9)
        guard forged.taken == 0, case .misconfigured(let reason)? = forged.failure else {
            Issue.record("a signature by another key is believed: \(forged)")
            return
        }
        #expect(reason.hasPrefix("answered 401"))
        await honest.shutDown()
        await forger.shutDown()
        #expect(try program.end() == expected())
    }
}
