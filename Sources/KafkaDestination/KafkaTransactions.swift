import ClusterRuntime
import CRdKafka
import Destinations
import Foundation
import Logging
import RegistrarEvents
import Synchronization

/// A producer for each domain, under a transactional id of the domain: when its next owner begins, the brokers refuse
/// what the former one still sends. Every batch is a transaction. All calls block.
final class KafkaTransactions: Sendable {
    private let settings: KafkaSettings
    private let log: Logger
    private let producers = Mutex<[DomainName: (epoch: UInt64, producer: KafkaProducer)]>([:])

    /// How long one step of a transaction may take, in milliseconds.
    private static let timeout: Int32 = 10_000

    init(_ settings: KafkaSettings, log: Logger) {
        self.settings = settings
        self.log = log
    }

    func deliver(_ batch: DestinationBatch, node: [CChar], isCompacted: Bool) throws(DestinationError) {
        let name = settings.topic(batch.domain)
        let producer = try producer(for: batch)
        guard producer.enter() else { throw DestinationError(.unavailable, "\(name): the producer is being replaced") }
        defer { producer.leave() }
        let topic: KafkaTopics.Topic
        if let known = producer.topics.known(name) { topic = known } else { topic = try producer.topics.lookUp(name) }
        try step(rd_kafka_begin_transaction(producer.client.pointer), batch.domain, producer)
        let records = KafkaRecords(batch: batch, topic: topic, isCompacted: isCompacted)
        if let error = records.produce(by: producer.client, node: node, opaque: nil).error {
            abort(batch.domain, producer)
            throw KafkaFault.error(error, name)
        }
        try step(rd_kafka_commit_transaction(producer.client.pointer, Self.timeout), batch.domain, producer)
    }

    /// The domain's producer: a new one, which fences all before it, with each epoch.
    private func producer(for batch: DestinationBatch) throws(DestinationError) -> KafkaProducer {
        let epoch = batch.events.last?.epoch ?? 0
        let existing = producers.withLock { $0[batch.domain] }
        if let existing, existing.epoch >= epoch { return existing.producer }
        let made: KafkaProducer
        do throws(KafkaFailure) {
            made = try KafkaProducer(
                settings, transactionalID: "rollcall.\(settings.cluster).\(batch.domain)", log: log)
        } catch {
            throw DestinationError(.unavailable, error.description)
        }
        if let error = rd_kafka_init_transactions(made.client.pointer, Self.timeout) {
            let code = rd_kafka_error_code(error)
            let complaint = KafkaFault.isOfConnection(code) ? made.client.lastComplaint : nil
            rd_kafka_error_destroy(error)
            made.close()
            throw DestinationError(
                .unavailable, "no transactions for \(batch.domain): \(complaint ?? KafkaFault.text(code))")
        }
        producers.withLock { $0[batch.domain] = (epoch, made) }
        existing?.producer.close()
        return made
    }

    /// Ends a step: when it went wrong, so that the next batch begins anew.
    private func step(
        _ error: OpaquePointer?, _ domain: DomainName, _ producer: KafkaProducer
    ) throws(DestinationError) {
        guard let error else { return }
        defer { rd_kafka_error_destroy(error) }
        let code = rd_kafka_error_code(error)
        let text = "\(settings.topic(domain)): \(String(cString: rd_kafka_error_string(error)))"
        if rd_kafka_error_is_fatal(error) == 1 || KafkaFault.isFence(code) {
            drop(domain, producer)
            throw DestinationError(KafkaFault.isFence(code) ? .fenced : .unavailable, text)
        }
        abort(domain, producer)
        throw DestinationError(.unavailable, text)
    }

    private func abort(_ domain: DomainName, _ producer: KafkaProducer) {
        guard let error = rd_kafka_abort_transaction(producer.client.pointer, Self.timeout) else { return }
        rd_kafka_error_destroy(error)
        // What cannot even be aborted is given up; the broker ends it by its own time limit, or at the next init.
        drop(domain, producer)
    }

    private func drop(_ domain: DomainName, _ producer: KafkaProducer) {
        producers.withLock { producers in
            if producers[domain]?.producer === producer { producers[domain] = nil }
        }
        // Whoever calls is still in it.
        let log = log
        Thread.detachNewThread {
            producer.close()
            log.debug("the producer of \(domain) is gone")
        }
    }

    func forget(_ domain: DomainName) {
        producers.withLock { $0.removeValue(forKey: domain) }?.producer.close()
    }

    func close() {
        let all = producers.withLock { producers in
            defer { producers = [:] }
            return producers.sorted { $0.key < $1.key }.map(\.value.producer)
        }
        for producer in all { producer.close() }
    }
}
