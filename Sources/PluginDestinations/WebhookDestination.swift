import AsyncHTTPClient
import ClusterRuntime
package import Destinations
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import RegistrarEvents
import Synchronization

/// Posts batches of events to one webhook. `docs/plugins.md` has the contract.
package final class WebhookDestination: Destination {
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

        package init(
            plugin: String, node: String, url: String, signature: WebhookSignature, timeout: Duration,
            maximumBytes: Int = 2 << 20
        ) {
            self.plugin = plugin
            self.node = node
            self.url = url
            self.signature = signature
            self.timeout = timeout
            self.maximumBytes = maximumBytes
        }
    }

    private struct State {
        /// Bytes at which a request is full, as far as the receiver takes that much.
        var limit: Int
        /// The receiver has asked not to be bothered until then, or there is no hope before.
        var rest: MonotonicInstant = .distantPast
    }

    /// The pause after an answer that says that something is set up wrongly.
    package static let misconfiguredPause: Duration = .seconds(30)
    /// The limit is not made smaller than this when the receiver refuses requests for their size.
    private static let smallestLimit = 4_096
    /// Bytes of an answer that are read, so that the connection can be used again; of more it is closed.
    private static let maximumAnswer = 65_536

    private let settings: Settings
    private let client: HTTPClient
    private let state: Mutex<State>

    /// As JSON, this is about half of what one request holds.
    package let batchLimits = BatchLimits(events: 1_000, bytes: 512 << 10)
    package let concurrency = 8

    package init(_ settings: Settings) {
        self.settings = settings
        state = Mutex(State(limit: settings.maximumBytes))
        // Where events go is for the topology to say.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .nanoseconds(settings.timeout.nanoseconds)
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
    }

    package func close() async {
        // It can only complain of requests that are still under way, which nobody waits for any more.
        try? await client.shutdown()
    }

    /// Sends a batch in order, in as many requests as it needs, and stops at the first that fails: what went before
    /// comes again then.
    package func deliver(_ batch: DestinationBatch) async throws(DestinationError) {
        await takeRest()
        var rest = batch.events[...]
        while !rest.isEmpty {
            let body: WebhookBody
            do {
                body = try WebhookBody(
                    plugin: settings.plugin, node: settings.node, domain: batch.domain, events: rest,
                    maximumBytes: state.withLock(\.limit))
            } catch {
                throw DestinationError(.rejected(events: rest.count), "events that cannot be read: \(error)")
            }
            let (answer, text) = await post(body)
            switch answer {
            case .taken: rest = rest.dropFirst(body.count)
            case .tooLarge where body.count > 1: shrink(below: body.bytes.count)
            case .tooLarge, .misconfigured:
                postpone(by: Self.misconfiguredPause)
                throw DestinationError(.unavailable, "\(text), expected 2xx")
            case .again(let delay):
                if let delay { postpone(by: delay) }
                throw DestinationError(.unavailable, text)
            case .gone: throw DestinationError(.gone, text)
            }
        }
    }

    private func post(_ body: WebhookBody) async -> (WebhookAnswer, String) {
        let timestamp = SystemClock.wall() / 1_000
        var request = HTTPClientRequest(url: settings.url)
        request.method = .POST
        request.headers = [
            "content-type": "application/json", "user-agent": "rollcall", "webhook-id": body.id,
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
            return (answer, "answered \(response.status.code) to \(body.count) events")
        } catch {
            return (.again(after: nil), Self.text(of: error))
        }
    }

    /// Waits until the receiver may be bothered again.
    private func takeRest() async {
        let wait = state.withLock(\.rest) - SystemClock.monotonic()
        // Cancelled, it ends at the request that follows.
        if wait > .zero { try? await Task.sleep(for: wait) }
    }

    private func postpone(by pause: Duration) {
        let until = SystemClock.monotonic() + pause
        state.withLock { $0.rest = max($0.rest, until) }
    }

    private func shrink(below size: Int) {
        state.withLock { $0.limit = min($0.limit, max(size / 2, Self.smallestLimit)) }
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
