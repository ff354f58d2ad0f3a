import ClusterRuntime
import CRdKafka
import Destinations
import Foundation
import Synchronization

/// The topics that were written to, and how many partitions each has. Looks are made on threads that may block.
///
/// The handles are librdkafka's, which any thread may use; they belong to the client and go with it.
final class KafkaTopics: @unchecked Sendable {
    struct Topic: @unchecked Sendable {
        let handle: OpaquePointer
        let partitions: Int32
    }

    /// Partitions may be added; records go to the new ones after so long at the latest.
    private static let freshness = Duration.seconds(300)
    static let lookTimeout = Duration.seconds(5)

    private let client: KafkaClient
    private let creation: KafkaSpec.TopicCreation?
    private let known = Mutex<[String: (topic: Topic, until: MonotonicInstant)]>([:])

    init(client: KafkaClient, creation: KafkaSpec.TopicCreation?) {
        self.client = client
        self.creation = creation
    }

    /// What is known of a topic; nil when it has to be looked up.
    func known(_ name: String) -> Topic? {
        known.withLock { known in
            known[name].flatMap { $0.until > SystemClock.monotonic() ? $0.topic : nil }
        }
    }

    /// Something was wrong with the topic: look again.
    func forget(_ name: String) { known.withLock { $0[name]?.until = .distantPast } }

    /// Lets the handles go, before the client.
    func close() {
        for (_, entry) in known.withLock({ $0 }) { rd_kafka_topic_destroy(entry.topic.handle) }
        known.withLock { $0 = [:] }
    }

    /// Asks the brokers, and makes the topic where that is wanted. Blocks.
    func lookUp(_ name: String) throws(DestinationError) -> Topic {
        var partitions = try count(name)
        if partitions == nil, let creation {
            try create(name, creation)
            let deadline = SystemClock.monotonic() + Self.lookTimeout
            while partitions == nil, SystemClock.monotonic() < deadline {
                partitions = try count(name)
                if partitions == nil { Thread.sleep(forTimeInterval: 0.05) }
            }
        }
        guard let partitions else {
            throw DestinationError(
                .domainUnavailable,
                "there is no topic \(name); expected it to be made beforehand, or create_topics in the topology")
        }
        return try known.withLock { (known) throws(DestinationError) -> Topic in
            guard let handle = known[name]?.topic.handle ?? rd_kafka_topic_new(client.pointer, name, nil) else {
                throw DestinationError(.domainUnavailable, "\(name): \(KafkaFault.text(rd_kafka_last_error()))")
            }
            let topic = Topic(handle: handle, partitions: partitions)
            known[name] = (topic, SystemClock.monotonic() + Self.freshness)
            return topic
        }
    }

    /// How many partitions a topic has; nil when it does not exist.
    private func count(_ name: String) throws(DestinationError) -> Int32? {
        let existing = known.withLock { $0[name]?.topic.handle }
        guard let handle = existing ?? rd_kafka_topic_new(client.pointer, name, nil) else {
            throw DestinationError(.domainUnavailable, "\(name): \(KafkaFault.text(rd_kafka_last_error()))")
        }
        defer { if existing == nil { rd_kafka_topic_destroy(handle) } }
        var found: UnsafePointer<rd_kafka_metadata_t>?
        let code = rd_kafka_metadata(
            client.pointer, 0, handle, &found, Int32(clamping: Self.lookTimeout.milliseconds))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found else {
            let error = KafkaFault.error(code, name)
            // A refused login or certificate is told by the connection, not by the request that waits for one.
            guard KafkaFault.isOfConnection(code), let complaint = client.lastComplaint else { throw error }
            throw DestinationError(error.kind, "\(name): \(complaint)")
        }
        defer { rd_kafka_metadata_destroy(found) }
        guard found.pointee.topic_cnt == 1 else { return nil }
        let topic = found.pointee.topics[0]
        switch topic.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return topic.partition_cnt > 0 ? topic.partition_cnt : nil
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: return nil
        default: throw KafkaFault.error(topic.err, name)
        }
    }

    private func create(_ name: String, _ creation: KafkaSpec.TopicCreation) throws(DestinationError) {
        var text = [CChar](repeating: 0, count: 512)
        guard
            let topic = rd_kafka_NewTopic_new(
                name, Int32(creation.partitions), Int32(creation.replicas), &text, text.count)
        else { throw DestinationError(.domainUnavailable, "\(name): \(KafkaClient.string(text))") }
        defer { rd_kafka_NewTopic_destroy(topic) }
        if creation.isCompacted { rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact") }
        guard let queue = rd_kafka_queue_new(client.pointer) else {
            throw DestinationError(.unavailable, "\(name): no queue")
        }
        defer { rd_kafka_queue_destroy(queue) }
        var topics: [OpaquePointer?] = [topic]
        rd_kafka_CreateTopics(client.pointer, &topics, 1, nil, queue)
        guard let event = rd_kafka_queue_poll(queue, Int32(clamping: Self.lookTimeout.milliseconds)) else {
            throw DestinationError(.unavailable, "\(name): no answer to its creation within \(Self.lookTimeout)")
        }
        defer { rd_kafka_event_destroy(event) }
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let result = rd_kafka_event_CreateTopics_result(event)
        else {
            throw DestinationError(.unavailable, "\(name): \(String(cString: rd_kafka_event_error_string(event)))")
        }
        var count = 0
        guard let results = rd_kafka_CreateTopics_result_topics(result, &count), count == 1 else { return }
        switch rd_kafka_topic_result_error(results[0]) {
        // Another node may have been first.
        case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: break
        case let code: throw KafkaFault.error(code, name)
        }
    }
}
