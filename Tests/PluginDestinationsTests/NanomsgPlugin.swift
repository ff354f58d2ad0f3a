import CNanomsg
import Foundation
import MessagePack
import RegistrarEvents
import Synchronization

/// A plugin on nanomsg's own sockets, on a thread of its own.
final class NanomsgPlugin: Sendable {
    struct Message: Sendable {
        let receipt: [UInt8]
        let domain: String
        let epoch: UInt64
        let seqs: [UInt64]
    }

    private let inbox: Int32
    private let outbox: Int32
    /// Whether the next messages get receipts.
    let givesReceipts: Mutex<Bool>
    /// The domain that gets none.
    let silentFor = Mutex<String?>(nil)
    /// How long it works on each message, in seconds.
    let work = Mutex(0.0)
    private let isOver = DispatchSemaphore(value: 0)
    private let received = Mutex<[Message]>([])

    /// - Returns: nil when nanomsg cannot listen there
    init?(port: Int, givesReceipts: Bool = true) {
        inbox = nn_socket(AF_SP, ROLLCALL_NN_PULL)
        outbox = nn_socket(AF_SP, ROLLCALL_NN_PUSH)
        self.givesReceipts = Mutex(givesReceipts)
        guard inbox >= 0, outbox >= 0, nn_bind(inbox, "tcp://127.0.0.1:\(port)") >= 0 else { return nil }
        Thread {
            self.serve()
            self.isOver.signal()
        }.start()
    }

    var messages: [Message] { received.withLock(\.self) }

    /// Waits until its thread has noticed: nanomsg gives the numbers of sockets to others at once.
    func close() {
        nn_close(inbox)
        nn_close(outbox)
        isOver.wait()
    }

    private func serve() {
        var connected: Set<String> = []
        var bytes = [UInt8](repeating: 0, count: 4 << 20)
        while true {
            let count = nn_recv(inbox, &bytes, bytes.count, 0)
            guard count >= 0 else { return }
            do {
                try take(Array(bytes[..<Int(count)]), &connected)
            } catch {
                // Seen by the test as a message that is missing.
                continue
            }
        }
    }

    private func take(_ bytes: [UInt8], _ connected: inout Set<String>) throws(MessagePackError) {
        let (address, message) = try MessagePack.decode(bytes) { value throws(MessagePackError) in
            let fields = try value.array()
            let entries = try fields.array(7)
            var seqs: [UInt64] = []
            for index in 0..<entries.count { seqs.append(try LogEntry(packed: entries.array(index)).seq) }
            return (
                try fields.string(3),
                Message(
                    receipt: try fields.binary(4), domain: try fields.string(5), epoch: try fields.unsigned(6),
                    seqs: seqs)
            )
        }
        received.withLock { $0.append(message) }
        Thread.sleep(forTimeInterval: work.withLock(\.self))
        guard givesReceipts.withLock(\.self), silentFor.withLock(\.self) != message.domain else { return }
        if connected.insert(address).inserted { nn_connect(outbox, address) }
        send(receipt: message.receipt)
    }

    func send(receipt: [UInt8]) {
        var writer = MessagePackWriter()
        writer.array(2)
        writer.unsigned(2)
        writer.binary(receipt)
        let bytes = writer.finish()
        nn_send(outbox, bytes, bytes.count, 0)
    }
}
