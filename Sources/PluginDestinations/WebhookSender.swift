import AsyncHTTPClient
import ClusterRuntime
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
package import RegistrarEvents
import Synchronization

/// Posts batches of events to one webhook.
package final class WebhookSender: Sendable {
    package struct Settings: Sendable {
        /// The plugin's name in the topology.
        package var plugin: String
        /// This node's.
        package var node: String
        package var url: String
        package var signature: WebhookSignature
        /// How long the receiver may take for an answer.
        package var timeout: Duration
        /// Bytes at which a request is full.
        package var maximumBytes: Int
        /// Requests under way at once, over all domains.
        package var concurrency: Int

        package init(
            plugin: String, node: String, url: String, signature: WebhookSignature, timeout: Duration = .seconds(10),
            maximumBytes: Int = 1 << 20, concurrency: Int = 8
        ) {
            self.plugin = plugin
            self.node = node
            self.url = url
            self.signature = signature
            self.timeout = timeout
            self.maximumBytes = maximumBytes
            self.concurrency = concurrency
        }
    }

    /// The limit is not made smaller than this when the receiver refuses requests for their size.
    private static let smallestLimit = 4_096
    /// Bytes of an answer that are read, so that the connection can be used again; of more it is closed.
    private static let maximumAnswer = 65_536
    private static let agent = "rollcall"

    private let settings: Settings
    private let client: HTTPClient
    private let gate: RequestGate
    /// Bytes at which a request is full, as far as the receiver takes that much.
    private let limit: Mutex<Int>

    package init(_ settings: Settings) {
        self.settings = settings
        gate = RequestGate(width: settings.concurrency)
        limit = Mutex(settings.maximumBytes)
        // Where events go is for the topology to say.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .nanoseconds(settings.timeout.nanoseconds)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = settings.concurrency
        client = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
    }

    package func shutDown() async {
        // It can only complain of requests that are still under way, which nobody waits for any more.
        try? await client.shutdown()
    }

    /// Sends entries in order, in as many requests as they need, and stops at the first that fails.
    /// - Parameters:
    ///   - entries: of one domain and epoch
    ///   - serial: tells batches of one position apart, as those of a resync are; nil for the log's own
    package func deliver(
        _ entries: [LogEntry], domain: DomainName, epoch: UInt64, serial: UInt64? = nil
    ) async -> PluginOutcome {
        var rest = entries[...]
        while !rest.isEmpty {
            let limit = limit.withLock(\.self)
            let body: WebhookBody
            do {
                body = try WebhookBody(
                    plugin: settings.plugin, node: settings.node, domain: domain, epoch: epoch, entries: rest,
                    maximumBytes: limit, serial: serial.map { $0 + UInt64(entries.count - rest.count) })
            } catch {
                return PluginOutcome(
                    taken: entries.count - rest.count,
                    failure: .misconfigured("an entry from \(rest.startIndex) on cannot be read: \(error)"))
            }
            guard let reply = await gate.pass({ await post(body) }) else {
                return PluginOutcome(taken: entries.count - rest.count, failure: .unavailable("stopped", after: nil))
            }
            switch reply.answer {
            case .taken: rest = rest.dropFirst(body.count)
            case .tooLarge where body.count > 1: shrink(below: body.bytes.count)
            case .tooLarge, .misconfigured:
                return PluginOutcome(taken: entries.count - rest.count, failure: .misconfigured(reply.text))
            case .again(let delay):
                return PluginOutcome(taken: entries.count - rest.count, failure: .unavailable(reply.text, after: delay))
            case .gone: return PluginOutcome(taken: entries.count - rest.count, failure: .gone(reply.text))
            }
        }
        return PluginOutcome(taken: entries.count)
    }

    private struct Reply {
        let answer: WebhookAnswer
        /// For people.
        let text: String
    }

    private func post(_ body: WebhookBody) async -> Reply {
        let timestamp = SystemClock.wall() / 1_000
        var request = HTTPClientRequest(url: settings.url)
        request.method = .POST
        request.headers = [
            "content-type": "application/json", "user-agent": Self.agent, "webhook-id": body.id,
            "webhook-timestamp": "\(timestamp)",
            "webhook-signature": settings.signature.header(id: body.id, timestamp: timestamp, body: body.bytes),
        ]
        request.body = .bytes(ByteBuffer(bytes: body.bytes))
        do {
            let response = try await client.execute(request, timeout: .nanoseconds(settings.timeout.nanoseconds))
            // What it says besides its status is not looked at, and a connection on which more comes is closed.
            _ = try? await response.body.collect(upTo: Self.maximumAnswer)
            let answer = WebhookAnswer(
                status: response.status.code, retryAfter: response.headers.first(name: "retry-after"))
            gate.note(isWell: answer == .taken || answer == .tooLarge)
            return Reply(answer: answer, text: "answered \(response.status.code) to \(body.count) events")
        } catch {
            gate.note(isWell: false)
            return Reply(answer: .again(after: nil), text: Self.text(of: error))
        }
    }

    private func shrink(below size: Int) {
        limit.withLock { $0 = min($0, max(size / 2, Self.smallestLimit)) }
    }

    private static func text(of error: any Error) -> String {
        switch error as? HTTPClientError {
        case HTTPClientError.deadlineExceeded?, HTTPClientError.readTimeout?: "did not answer in time"
        case HTTPClientError.connectTimeout?: "could not be connected to in time"
        case let error?: error.shortDescription
        case nil: "\(error)"
        }
    }
}
