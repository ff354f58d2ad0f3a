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
        /// How long requests are kept smaller than that once the receiver has refused larger ones; then they may be
        /// twice as large, and so on.
        package var growth: Duration

        package init(
            plugin: String, node: String, url: String, signature: WebhookSignature, timeout: Duration,
            maximumBytes: Int = 2 << 20, growth: Duration = .seconds(300)
        ) {
            self.plugin = plugin
            self.node = node
            self.url = url
            self.signature = signature
            self.timeout = timeout
            self.maximumBytes = maximumBytes
            self.growth = growth
        }
    }

    private struct Limit {
        var bytes: Int
        var growsAt = MonotonicInstant.distantPast
    }

    /// The pause after an answer that says that something is set up wrongly.
    package static let misconfiguredPause: Duration = .seconds(30)
    /// The limit is not made smaller than this when the receiver refuses requests for their size; then they are made
    /// of fewer events.
    private static let smallestLimit = 4_096
    /// Bytes of an answer that are read, so that the connection can be used again; of more it is closed.
    private static let maximumAnswer = 65_536

    private let settings: Settings
    private let client: HTTPClient
    /// Bytes at which a request is full, as far as the receiver takes that much.
    private let limit: Mutex<Limit>

    /// As JSON, this is about half of what one request holds.
    package let batchLimits = BatchLimits(events: 1_000, bytes: 512 << 10)
    package let concurrency = 8

    package init(_ settings: Settings) {
        self.settings = settings
        limit = Mutex(Limit(bytes: settings.maximumBytes))
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
        var rest = batch.events[...]
        // How many events a request may have: fewer once it was too large with more, whatever their bytes.
        var most = rest.count
        // The last request that was too large, and up to where it went.
        var refused: (bytes: Int, end: Int)?
        var unreadable = 0
        while !rest.isEmpty {
            let body = WebhookBody(
                plugin: settings.plugin, node: settings.node, domain: batch.domain, events: rest.prefix(most),
                maximumBytes: currentLimit())
            let (answer, text) = body.count > body.unreadable ? await post(body) : (.taken, "")
            switch answer {
            case .taken:
                rest = rest.dropFirst(body.count)
                unreadable += body.unreadable
                guard let last = refused else {
                    most = min(2 * most, batch.events.count)
                    continue
                }
                // All of it was taken in smaller ones, so it is not one event that is too large.
                guard rest.startIndex >= last.end else { continue }
                shrink(below: last.bytes)
                refused = nil
            case .tooLarge where body.count > 1:
                most = body.count / 2
                refused = (body.bytes.count, rest.startIndex + body.count)
            case .tooLarge, .misconfigured:
                throw DestinationError(.unavailable, "\(text), expected 2xx", pause: Self.misconfiguredPause)
            case .again(let delay): throw DestinationError(.unavailable, text, pause: delay ?? .zero)
            case .gone: throw DestinationError(.gone, text)
            }
        }
        guard unreadable == 0 else {
            throw DestinationError(.rejected(events: unreadable), "contacts that cannot be read")
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
        let deadline = ContinuousClock.now + settings.timeout
        do {
            let response = try await client.execute(request, timeout: .nanoseconds(settings.timeout.nanoseconds))
            await passOver(response.body, until: deadline)
            let answer = WebhookAnswer(
                status: response.status.code, retryAfter: response.headers.first(name: "retry-after"))
            return (answer, "answered \(response.status.code) to \(body.count) events")
        } catch {
            return (.again(after: nil), Self.text(of: error))
        }
    }

    /// Reads an answer to its end, so that the connection can be used again, but no longer than until the deadline: the
    /// client's own ends with the head.
    private func passOver(_ answer: HTTPClientResponse.Body, until deadline: ContinuousClock.Instant) async {
        await withTaskGroup { group in
            // What it says besides its status is not looked at, and a connection on which more comes is closed.
            group.addTask { _ = try? await answer.collect(upTo: Self.maximumAnswer) }
            // Cancelled once the answer is there.
            group.addTask { try? await Task.sleep(until: deadline) }
            await group.next()
            group.cancelAll()
        }
    }

    private func shrink(below size: Int) {
        limit.withLock {
            $0.bytes = min($0.bytes, max(size / 2, Self.smallestLimit))
            $0.growsAt = SystemClock.monotonic() + settings.growth
        }
    }

    private func currentLimit() -> Int {
        limit.withLock { limit in
            let now = SystemClock.monotonic()
            if limit.bytes < settings.maximumBytes, now >= limit.growsAt {
                limit = Limit(bytes: min(2 * limit.bytes, settings.maximumBytes), growsAt: now + settings.growth)
            }
            return limit.bytes
        }
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
