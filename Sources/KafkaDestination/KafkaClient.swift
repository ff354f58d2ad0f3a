import ClusterRuntime
import CRdKafka
import Dispatch
import Foundation
import Logging
import Synchronization

/// One librdkafka producer, and the thread that serves its delivery reports.
///
/// librdkafka's handles may be used by any thread; the pointer is set once and lives as long as this does, which is why
/// the class may be shared although the compiler cannot see it.
final class KafkaClient: @unchecked Sendable {
    let pointer: OpaquePointer
    /// What librdkafka said last about brokers that cannot be reached or will not have us.
    private let complaint: Complaint
    private let isStopping = Atomic<Bool>(false)
    private let isOver = DispatchSemaphore(value: 0)

    /// - Throws: when librdkafka does not accept an option.
    init(options: [(name: String, value: String)], log: Logger) throws(KafkaFailure) {
        guard let configuration = rd_kafka_conf_new() else { throw KafkaFailure("no memory for a Kafka producer") }
        var text = [CChar](repeating: 0, count: 512)
        for option in options {
            guard rd_kafka_conf_set(configuration, option.name, option.value, &text, text.count) == RD_KAFKA_CONF_OK
            else {
                rd_kafka_conf_destroy(configuration)
                throw KafkaFailure("librdkafka does not take \(option.name): \(Self.string(text))")
            }
        }
        rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
            guard let message else { return }
            if let ticket = message.pointee._private {
                DeliveryTicket.of(ticket).report(message.pointee.err)
            } else if let opaque, let refusal = KafkaFault.refusal(message.pointee.err) {
                Unmanaged<Complaint>.fromOpaque(opaque).takeUnretainedValue().refusal.withLock { $0 = refusal }
            }
        }
        // What goes wrong comes with the delivery reports; its own lines would go to stderr unformatted.
        rd_kafka_conf_set_log_cb(configuration) { _, _, _, _ in }
        let complaint = Complaint()
        rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(complaint).toOpaque())
        rd_kafka_conf_set_error_cb(configuration) { _, code, reason, opaque in
            guard let reason, let opaque else { return }
            Unmanaged<Complaint>.fromOpaque(opaque).takeUnretainedValue().text.withLock { text in
                // That all are away follows from what was said of each, which says why.
                if text == nil || code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue {
                    text = String(cString: reason)
                }
            }
        }
        guard let client = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, &text, text.count) else {
            rd_kafka_conf_destroy(configuration)
            throw KafkaFailure("no Kafka producer: \(Self.string(text))")
        }
        pointer = client
        self.complaint = complaint
        let thread = Thread { [self] in serve() }
        thread.name = "kafka reports"
        thread.start()
    }

    private func serve() {
        while !isStopping.load(ordering: .acquiring) { rd_kafka_poll(pointer, 100) }
        rd_kafka_purge(pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        rd_kafka_flush(pointer, 1_000)
        rd_kafka_destroy(pointer)
        isOver.signal()
    }

    /// Ends the producer. What is under way is reported as failed. Returns when its thread is at its end; to be called
    /// once, and nothing may be produced any more.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        isOver.wait()
    }

    /// What librdkafka last complained of; nil when of nothing.
    var lastComplaint: String? { complaint.text.withLock { $0 } }

    /// Why records without a ticket were refused as a whole, since this was last asked.
    func takeRefusal() -> KafkaFault.Refusal? {
        complaint.refusal.withLock { refusal in
            defer { refusal = nil }
            return refusal
        }
    }

    /// Why the producer is of no use any more; nil while it is.
    var fatalError: String? {
        var text = [CChar](repeating: 0, count: 512)
        guard rd_kafka_fatal_error(pointer, &text, text.count) != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return Self.string(text)
    }

    static func string(_ text: [CChar]) -> String {
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Where librdkafka's callbacks leave what is wrong; lives as long as the client.
private final class Complaint: Sendable {
    let text = Mutex<String?>(nil)
    let refusal = Mutex<KafkaFault.Refusal?>(nil)
}

/// Counts the delivery reports of one batch. Reported to from librdkafka's side, waited for once.
///
/// It is kept alive by itself from `begin` until the last report, since librdkafka carries it as a bare pointer.
final class DeliveryTicket: Sendable {
    /// What came of a batch's records.
    struct Outcome: Sendable {
        /// The first error of a record that is worth another try.
        var failure: rd_kafka_resp_err_t?
        /// Records that are never taken, and why.
        var rejected = 0
        var rejection: rd_kafka_resp_err_t?
        /// Why some of them were refused with all that was sent beside them.
        var refusal: KafkaFault.Refusal?
    }

    private struct State {
        var outstanding: Int
        var outcome = Outcome()
        var waiter: CheckedContinuation<Outcome, Never>?
    }

    private let state: Mutex<State>

    /// - Parameter records: how many reports there will be at most; those not produced are `withdraw`n.
    init(records: Int) { state = Mutex(State(outstanding: records)) }

    /// The pointer for librdkafka. To be called once.
    func begin() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self).toOpaque() }

    static func of(_ opaque: UnsafeMutableRawPointer) -> DeliveryTicket {
        Unmanaged<DeliveryTicket>.fromOpaque(opaque).takeUnretainedValue()
    }

    func report(_ error: rd_kafka_resp_err_t) {
        settle(1) { outcome in
            guard error != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
            if KafkaFault.isForGood(error) {
                outcome.rejected += 1
                outcome.rejection = error
                outcome.refusal = outcome.refusal ?? KafkaFault.refusal(error)
            } else {
                outcome.failure = outcome.failure ?? error
            }
        }
    }

    /// So many records could not even be queued.
    func withdraw(_ records: Int, _ error: rd_kafka_resp_err_t) {
        settle(records) { $0.failure = $0.failure ?? error }
    }

    /// So many records cannot be written at all.
    func reject(_ records: Int, _ error: rd_kafka_resp_err_t) {
        settle(records) { outcome in
            outcome.rejected += records
            outcome.rejection = error
        }
    }

    private func settle(_ records: Int, _ note: (inout Outcome) -> Void) {
        guard records > 0 else { return }
        let waiter: (CheckedContinuation<Outcome, Never>, Outcome)? = state.withLock { state in
            note(&state.outcome)
            state.outstanding -= records
            guard state.outstanding == 0 else { return nil }
            defer { state.waiter = nil }
            return state.waiter.map { ($0, state.outcome) }
        }
        if let (continuation, outcome) = waiter { end(continuation, outcome) }
    }

    /// Whether all reports have come.
    var isSettled: Bool { state.withLock { $0.outstanding == 0 } }

    /// Waits for the last report. To be called once.
    func outcome() async -> Outcome {
        await withCheckedContinuation { continuation in
            let outcome: Outcome? = state.withLock { state in
                guard state.outstanding > 0 else { return state.outcome }
                state.waiter = continuation
                return nil
            }
            if let outcome { end(continuation, outcome) }
        }
    }

    private func end(_ continuation: CheckedContinuation<Outcome, Never>, _ outcome: Outcome) {
        Unmanaged.passUnretained(self).release()
        continuation.resume(returning: outcome)
    }
}
