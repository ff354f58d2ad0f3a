import ClusterRuntime
import CRdKafka
import Destinations
import Dispatch
import Foundation
import Logging
import RegistrarEvents
import Synchronization

/// A producer for each domain, under a transactional id of the domain: when its next owner begins, the brokers refuse
/// what the former one still sends. Every batch is a transaction. All calls block.
final class KafkaTransactions: Sendable {
    private let settings: KafkaSettings
    private let places: KafkaPlaces
    private let log: Logger
    private let limits = KafkaLimits()
    private let producers = Mutex(Producers())
    /// The epoch of a domain in which a producer was begun. Another one in the same epoch is made only once the owner
    /// has been asked, since the domain may have another by then, whom it would shut out.
    private let begun = Mutex<[DomainName: UInt64]>([:])

    private struct Producers {
        var all: [DomainName: (epoch: UInt64, producer: KafkaProducer)] = [:]
        var isClosed = false
    }

    /// How long one step of a transaction may take, in milliseconds.
    private static let timeout: Int32 = 10_000

    init(_ settings: KafkaSettings, _ places: KafkaPlaces, log: Logger) {
        self.settings = settings
        self.places = places
        self.log = log
    }

    func deliver(
        _ batch: DestinationBatch, to name: String, node: [CChar], isCompacted: Bool
    ) throws(DestinationError) {
        var pieces = KafkaPieces(of: batch, for: name, limits)
        while let piece = pieces.next() {
            let producer = try producer(for: piece)
            guard producer.enter() else {
                throw DestinationError(.unavailable, "\(name): the producer is being replaced")
            }
            defer { producer.leave() }
            _ = producer.client.takeRefusal()
            do throws(DestinationError) {
                let unreadable = try write(piece, to: name, node: node, isCompacted: isCompacted, producer)
                let reason = unreadable > 0 ? RD_KAFKA_RESP_ERR__BAD_MSG : nil
                pieces.written(piece, rejected: unreadable, reason, nil)
            } catch {
                guard error.kind == .unavailable, let refusal = producer.client.takeRefusal() else { throw error }
                // Nothing of it is written. In librdkafka the failure lasts beyond the transaction. Since the brokers
                // answered this producer just now, there is no later one that the next could shut out.
                drop(batch.domain, producer)
                begun.withLock { $0[batch.domain] = nil }
                pieces.written(piece, rejected: piece.events.count, refusal.code, refusal)
            }
        }
        try pieces.end()
    }

    /// One transaction.
    /// - Returns: how many records cannot be read, and are not in it.
    private func write(
        _ batch: DestinationBatch, to name: String, node: [CChar], isCompacted: Bool, _ producer: KafkaProducer
    ) throws(DestinationError) -> Int {
        let topic: KafkaTopics.Topic
        if let known = producer.topics.known(name) { topic = known } else { topic = try producer.topics.lookUp(name) }
        try places.note(batch.domain, topic: name, partitions: topic.partitions)
        try step(rd_kafka_begin_transaction(producer.client.pointer), batch.domain, producer)
        let records = KafkaRecords(batch: batch, topic: topic, isCompacted: isCompacted)
        let queued = records.produce(by: producer.client, node: node, opaque: nil)
        if let error = queued.error {
            abort(batch.domain, producer)
            throw KafkaFault.error(error, name)
        }
        try step(rd_kafka_commit_transaction(producer.client.pointer, Self.timeout), batch.domain, producer)
        return queued.unreadable
    }

    /// The domain's producer: a new one, which fences all before it, with each epoch and each answer of the owner.
    private func producer(for batch: DestinationBatch) throws(DestinationError) -> KafkaProducer {
        let epoch = batch.events.last?.epoch ?? 0
        let (existing, isClosed) = producers.withLock { ($0.all[batch.domain], $0.isClosed) }
        guard !isClosed else { throw DestinationError(.unavailable, "the node stops") }
        if let existing, existing.epoch >= epoch { return existing.producer }
        guard mayBegin(epoch, batch.domain) else {
            throw DestinationError(
                .fenced, "\(batch.domain): its producer is gone, and another might fence a later owner's")
        }
        let made: KafkaProducer
        do throws(KafkaFailure) {
            made = try KafkaProducer(
                settings, transactionalID: "rollcall.\(settings.cluster).\(batch.domain)", log: log)
        } catch {
            throw DestinationError(.unavailable, error.description)
        }
        begun.withLock { $0[batch.domain] = epoch }
        if let error = rd_kafka_init_transactions(made.client.pointer, Self.timeout) {
            let code = rd_kafka_error_code(error)
            let complaint = KafkaFault.isOfConnection(code) ? made.client.lastComplaint : nil
            rd_kafka_error_destroy(error)
            made.close()
            throw DestinationError(
                .unavailable, "no transactions for \(batch.domain): \(complaint ?? KafkaFault.text(code))")
        }
        let isOver = producers.withLock { producers in
            if !producers.isClosed { producers.all[batch.domain] = (epoch, made) }
            return producers.isClosed
        }
        guard !isOver else {
            made.close()
            throw DestinationError(.unavailable, "the node stops")
        }
        existing?.producer.close()
        return made
    }

    /// Whether a producer may be made without a further word of the owner. It is asked for when not, so that the next
    /// batch, if any comes, is its answer.
    private func mayBegin(_ epoch: UInt64, _ domain: DomainName) -> Bool {
        begun.withLock { begun in
            guard let last = begun[domain], epoch <= last else { return true }
            begun[domain] = nil
            return false
        }
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
            if producers.all[domain]?.producer === producer { producers.all[domain] = nil }
        }
        // Whoever calls is still in it.
        let log = log
        Thread.detachNewThread {
            producer.close()
            log.debug("the producer of \(domain) is gone")
        }
    }

    func forget(_ domain: DomainName) {
        begun.withLock { $0[domain] = nil }
        producers.withLock { $0.all.removeValue(forKey: domain) }?.producer.close()
    }

    /// Ends all producers, beside one another, and makes no more.
    func close() {
        let all = producers.withLock { producers in
            defer { producers = Producers(isClosed: true) }
            return producers.all.values.map(\.producer)
        }
        let group = DispatchGroup()
        for producer in all {
            group.enter()
            Thread.detachNewThread {
                producer.close()
                group.leave()
            }
        }
        group.wait()
    }
}
