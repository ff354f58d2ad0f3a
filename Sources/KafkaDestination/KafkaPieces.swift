import ClusterRuntime
import CRdKafka
import Destinations
import RegistrarEvents
import Synchronization

/// How many bytes of events are written at a time to topics whose brokers have refused more.
final class KafkaLimits: Sendable {
    /// Topics may come to allow more; that is tried after so long.
    private static let freshness = Duration.seconds(300)

    private let known = Mutex<[String: (bytes: Int, until: MonotonicInstant)]>([:])

    func limit(of topic: String) -> Int {
        known.withLock { known in
            known[topic].flatMap { $0.until > SystemClock.monotonic() ? $0.bytes : nil } ?? .max
        }
    }

    /// So many bytes at a time were too many.
    func shrink(_ topic: String, below bytes: Int) {
        let limit = min(limit(of: topic), bytes / 2)
        known.withLock { $0[topic] = (limit, SystemClock.monotonic() + Self.freshness) }
    }
}

/// A batch in as many pieces as the brokers need to take it, in order.
///
/// What is sent to a partition at once is refused as a whole when it is larger than the topic allows
/// (`max.message.bytes`), or when a record in it is invalid: good records with the one that is too much. So only an
/// event that is alone is given up; before that the pieces become smaller. Events of a piece that was taken by some
/// partitions come again.
struct KafkaPieces {
    private let domain: DomainName
    private let topic: String
    private let limits: KafkaLimits
    private var rest: ArraySlice<DestinationEvent>
    /// How many events a piece may have: fewer once an invalid one is among them.
    private var most: Int
    private var rejected = 0
    private var reason: rd_kafka_resp_err_t?

    init(of batch: DestinationBatch, for topic: String, _ limits: KafkaLimits) {
        domain = batch.domain
        rest = batch.events[...]
        most = batch.events.count
        self.topic = topic
        self.limits = limits
    }

    /// What is to be written now; nil when nothing is left.
    func next() -> DestinationBatch? {
        guard !rest.isEmpty else { return nil }
        let limit = limits.limit(of: topic)
        var bytes = 0
        let piece = rest.prefix(most).prefix { event in
            defer { bytes += event.entry.weight }
            return bytes == 0 || bytes + event.entry.weight <= limit
        }
        return DestinationBatch(domain: domain, events: Array(piece))
    }

    /// The piece is written, but for so many records of it.
    mutating func written(
        _ piece: DestinationBatch, rejected records: Int, _ reason: rd_kafka_resp_err_t?,
        _ refusal: KafkaFault.Refusal?
    ) {
        if let refusal, piece.events.count > 1 {
            switch refusal {
            case .ofSize: limits.shrink(topic, below: piece.events.reduce(0) { $0 + $1.entry.weight })
            case .ofRecord: most = piece.events.count / 2
            }
            return
        }
        most = min(2 * most, max(rest.count, 1))
        rest = rest.dropFirst(piece.events.count)
        rejected += min(records, piece.events.count)
        self.reason = reason ?? self.reason
    }

    /// - Throws: when events of the batch are never taken.
    func end() throws(DestinationError) {
        guard rejected > 0, let reason else { return }
        throw DestinationError(.rejected(events: rejected), "\(topic): \(KafkaFault.text(reason))")
    }
}
