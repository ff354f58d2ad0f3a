import ClusterRuntime
import Destinations
import Foundation
import Logging
import PluginDestinations
import RegistrarEvents
import Synchronization
import Testing

/// Against nanomsg itself, over TCP.
@Suite struct NanomsgDestinationTests {
    private func destination(
        port: Int, timeout: Duration = .seconds(30), maximumBytes: Int = 1 << 20
    ) -> NanomsgDestination {
        NanomsgDestination(
            NanomsgDestination.Settings(
                plugin: "screens", node: "sr1", host: "127.0.0.1", port: port, receiptHost: "127.0.0.1",
                timeout: timeout, maximumBytes: maximumBytes))
    }

    @Test func nanomsgTakesTheMessagesAndItsReceiptsCount() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port))
        defer { nanomsg.close() }
        let destination = destination(port: port, maximumBytes: 2_000)
        #expect(try await Fixture.deliver(Fixture.batch(1...40), to: destination) == nil)
        await destination.close()
        let messages = nanomsg.messages
        #expect(messages.allSatisfy { $0.domain == "demo.example" && $0.epoch == 3 })
        #expect(messages.flatMap(\.seqs) == Array(1...40))
        #expect(messages.count > 2, "40 entries do not fit 2,000 bytes")
    }

    @Test func aMessageIsOfOneEpoch() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port))
        defer { nanomsg.close() }
        let destination = destination(port: port)
        let events = Fixture.batch(7...9, epoch: 3).events + Fixture.batch(1...2, epoch: 4).events
        let batch = DestinationBatch(domain: Fixture.domain("demo.example"), events: events)
        #expect(try await Fixture.deliver(batch, to: destination) == nil)
        await destination.close()
        #expect(nanomsg.messages.suffix(2).map(\.epoch) == [3, 4])
        #expect(nanomsg.messages.suffix(2).map(\.seqs) == [[7, 8, 9], [1, 2]])
    }

    @Test func whatHasNoReceiptIsNotTaken() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port, givesReceipts: false))
        defer { nanomsg.close() }
        let destination = destination(port: port, timeout: .milliseconds(500))
        let deadline = ContinuousClock.now + .seconds(60)
        while nanomsg.messages.isEmpty, ContinuousClock.now < deadline {
            #expect(await Fixture.failure(of: Fixture.batch(1...3), at: destination)?.kind == .unavailable)
        }
        nanomsg.givesReceipts.withLock { $0 = true }
        #expect(try await Fixture.deliver(Fixture.batch(1...3), to: destination) == nil)
        await destination.close()
        #expect(nanomsg.messages.count >= 2 && nanomsg.messages.allSatisfy { $0.seqs == [1, 2, 3] })
        #expect(Set(nanomsg.messages.map(\.receipt)).count == nanomsg.messages.count, "a receipt is used twice")
    }

    /// Nor is the connection given up on which theirs come.
    @Test func aDomainWithoutReceiptsIsRefusedAloneAndOthersAreTaken() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port))
        defer { nanomsg.close() }
        let destination = destination(port: port, timeout: .seconds(3))
        #expect(try await Fixture.deliver(Fixture.batch(1...1), to: destination) == nil)
        nanomsg.silentFor.withLock { $0 = "demo.example" }
        async let silent = Fixture.failure(of: Fixture.batch(2...3), at: destination)
        let others = Task {
            var failures: [DestinationError] = []
            var count = 0
            while !Task.isCancelled {
                if let failure = await Fixture.failure(of: Fixture.batch(1...1, of: "acme.example"), at: destination) {
                    failures.append(failure)
                }
                count += 1
            }
            return (failures, count)
        }
        let failure = await silent
        let next = await Fixture.failure(of: Fixture.batch(2...2, of: "acme.example"), at: destination)
        others.cancel()
        #expect(failure?.kind == .domainUnavailable && next == nil)
        let (failures, count) = await others.value
        // The last may have been cancelled.
        #expect(failures.allSatisfy { $0.description == "stopped" } && count > 1)
        await destination.close()
    }

    /// What is overdue waits in the pipe still, and would be sent again behind itself for ever.
    @Test func aPluginThatIsTooSlowForAllDomainsAtOnceGetsThemAll() async throws {
        let port = try await Fixture.freePort()
        let nanomsg = try #require(NanomsgPlugin(port: port))
        defer { nanomsg.close() }
        let destination = destination(port: port, timeout: .seconds(1))
        #expect(try await Fixture.deliver(Fixture.batch(1...1), to: destination) == nil)
        nanomsg.work.withLock { $0 = 0.3 }
        let taken = Mutex<Set<DomainName>>([])
        let lane = Lane(
            settings: LaneSettings(name: "screens", kind: "nanomsg", longestPause: .milliseconds(100)),
            destination: destination, spoolDirectory: NSTemporaryDirectory() + UUID().uuidString, seed: 1,
            tell: { notice, domain in
                if case .delivered = notice { taken.withLock { _ = $0.insert(domain) } }
            }, log: Logger(label: "test"))
        let domains = (1...8).map { Fixture.domain("d\($0).example") }
        for domain in domains {
            lane.publish(.began(epoch: 3, LogTail()), of: domain)
            lane.publish(.entries(Fixture.entries(1...2), epoch: 3), of: domain)
        }
        let deadline = ContinuousClock.now + .seconds(60)
        while taken.withLock(\.count) < domains.count, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(taken.withLock(\.count) == domains.count)
        await lane.close()
    }

    @Test func aPluginThatStartsLateIsFound() async throws {
        let port = try await Fixture.freePort()
        let destination = destination(port: port)
        #expect(await Fixture.failure(of: Fixture.batch(1...1), at: destination)?.kind == .unavailable)
        let nanomsg = try #require(NanomsgPlugin(port: port))
        defer { nanomsg.close() }
        #expect(try await Fixture.deliver(Fixture.batch(1...1), to: destination) == nil)
        await destination.close()
        #expect(nanomsg.messages.flatMap(\.seqs).contains(1))
    }
}
