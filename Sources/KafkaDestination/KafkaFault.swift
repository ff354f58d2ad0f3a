import CRdKafka
import Destinations

/// What librdkafka's error codes mean for a batch.
enum KafkaFault {
    static func text(_ code: rd_kafka_resp_err_t) -> String { String(cString: rd_kafka_err2str(code)) }

    /// Whether a record will never be taken, however often it is sent.
    static func isForGood(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
            RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR__BAD_MSG:
            true
        default: false
        }
    }

    /// Whether a record was refused for the size of all that was sent at once: brokers refuse that as a whole.
    static func isOfSize(_ code: rd_kafka_resp_err_t) -> Bool {
        code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
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
