import CRdKafka
import Destinations

/// What librdkafka's error codes mean for a batch.
enum KafkaFault {
    static func text(_ code: rd_kafka_resp_err_t) -> String { String(cString: rd_kafka_err2str(code)) }

    /// Whether a record will never be taken, however often it is sent.
    static func isForGood(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
            RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR__BAD_MSG,
            invalidOther:
            true
        default: false
        }
    }

    /// Of later versions of librdkafka, for a record that was refused since another beside it is invalid.
    private static let invalidOther = rd_kafka_resp_err_t(rawValue: -138)

    /// Why brokers refuse all that was sent to a partition at once, good records with the bad.
    enum Refusal: Sendable {
        /// It is too large together.
        case ofSize
        /// Some record in it is invalid, as for a broker that checks them by a schema.
        case ofRecord

        /// What is said of an event that was refused alone.
        var code: rd_kafka_resp_err_t {
            switch self {
            case .ofSize: RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
            case .ofRecord: RD_KAFKA_RESP_ERR_INVALID_RECORD
            }
        }
    }

    /// Whether a record was refused with all that was sent beside it.
    static func refusal(_ code: rd_kafka_resp_err_t) -> Refusal? {
        switch code {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: .ofSize
        case RD_KAFKA_RESP_ERR_INVALID_RECORD, invalidOther: .ofRecord
        default: nil
        }
    }

    /// Whether it concerns the topic, so that others go on.
    static func isOfTopic(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
            true
        default: false
        }
    }

    /// Whether no broker could be asked.
    static func isOfConnection(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: true
        default: false
        }
    }

    /// Whether the producer was given up with what it had.
    static func isPurge(_ code: rd_kafka_resp_err_t) -> Bool {
        code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT
    }

    /// Whether a later producer has taken the transactional id.
    static func isFence(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            true
        default: false
        }
    }

    static func error(_ code: rd_kafka_resp_err_t, _ topic: String) -> DestinationError {
        if isFence(code) { return DestinationError(.fenced, "\(topic): \(text(code))") }
        return DestinationError(isOfTopic(code) ? .domainUnavailable : .unavailable, "\(topic): \(text(code))")
    }
}
