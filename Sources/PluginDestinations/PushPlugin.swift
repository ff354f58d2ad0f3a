import MessagePack
import NIOPosix
package import RegistrarEvents

/// One plugin behind the nanomsg endpoint: pushes its batches, and waits for the receipts.
///
/// `docs/wire.md` has the contract.
package final class PushPlugin: Sendable {
    package struct Settings: Sendable {
        /// The plugin's name in the topology.
        package var plugin: String
        /// This node's.
        package var node: String
        /// Where the plugin listens.
        package var host: String
        package var port: Int
        /// Where this node takes receipts; port 0: the system chooses.
        package var receiptHost: String
        package var receiptPort: Int
        /// How long the plugin may take for a receipt.
        package var timeout: Duration
        /// Bytes at which a message is full.
        package var maximumBytes: Int

        package init(
            plugin: String, node: String, host: String, port: Int, receiptHost: String, receiptPort: Int = 0,
            timeout: Duration = .seconds(10), maximumBytes: Int = 1 << 20
        ) {
            self.plugin = plugin
            self.node = node
            self.host = host
            self.port = port
            self.receiptHost = receiptHost
            self.receiptPort = receiptPort
            self.timeout = timeout
            self.maximumBytes = maximumBytes
        }
    }

    /// Kinds of messages, docs/wire.md.
    private static let eventsKind: UInt64 = 1

    private let settings: Settings
    private let book: ReceiptBook
    private let inbox: ReceiptInbox
    private let link: PushLink
    private let address: String

    /// Begins to listen for receipts.
    /// - Throws: when nothing can listen there
    package init(_ settings: Settings) async throws {
        self.settings = settings
        let book = ReceiptBook()
        let group = MultiThreadedEventLoopGroup.singleton
        inbox = try await ReceiptInbox(host: settings.receiptHost, port: settings.receiptPort, group: group) {
            book.take($0)
        }
        link = PushLink(host: settings.host, port: settings.port, group: group) { problem in
            book.failAll(PluginFailure.unavailable(problem, after: nil))
        }
        self.book = book
        let host = settings.receiptHost.contains(":") ? "[\(settings.receiptHost)]" : settings.receiptHost
        address = "tcp://\(host):\(inbox.port)"
    }

    /// Stays connected until it is cancelled.
    package func run() async {
        await link.run()
        await inbox.close()
    }

    /// Sends entries in order, each message when the one before has its receipt, and stops at the first that has none.
    /// - Parameter entries: of one domain and epoch
    package func deliver(_ entries: [LogEntry], domain: DomainName, epoch: UInt64) async -> PluginOutcome {
        var rest = entries[...]
        while !rest.isEmpty {
            let number = book.open()
            let (message, count) = message(of: rest, domain: domain, epoch: epoch, receipt: book.receipt(of: number))
            if !link.send(message) {
                book.fail(number, PluginFailure.unavailable(link.problem ?? "not connected", after: nil))
            }
            do {
                try await book.wait(for: number, within: settings.timeout)
            } catch let failure as PluginFailure {
                return PluginOutcome(taken: entries.count - rest.count, failure: failure)
            } catch is ReceiptBook.Overdue {
                // What hangs may be the connection alone.
                link.reset()
                return PluginOutcome(
                    taken: entries.count - rest.count,
                    failure: .unavailable("gave no receipt for \(count) events", after: nil))
            } catch {
                return PluginOutcome(taken: entries.count - rest.count, failure: .unavailable("stopped", after: nil))
            }
            rest = rest.dropFirst(count)
        }
        return PluginOutcome(taken: entries.count)
    }

    private func message(
        of entries: ArraySlice<LogEntry>, domain: DomainName, epoch: UInt64, receipt: [UInt8]
    ) -> (bytes: [UInt8], count: Int) {
        var weight = 0
        let fitting = entries.prefix { entry in
            defer { weight += entry.weight }
            return weight < settings.maximumBytes
        }
        var writer = MessagePackWriter(reserving: weight + 512)
        writer.array(8)
        writer.unsigned(Self.eventsKind)
        writer.string(settings.plugin)
        writer.string(settings.node)
        writer.string(address)
        writer.binary(receipt)
        writer.string(domain.rawValue)
        writer.unsigned(epoch)
        writer.array(fitting.count)
        for entry in fitting { writer.logEntry(entry) }
        return (writer.finish(), fitting.count)
    }
}
