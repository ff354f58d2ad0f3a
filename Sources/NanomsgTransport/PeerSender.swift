import ClusterRuntime
import Glibc
import MessagePack
import Synchronization

/// Gets one peer what is meant for it: hellos when they are due, then data frames. Sender thread only.
struct PeerSender {
    let peer: NodeName
    let writable: Int32
    private let address: String
    private let socket: NanomsgSocket
    private let patience: Duration
    private let outboxBytes: Int
    private var endpoint: Int32
    private var queue: OutboxQueue
    /// The first body of the queue, sealed, when the socket would not take it yet.
    private var waiting: (frame: [UInt8], keyID: UInt32)?
    /// The socket would block: there is nothing to do before `writable` polls readable.
    private(set) var blocked = false
    /// Since when the first body could not be sent.
    private var stalledSince: MonotonicInstant?
    private var connectedAnew = MonotonicInstant.distantPast
    private var silence = PeerSilence()

    init(
        peer: NodeName, address: String, socket: NanomsgSocket, configuration: NanomsgTransport.Configuration
    ) throws(NanomsgSocket.Failure) {
        self.peer = peer
        self.address = address
        self.socket = socket
        patience = configuration.patience
        outboxBytes = configuration.outboxBytes
        queue = OutboxQueue(
            batchBytes: configuration.batchBytes, maximumBody: configuration.maximumFrame - Limits.frameOverhead)
        endpoint = try socket.connect(to: address)
        writable = try socket.writableDescriptor()
    }

    var backlog: Int { queue.bytes }

    /// - Parameter now: what requests are stamped with, so that the receiver can tell late ones.
    mutating func add(
        _ messages: [Message], at now: MonotonicInstant, scratch: inout MessagePackWriter, tally: inout SendTally
    ) {
        for (index, message) in messages.enumerated() {
            guard queue.bytes < outboxBytes else { return tally.drop(.outboxFull, count: messages.count - index) }
            if !queue.append(message.stamped(now), scratch: &scratch) { tally.drop(.messageTooLarge) }
        }
    }

    /// The peer said hello, so it listens. When our own connection waits for its next try, try now. When the peer has
    /// restarted, the connection leads to a process that is no more, even if nobody has said so: its machine may have
    /// lost its power.
    mutating func peerIsThere(
        hasRestarted: Bool, at now: MonotonicInstant
    ) throws(NanomsgSocket.Failure) {
        // What waits from now on waits for a peer that is about to be ready.
        stalledSince = nil
        let isMissing = socket.connections == 0 && now - connectedAnew >= SessionPeriods.firstRetry
        guard hasRestarted || isMissing else { return }
        try connectAnew(at: now)
    }

    private mutating func connectAnew(at now: MonotonicInstant) throws(NanomsgSocket.Failure) {
        connectedAnew = now
        socket.disconnect(endpoint)
        blocked = false
        endpoint = try socket.connect(to: address)
    }

    /// The peer is none any more.
    mutating func leave(_ tally: inout SendTally) {
        tally.drop(.unknownPeer, count: queue.messageCount)
        queue.removeAll()
        socket.close()
    }

    mutating func becameWritable() { blocked = false }

    /// Sends what can be sent.
    /// - Returns: when to come again without being woken; nil: never.
    mutating func flush(
        _ table: borrowing Mutex<SessionTable>, at now: MonotonicInstant, tally: inout SendTally
    ) -> MonotonicInstant? {
        let helloDue = lookAtSilence(table, at: now, tally: &tally)
        let next = sendAll(table, helloDue: helloDue, at: now, tally: &tally)
        guard let next, let lookAgain = silence.due else { return next ?? silence.due }
        return min(next, lookAgain)
    }

    /// - Returns: when the next hello is due.
    private mutating func lookAtSilence(
        _ table: borrowing Mutex<SessionTable>, at now: MonotonicInstant, tally: inout SendTally
    ) -> MonotonicInstant? {
        let (signs, helloDue) = table.withLock { $0.standing(with: peer) }
        let isSending = !queue.isEmpty || helloDue.map { $0 <= now } ?? false
        switch silence.look(signs, isSending: isSending, at: now) {
        case .wait: break
        case .ask:
            return table.withLock {
                $0.ask(peer)
                return $0.helloDue(to: peer)
            }
        case .connectAnew:
            do throws(NanomsgSocket.Failure) {
                try connectAnew(at: now)
            } catch {
                tally.failures.append("\(peer): \(error)")
            }
        }
        return helloDue
    }

    /// - Returns: when to come again without being woken; nil: never.
    private mutating func sendAll(
        _ table: borrowing Mutex<SessionTable>, helloDue: MonotonicInstant?, at now: MonotonicInstant,
        tally: inout SendTally
    ) -> MonotonicInstant? {
        var due = helloDue
        if let instant = due, instant <= now, !blocked { due = sendHello(table, at: now, tally: &tally) }
        while !queue.isEmpty, !blocked, let sealed = sealFirst(table) {
            waiting = nil
            switch socket.send(sealed.frame) {
            case .sent:
                tally.sent(bytes: sealed.frame.count, messages: queue.removeFirst())
                stalledSince = nil
            case .wouldBlock:
                blocked = true
                waiting = sealed
            case .failed(let failure):
                tally.failures.append("\(peer): \(failure)")
                tally.drop(.unreachable, count: queue.removeFirst())
            }
        }
        let deadline = giveUp(at: now, tally: &tally)
        // A hello that is due while the socket blocks goes out when the socket is writable again.
        guard let due, !blocked else { return deadline }
        return min(due, deadline ?? due)
    }

    /// - Returns: when the next hello is due.
    private mutating func sendHello(
        _ table: borrowing Mutex<SessionTable>, at now: MonotonicInstant, tally: inout SendTally
    ) -> MonotonicInstant? {
        let entropy = (0..<SessionCrypto.helloNonceLength).map { _ in UInt8.random(in: .min ... .max) }
        guard let frame = table.withLock({ $0.hello(to: peer, entropy: entropy, sentAt: now.nanoseconds) }) else {
            return nil
        }
        switch socket.send(frame) {
        case .sent: tally.hellos += 1
        case .wouldBlock:
            blocked = true
            return nil
        case .failed(let failure): tally.failures.append("\(peer): \(failure)")
        }
        return table.withLock {
            $0.helloSent(to: peer, at: now)
            return $0.helloDue(to: peer)
        }
    }

    /// - Returns: nil while there is no session.
    private mutating func sealFirst(_ table: borrowing Mutex<SessionTable>) -> (frame: [UInt8], keyID: UInt32)? {
        if let waiting, waiting.keyID == table.withLock({ $0.sendingKeyID(to: peer) }) { return waiting }
        guard let ticket = table.withLock({ $0.ticket(to: peer) }) else { return nil }
        return (ticket.seal(queue.first()), ticket.header.keyID)
    }

    /// Drops everything when nothing could be sent for too long, and from then on at once what comes: whoever wanted it
    /// has asked again or given up, and a peer that comes back must not be greeted with the past.
    /// - Returns: when that will be.
    private mutating func giveUp(at now: MonotonicInstant, tally: inout SendTally) -> MonotonicInstant? {
        guard !queue.isEmpty else { return nil }
        guard let since = stalledSince else {
            stalledSince = now
            return now + patience
        }
        guard now - since >= patience else { return since + patience }
        tally.drop(.unreachable, count: queue.messageCount)
        queue.removeAll()
        waiting = nil
        return nil
    }
}

extension Message {
    fileprivate func stamped(_ now: MonotonicInstant) -> Message {
        guard case .request(var request) = self else { return self }
        request.sentAt = now.nanoseconds
        return .request(request)
    }
}

/// What one turn of the sender thread did, to be added to the statistics at once.
struct SendTally {
    private(set) var frames = 0
    private(set) var bytes = 0
    private(set) var messages = 0
    var hellos = 0
    private(set) var drops: [(DropReason, Int)] = []
    var failures: [String] = []

    mutating func sent(bytes: Int, messages: Int) {
        frames += 1
        self.bytes += bytes
        self.messages += messages
    }

    mutating func drop(_ reason: DropReason, count: Int = 1) { drops.append((reason, count)) }
}
