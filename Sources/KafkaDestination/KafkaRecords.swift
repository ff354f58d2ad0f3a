import CRdKafka
import Destinations
import MessagePack
import RegistrarEvents

/// The records of a batch.
///
/// An event's partition follows from its domain and account, so that the events of an account stay in order. A `clear`
/// goes to every partition: each of them, read alone, is a whole stream of its accounts.
struct KafkaRecords {
    let batch: DestinationBatch
    let topic: KafkaTopics.Topic
    /// Keys name the contact as well, and the end of a contact is followed by a tombstone.
    let isCompacted: Bool

    /// How many records there will be.
    var count: Int { batch.events.reduce(0) { $0 + records(for: $1) } }

    private func records(for event: DestinationEvent) -> Int {
        switch event.entry.change {
        case .registered: 1
        case .unregistered: isCompacted ? 2 : 1
        case .clear: Int(topic.partitions)
        }
    }

    /// What came of queueing a batch.
    struct Queued {
        var records = 0
        /// Records of contacts that cannot be read: no node packs such.
        var unreadable = 0
        /// Why the rest was not queued.
        var error: rd_kafka_resp_err_t?
    }

    /// Queues all records; what librdkafka has no room for is not waited for.
    func produce(by client: KafkaClient, node: [CChar], opaque: UnsafeMutableRawPointer?) -> Queued {
        var queued = Queued()
        var json = JSONWriter(reserving: 1_024)
        var key = JSONWriter(reserving: 128)
        var seq = JSONWriter(reserving: 20)
        var epoch = JSONWriter(reserving: 20)
        var epochWritten: UInt64?
        for event in batch.events {
            if epochWritten != event.epoch {
                epoch.removeAll()
                epoch.unsigned(event.epoch)
                epochWritten = event.epoch
            }
            let accountLength: Int
            json.removeAll()
            do throws(MessagePackError) {
                try json.envelope(of: event.entry, domain: batch.domain, epoch: event.epoch)
                accountLength = try writeKey(of: event.entry.change, into: &key)
            } catch {
                queued.unreadable += records(for: event)
                continue
            }
            seq.removeAll()
            seq.unsigned(event.entry.seq)
            queued.error = put(
                event, value: json.bytes, key: key.bytes, accountLength: accountLength, seq: seq.bytes,
                epoch: epoch.bytes, client, node, opaque, &queued.records)
            if queued.error != nil { break }
        }
        return queued
    }

    private func put(
        _ event: DestinationEvent, value: [UInt8], key: [UInt8], accountLength: Int, seq: [UInt8], epoch: [UInt8],
        _ client: KafkaClient, _ node: [CChar], _ opaque: UnsafeMutableRawPointer?, _ queued: inout Int
    ) -> rd_kafka_resp_err_t? {
        let partitions: Range<Int32>
        if case .clear = event.entry.change {
            partitions = 0..<topic.partitions
        } else {
            let chosen = rd_kafka_msg_partitioner_consistent(
                topic.handle, key, accountLength, topic.partitions, nil, nil)
            partitions = chosen..<chosen + 1
        }
        var hasTombstone = false
        if isCompacted, case .unregistered = event.entry.change { hasTombstone = true }
        return epoch.withUnsafeBytes { epoch in
            node.withUnsafeBufferPointer { node in
                var common = rollcall_batch_t(
                    client: client.pointer, topic: topic.handle,
                    epoch: epoch.baseAddress?.assumingMemoryBound(to: CChar.self), epoch_size: epoch.count,
                    node: node.baseAddress, node_size: node.count, opaque: opaque)
                for partition in partitions {
                    let code = rollcall_produce(
                        &common, partition, event.entry.timestamp, key, key.count, value, value.count, seq, seq.count,
                        event.isReplay ? 1 : 0)
                    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return code }
                    queued += 1
                    guard hasTombstone else { continue }
                    let end = rollcall_produce(
                        &common, partition, event.entry.timestamp, key, key.count, nil, 0, seq, seq.count, 0)
                    guard end == RD_KAFKA_RESP_ERR_NO_ERROR else { return end }
                    queued += 1
                }
                return nil
            }
        }
    }

    /// `DOMAIN/KIND/ACCOUNT`, in a compacted topic `DOMAIN/KIND/ACCOUNT/CONTACT`; the domain alone for `clear`.
    /// - Returns: the length of the part that stands for the account.
    private func writeKey(
        of change: LogEntry.Change, into key: inout JSONWriter
    ) throws(MessagePackError) -> Int {
        key.removeAll()
        key.plain(batch.domain.rawValue)
        guard let contact = change.contact else { return key.bytes.count }
        key.raw("/")
        key.plain(contact.kind.name)
        key.raw("/")
        var accountLength = 0
        try contact.withKeyTexts { account, name in
            key.plain(account)
            accountLength = key.bytes.count
            guard isCompacted else { return }
            key.raw("/")
            key.plain(name)
        }
        return accountLength
    }
}
