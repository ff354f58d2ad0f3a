import ClusterRuntime
import CRdKafka
public import Destinations
import Dispatch
import Foundation
public import Logging
public import RegistrarEvents
import Synchronization

/// Kafka, by librdkafka: an idempotent producer that waits for all in-sync replicas.
///
/// Events of a domain go to its topic, as the platform's envelope with `domain`; headers carry epoch, seq, replay and
/// the node. A batch is delivered when the brokers have acknowledged each of its records. `docs/kafka.md` is for
/// operators and for those who write consumers.
public final class KafkaDestination: Destination {
    public let concurrency: Int
    public let batchLimits = BatchLimits(events: 4_000, bytes: 2 << 20)

    /// What is under way beside a batch that is given up is acknowledged by then, or not written either.
    private static let graceForOthers = Duration.seconds(1)

    private let settings: KafkaSettings
    private let log: Logger
    private let node: [CChar]
    /// Where librdkafka's blocking calls are made.
    private let blocking: BlockingThreads
    /// Threads beyond those of the batches under way, for producers that are let go.
    private static let spareThreads = 8
    /// Where the time of batches is watched. Nothing blocks there.
    private let deadlines = DispatchQueue(label: "kafka deadlines", qos: .utility)
    private let shared: Mutex<Shared>
    private let makeProducer: @Sendable () throws(KafkaFailure) -> KafkaProducer
    private let transactions: KafkaTransactions?
    private let limits = KafkaLimits()
    private let places = KafkaPlaces()

    /// The producer that domains share. There is none when each has its own, when none could be made, or at the end.
    private struct Shared {
        var producer: KafkaProducer?
        var isClosed = false
    }

    /// - Throws: when librdkafka does not accept the settings, or a password cannot be read. That no broker answers is
    ///   no error: events wait.
    public convenience init(_ settings: KafkaSettings, log: Logger) throws(KafkaFailure) {
        try self.init(settings, log: log) { () throws(KafkaFailure) in try KafkaProducer(settings, log: log) }
    }

    /// - Parameter makeProducer: makes the producer that domains share, and each that takes its place.
    init(
        _ settings: KafkaSettings, log: Logger,
        makeProducer: @escaping @Sendable () throws(KafkaFailure) -> KafkaProducer
    ) throws(KafkaFailure) {
        self.settings = settings
        self.makeProducer = makeProducer
        self.log = log
        node = settings.node.utf8.map { CChar(bitPattern: $0) }
        if let warning = settings.loginWarning(libraryVersion: rd_kafka_version()) { log.warning("\(warning)") }
        switch settings.spec.fencing {
        case .epoch:
            concurrency = 32
            transactions = nil
            shared = Mutex(Shared(producer: try makeProducer()))
        case .transactions:
            concurrency = 8
            transactions = KafkaTransactions(settings, places, log: log)
            shared = Mutex(Shared())
        }
        blocking = BlockingThreads(name: "kafka", limit: concurrency + Self.spareThreads)
    }

    private var isCompacted: Bool { settings.spec.keys == .contact }

    public func deliver(_ batch: DestinationBatch) async throws(DestinationError) {
        let name = settings.topic(batch.domain)
        if let transactions {
            let node = node
            let isCompacted = isCompacted
            return try await block { () throws(DestinationError) in
                try transactions.deliver(batch, to: name, node: node, isCompacted: isCompacted)
            }
        }
        let producer = try await producer()
        guard producer.enter() else { throw DestinationError(.unavailable, "the producer is being replaced") }
        defer { producer.leave() }
        let topic: KafkaTopics.Topic
        if let known = producer.topics.known(name) {
            topic = known
        } else {
            topic = try await block { () throws(DestinationError) in try producer.topics.lookUp(name) }
        }
        try places.note(batch.domain, topic: name, partitions: topic.partitions)
        try await send(batch, to: topic, name, producer)
    }

    /// The producer that domains share: a new one when there was none to take the place of the last.
    private func producer() async throws(DestinationError) -> KafkaProducer {
        let (producer, isClosed) = shared.withLock { ($0.producer, $0.isClosed) }
        if let producer { return producer }
        guard !isClosed else { throw DestinationError(.unavailable, "the node stops") }
        return try await block { [self] () throws(DestinationError) in
            try shared.withLock { (shared) throws(DestinationError) in
                guard !shared.isClosed else { throw DestinationError(.unavailable, "the node stops") }
                if let producer = shared.producer { return producer }
                do throws(KafkaFailure) {
                    let producer = try makeProducer()
                    shared.producer = producer
                    return producer
                } catch {
                    throw DestinationError(.unavailable, error.description)
                }
            }
        }
    }

    private func send(
        _ batch: DestinationBatch, to topic: KafkaTopics.Topic, _ name: String, _ producer: KafkaProducer
    ) async throws(DestinationError) {
        var pieces = KafkaPieces(of: batch, for: name, limits)
        while let piece = pieces.next() {
            let outcome = await write(piece, to: topic, producer)
            if let code = outcome.failure { throw failure(code, name, producer) }
            producer.acknowledged()
            pieces.written(piece, rejected: outcome.rejected, outcome.rejection, outcome.refusal)
        }
        try pieces.end()
    }

    private func write(
        _ batch: DestinationBatch, to topic: KafkaTopics.Topic, _ producer: KafkaProducer
    ) async -> DeliveryTicket.Outcome {
        let records = KafkaRecords(batch: batch, topic: topic, isCompacted: isCompacted)
        let count = records.count
        let ticket = DeliveryTicket(records: count)
        let opaque = ticket.begin()
        let queued = records.produce(by: producer.client, node: node, opaque: opaque)
        ticket.reject(queued.unreadable, RD_KAFKA_RESP_ERR__BAD_MSG)
        if let error = queued.error { ticket.withdraw(count - queued.records - queued.unreadable, error) }
        let timeout = settings.deliveryTimeout
        let limit = DispatchWorkItem { [weak self] in
            guard let self, !ticket.isSettled else { return }
            replace(producer, "a batch was not acknowledged for \(timeout)", grace: grace(of: producer))
        }
        deadlines.asyncAfter(deadline: .now() + .nanoseconds(Int(timeout.nanoseconds)), execute: limit)
        defer { limit.cancel() }
        return await ticket.outcome()
    }

    /// How long a producer that is given up for one batch may go on with the others: not at all when none of them is
    /// acknowledged either.
    private func grace(of producer: KafkaProducer) -> Duration {
        producer.hasAcknowledged(within: settings.deliveryTimeout / 2) ? Self.graceForOthers : .zero
    }

    /// Also replaces a producer that is of no use any more.
    private func failure(
        _ code: rd_kafka_resp_err_t, _ topic: String, _ producer: KafkaProducer
    ) -> DestinationError {
        if KafkaFault.isOfTopic(code) { producer.topics.forget(topic) }
        if let reason = producer.client.fatalError {
            replace(producer, reason)
            return DestinationError(.unavailable, "\(topic): \(reason)")
        }
        guard KafkaFault.isPurge(code) else { return KafkaFault.error(code, topic) }
        let complaint = producer.client.lastComplaint ?? settings.spec.brokers.joined(separator: ", ")
        // Where others are written, it is the topic: a partition has no leader, or too few replicas.
        return DestinationError(
            grace(of: producer) > .zero ? .domainUnavailable : .unavailable,
            "\(topic): not acknowledged in time: \(complaint)")
    }

    private func replace(_ broken: KafkaProducer, _ reason: String, grace: Duration = .zero) {
        let isReplaced = shared.withLock { shared in
            guard shared.producer === broken else { return false }
            do throws(KafkaFailure) {
                shared.producer = try makeProducer()
            } catch {
                // What it has under way has to end all the same; the next batch tries to make another.
                log.error("no new Kafka producer: \(error)")
                shared.producer = nil
            }
            return true
        }
        guard isReplaced else { return }
        log.info("a new Kafka producer: \(reason)")
        blocking.run { broken.close(after: grace) }
    }

    public func forget(_ domain: DomainName) async {
        places.forget(domain)
        guard let transactions else { return }
        await block { transactions.forget(domain) }
    }

    public func close() async {
        let producer = shared.withLock { shared in
            defer { shared = Shared(producer: nil, isClosed: true) }
            return shared.producer
        }
        await block { [transactions] in
            producer?.close()
            transactions?.close()
        }
    }

    /// Runs something that blocks where it may.
    private func block<Value: Sendable, Failure>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            blocking.run {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}
