import ClusterRuntime
import MessagePack

/// Encoded messages on their way to one peer, gathered into bodies of about `batchBytes`. Sender thread only.
///
/// A body is closed when the next message would take it over the limit, so a message larger than the limit travels in a
/// body of its own. The first body is what is sent next; it stays until the socket has taken it.
struct OutboxQueue {
    struct Body {
        /// Encoded messages, one after the other.
        var messages: [UInt8]
        var count: Int
    }

    private let batchBytes: Int
    private let maximumBody: Int
    private var bodies: [Body] = []
    private var head = 0
    /// The first body was handed out, perhaps sealed already: nothing is added to it.
    private var firstIsClosed = false
    private(set) var bytes = 0

    init(batchBytes: Int, maximumBody: Int) {
        self.batchBytes = batchBytes
        self.maximumBody = maximumBody
    }

    var isEmpty: Bool { head == bodies.count }

    var messageCount: Int { bodies[head...].reduce(0) { $0 + $1.count } }

    /// - Returns: false when the message is larger than a frame may be.
    mutating func append(_ message: Message, scratch: inout MessagePackWriter) -> Bool {
        scratch.removeAll()
        message.encode(into: &scratch)
        let size = scratch.count
        guard size <= maximumBody else { return false }
        let open = bodies.count - head > (firstIsClosed ? 1 : 0)
        if open, bodies[bodies.count - 1].messages.count + size <= batchBytes {
            bodies[bodies.count - 1].count += 1
        } else {
            bodies.append(Body(messages: [], count: 1))
        }
        let last = bodies.count - 1
        scratch.withUnsafeBytes { bodies[last].messages += $0 }
        bytes += size
        return true
    }

    /// The body to be sent next, as it travels: a MessagePack array of the messages. It is closed by this: what comes
    /// later goes into the next one.
    mutating func first() -> [UInt8] {
        firstIsClosed = true
        var writer = MessagePackWriter(reserving: 8)
        writer.array(bodies[head].count)
        return writer.finish() + bodies[head].messages
    }

    /// - Returns: how many messages it held.
    mutating func removeFirst() -> Int {
        let body = bodies[head]
        bytes -= body.messages.count
        head += 1
        firstIsClosed = false
        if head == bodies.count {
            bodies.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 64 {
            bodies.removeFirst(head)
            head = 0
        }
        return body.count
    }

    mutating func removeAll() {
        bodies.removeAll()
        head = 0
        firstIsClosed = false
        bytes = 0
    }
}
