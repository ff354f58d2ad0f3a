import ClusterRuntime
import CRdKafka
import Destinations
import Foundation
import Logging
import Synchronization

/// A client with its topics, for as long as somebody uses it: it is let go once all have left.
final class KafkaProducer: Sendable {
    let client: KafkaClient
    let topics: KafkaTopics
    private let lastAcknowledged = Atomic<Int64>(0)
    private let users = Mutex<(count: Int, isClosing: Bool)>((0, false))

    /// How long leaving users are waited for; their reports come at once when everything under way is purged.
    private static let patience = Duration.seconds(15)

    /// - Parameter transactionalID: nil for a producer that all domains share.
    init(_ settings: KafkaSettings, transactionalID: String? = nil, log: Logger) throws(KafkaFailure) {
        client = try KafkaClient(options: settings.options(transactionalID: transactionalID), log: log)
        topics = KafkaTopics(client: client, creation: settings.spec.creation)
    }

    /// Whether the producer may be used; then `leave` has to follow.
    func enter() -> Bool {
        users.withLock { users in
            guard !users.isClosing else { return false }
            users.count += 1
            return true
        }
    }

    func leave() { users.withLock { $0.count -= 1 } }

    /// The brokers have acknowledged a batch.
    func acknowledged() { lastAcknowledged.store(SystemClock.monotonic().nanoseconds, ordering: .relaxed) }

    /// Whether the brokers have acknowledged a batch within so much time.
    func hasAcknowledged(within time: Duration) -> Bool {
        let last = MonotonicInstant(nanoseconds: lastAcknowledged.load(ordering: .relaxed))
        return SystemClock.monotonic() - last < time
    }

    /// Ends it. What is under way fails, unless it ends by itself within the grace. Blocks.
    func close(after grace: Duration = .zero) {
        let isFirst = users.withLock { users in
            defer { users.isClosing = true }
            return !users.isClosing
        }
        guard isFirst else { return }
        let end = SystemClock.monotonic() + grace
        while users.withLock({ $0.count }) > 0, SystemClock.monotonic() < end {
            Thread.sleep(forTimeInterval: 0.005)
        }
        let deadline = SystemClock.monotonic() + Self.patience
        repeat {
            // Again and again: who came in before may still be queueing.
            rd_kafka_purge(client.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
            Thread.sleep(forTimeInterval: 0.005)
        } while users.withLock({ $0.count }) > 0 && SystemClock.monotonic() < deadline
        // Whoever is still there would use what is gone: better to leave it standing.
        guard users.withLock({ $0.count }) == 0 else { return }
        topics.close()
        client.stop()
    }
}
