package import Destinations
import MessagePack
import NIOPosix
import RegistrarEvents
import Synchronization

/// One plugin behind the nanomsg endpoint: pushes its batches, and waits for the receipts.
///
/// `docs/wire.md` has the contract.
package final class NanomsgDestination: Destination {
    package struct Settings: Sendable {
        /// The plugin's name in the topology.
        package var plugin: String
        /// This node's.
        package var node: String
        /// Where the plugin listens.
        package var host: String
        package var port: Int
        /// Where this node takes receipts, at a port that the system chooses.
        package var receiptHost: String
        /// How long the plugin may take for a receipt.
        package var timeout: Duration
        /// Bytes of events, as they are kept, at which a message is full.
        package var maximumBytes: Int

        package init(
            plugin: String, node: String, host: String, port: Int, receiptHost: String,
            timeout: Duration = .seconds(10), maximumBytes: Int = 1 << 20
        ) {
            self.plugin = plugin
            self.node = node
            self.host = host
            self.port = port
            self.receiptHost = receiptHost
            self.timeout = timeout
            self.maximumBytes = maximumBytes
        }
    }

    private struct State {
        /// Where receipts go; nil while nothing listens there.
        var address: String?
        var problem = "receipts cannot be taken yet"
        var service: Task<Void, Never>?
    }

    /// Kinds of messages, docs/wire.md.
    private static let eventsKind: UInt64 = 1
    /// Between attempts to listen for receipts.
    private static let listenPause: Duration = .seconds(1)

    private let settings: Settings
    private let book: ReceiptBook
    private let link: PushLink
    private let state = Mutex(State())

    package let concurrency = 8

    /// Connects, and stays connected until it is closed.
    package init(_ settings: Settings) {
        self.settings = settings
        let book = ReceiptBook()
        self.book = book
        link = PushLink(host: settings.host, port: settings.port, group: MultiThreadedEventLoopGroup.singleton) {
            book.failAll(DestinationError(.unavailable, $0))
        }
        let service = Task { await self.serve() }
        state.withLock { $0.service = service }
    }

    package func close() async { state.withLock(\.service)?.cancel() }

    private func serve() async {
        let host = settings.receiptHost
        while !Task.isCancelled {
            do {
                let book = book
                let inbox = try await ReceiptInbox(host: host, group: MultiThreadedEventLoopGroup.singleton) {
                    book.take($0)
                }
                state.withLock { $0.address = "tcp://\(host.contains(":") ? "[\(host)]" : host):\(inbox.port)" }
                await link.run()
                await inbox.close()
            } catch {
                state.withLock { $0.problem = "receipts cannot be taken at \(host): \(error)" }
                // Only a cancelled sleep throws, and then the loop ends.
                try? await Task.sleep(for: Self.listenPause)
            }
        }
    }

    /// Sends a batch in order, each message when the one before has its receipt, and stops at the first that has none:
    /// what went before comes again then.
    package func deliver(_ batch: DestinationBatch) async throws(DestinationError) {
        let (address, problem) = state.withLock { ($0.address, $0.problem) }
        guard let address else { throw DestinationError(.unavailable, problem) }
        var rest = batch.events[...]
        while let first = rest.first {
            var weight = 0
            let part = rest.prefix { event in
                defer { weight += event.entry.weight }
                return event.epoch == first.epoch && weight < settings.maximumBytes
            }
            try await push(part, epoch: first.epoch, of: batch.domain, address: address)
            rest = rest.dropFirst(part.count)
        }
    }

    private func push(
        _ events: ArraySlice<DestinationEvent>, epoch: UInt64, of domain: DomainName, address: String
    ) async throws(DestinationError) {
        let number = book.open()
        var writer = MessagePackWriter(reserving: 65_536)
        writer.array(8)
        writer.unsigned(Self.eventsKind)
        writer.string(settings.plugin)
        writer.string(settings.node)
        writer.string(address)
        writer.binary(book.receipt(of: number))
        writer.string(domain.rawValue)
        writer.unsigned(epoch)
        writer.array(events.count)
        for event in events { writer.logEntry(event.entry) }
        if !link.send(writer.finish()) {
            book.fail(number, DestinationError(.unavailable, link.problem ?? "not connected"))
        }
        do {
            try await book.wait(for: number, within: settings.timeout)
        } catch let error as DestinationError {
            throw error
        } catch is ReceiptBook.Overdue {
            let text = "gave no receipt for \(events.count) events"
            // It gave one for a later message, whose domain has nothing to do with this one's silence.
            guard book.newest <= number else { throw DestinationError(.domainUnavailable, text) }
            // It is slow, or the connection alone hangs. What is in it still would be sent again behind itself.
            link.reset()
            throw DestinationError(.unavailable, text)
        } catch {
            throw DestinationError(.unavailable, "stopped")
        }
    }
}
