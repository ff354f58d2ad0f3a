import NIOCore
import NIOPosix
import PluginDestinations
import RegistrarEvents
import Synchronization
import Testing

/// Against nanomsg itself, over TCP.
@Suite struct PushPluginTests {
    private let domain = Fixture.domain("demo.example")

    /// Connects a plugin to the port, does something with it, and ends it.
    private func withPlugin(
        port: Int, timeout: Duration = .seconds(30), maximumBytes: Int = 1 << 20,
        _ body: (PushPlugin) async throws -> Void
    ) async throws {
        let plugin = try await PushPlugin(
            PushPlugin.Settings(
                plugin: "screens", node: "sr1", host: "127.0.0.1", port: port, receiptHost: "127.0.0.1",
                timeout: timeout, maximumBytes: maximumBytes))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await plugin.run() }
            try await body(plugin)
            group.cancelAll()
        }
    }

    /// Delivers until the plugin has it all, as the owner's side does.
    private func deliver(_ entries: [LogEntry], through plugin: PushPlugin) async throws {
        var rest = entries[...]
        for _ in 0..<600 {
            let outcome = await plugin.deliver(Array(rest), domain: domain, epoch: 3)
            rest = rest.dropFirst(outcome.taken)
            if rest.isEmpty { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("the plugin never took \(rest.count) entries")
    }

    @Test func nanomsgTakesTheMessagesAndItsReceiptsCount() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port))
        defer { nanomsg.close() }
        try await withPlugin(port: port, maximumBytes: 2_000) { plugin in
            try await deliver(Fixture.entries(1...40), through: plugin)
        }
        let messages = nanomsg.messages
        #expect(messages.allSatisfy { $0.domain == "demo.example" && $0.epoch == 3 })
        #expect(messages.flatMap(\.seqs) == Array(1...40))
        #expect(messages.count > 2, "40 entries do not fit 2,000 bytes")
    }

    @Test func whatHasNoReceiptIsNotTaken() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port, givesReceipts: false))
        defer { nanomsg.close() }
        try await withPlugin(port: port, timeout: .milliseconds(200)) { plugin in
            let deadline = ContinuousClock.now + .seconds(60)
            while nanomsg.messages.isEmpty, ContinuousClock.now < deadline {
                let outcome = await plugin.deliver(Fixture.entries(1...3), domain: domain, epoch: 3)
                #expect(outcome.taken == 0 && outcome.failure != nil)
            }
            // Receipts that are made up, or late, are of no use to anybody.
            nanomsg.givesReceipts.withLock { $0 = true }
            try await deliver(Fixture.entries(1...3), through: plugin)
        }
        #expect(nanomsg.messages.count >= 2 && nanomsg.messages.allSatisfy { $0.seqs == [1, 2, 3] })
        #expect(Set(nanomsg.messages.map(\.receipt)).count == nanomsg.messages.count)
    }

    @Test func aPluginThatStartsLateIsFound() async throws {
        let port = try await Fixture.freePort()
        try await withPlugin(port: port) { plugin in
            let outcome = await plugin.deliver(Fixture.entries(1...1), domain: domain, epoch: 3)
            #expect(outcome.taken == 0)
            let nanomsg = try #require(NanomsgPlugin(port: port))
            defer { nanomsg.close() }
            try await deliver(Fixture.entries(1...1), through: plugin)
            #expect(nanomsg.messages.flatMap(\.seqs).contains(1))
        }
    }
}
