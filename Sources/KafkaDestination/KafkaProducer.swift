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

    private let ended = Atomic<Bool>(false)

    /// How long leaving users are waited for; their reports come at once when everything under way is purged, but what
    /// looks for a topic or ends a transaction may take longer.
    static let patience = Duration.seconds(15)

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

    /// Whether its threads and connections are gone.
    var isEnded: Bool { ended.load(ordering: .acquiring) }

    func leave() { users.withLock { $0.count -= 1 } }

    /// The brokers have acknowledged a batch.
    func acknowledged() { lastAcknowledged.store(SystemClock.monotonic().nanoseconds, ordering: .relaxed) }

    /// Whether the brokers have acknowledged a batch within so much time.
    func hasAcknowledged(within time: Duration) -> Bool {
        let last = MonotonicInstant(nanoseconds: lastAcknowledged.load(ordering: .relaxed))
        return SystemClock.monotonic() - last < time
    }

    /// Ends it. What is under way fails, unless it ends by itself within the grace. Blocks, for so long at most: who is
    /// still there then is waited for by a thread that ends it.
    func close(after grace: Duration = .zero, patience: Duration = KafkaProducer.patience) {
        let isFirst = users.withLock { users in
            defer { users.isClosing = true }
            return !users.isClosing
        }
        guard isFirst else { return }
        wait(until: SystemClock.monotonic() + grace) {}
        if purge(until: SystemClock.monotonic() + patience) { return end() }
        Thread.detachNewThread { [self] in
            purge(until: nil)
            end()
        }
    }

    /// Fails what is under way, again and again, since who came in before may still be queueing.
    /// - Returns: whether all have left.
    @discardableResult
    private func purge(until deadline: MonotonicInstant?) -> Bool {
        wait(until: deadline) { [client] in
            rd_kafka_purge(client.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        }
    }

    /// Waits until all have left.
    @discardableResult
    private func wait(until deadline: MonotonicInstant?, _ meanwhile: () -> Void) -> Bool {
        while users.withLock({ $0.count }) > 0 {
            if let deadline, SystemClock.monotonic() >= deadline { return false }
            meanwhile()
            Thread.sleep(forTimeInterval: 0.005)
        }
        return true
    }

    /// Nobody uses it any more.
    private func end() {
        topics.close()
        client.stop()
        ended.store(true, ordering: .releasing)
    }
}
