import CRdKafka
import Foundation
import Testing

/// Brokers in this process, with one topic.
final class MockCluster {
    struct Record {
        let key: String?
        let value: String?
        let partition: Int32
        let headers: [String: String]
    }

    private let client: OpaquePointer
    private let cluster: OpaquePointer
    private let topic: String

    init(topic: String, partitions: Int32) throws {
        self.topic = topic
        client = try Self.make(RD_KAFKA_PRODUCER, [:])
        cluster = try #require(rd_kafka_mock_cluster_new(client, 1))
        #expect(rd_kafka_mock_topic_create(cluster, topic, partitions, 1) == RD_KAFKA_RESP_ERR_NO_ERROR)
    }

    deinit {
        rd_kafka_mock_cluster_destroy(cluster)
        rd_kafka_destroy(client)
    }

    var brokers: [String] {
        rd_kafka_mock_cluster_bootstraps(cluster).map { [String(cString: $0)] } ?? []
    }

    /// The next answers to produce requests.
    func fail(produce errors: [rd_kafka_resp_err_t]) {
        rd_kafka_mock_push_request_errors_array(cluster, 0, errors.count, errors)
    }

    /// The next answers to requests that add partitions to transactions.
    func fail(transactions errors: [rd_kafka_resp_err_t]) {
        rd_kafka_mock_push_request_errors_array(cluster, 24, errors.count, errors)
    }

    /// Nobody can write to the partition, or somebody can again.
    func setLeader(of topic: String, partition: Int32, isThere: Bool) {
        rd_kafka_mock_partition_set_leader(cluster, topic, partition, isThere ? 1 : -1)
    }

    func addTopic(_ name: String) {
        #expect(rd_kafka_mock_topic_create(cluster, name, 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR)
    }

    func setDown() { rd_kafka_mock_broker_set_down(cluster, 1) }

    /// So many records from the beginning of the topic, those of a partition in order.
    func records(_ count: Int) throws -> [Record] {
        let consumer = try Self.make(
            RD_KAFKA_CONSUMER,
            ["bootstrap.servers": brokers.joined(separator: ","), "group.id": "test", "auto.offset.reset": "earliest"])
        defer { rd_kafka_destroy(consumer) }
        rd_kafka_poll_set_consumer(consumer)
        let list = rd_kafka_topic_partition_list_new(8)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, topic, -1)
        rd_kafka_subscribe(consumer, list)
        var records: [Record] = []
        let deadline = Date().addingTimeInterval(60)
        while records.count < count, Date() < deadline {
            guard let message = rd_kafka_consumer_poll(consumer, 200) else { continue }
            defer { rd_kafka_message_destroy(message) }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
            records.append(
                Record(
                    key: text(message.pointee.key, message.pointee.key_len),
                    value: text(message.pointee.payload, message.pointee.len), partition: message.pointee.partition,
                    headers: headers(of: message)))
        }
        rd_kafka_consumer_close(consumer)
        return records.sorted { $0.partition < $1.partition }
    }

    private func text(_ start: UnsafeMutableRawPointer?, _ length: Int) -> String? {
        start.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: length), as: UTF8.self) }
    }

    private func headers(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> [String: String] {
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR else { return [:] }
        var found: [String: String] = [:]
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR, let name {
            found[String(cString: name)] = value.map {
                String(decoding: UnsafeRawBufferPointer(start: $0, count: size), as: UTF8.self)
            }
            index += 1
        }
        return found
    }

    private static func make(_ type: rd_kafka_type_t, _ options: [String: String]) throws -> OpaquePointer {
        let configuration = rd_kafka_conf_new()
        var text = [CChar](repeating: 0, count: 512)
        for (name, value) in options { rd_kafka_conf_set(configuration, name, value, &text, text.count) }
        return try #require(rd_kafka_new(type, configuration, &text, text.count))
    }
}
