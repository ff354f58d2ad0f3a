import ClusterRuntime
import NIOCore
import WebSocketFrames

/// What leaves by a socket, and how much of it may wait.
extension SocketHandler {
    /// Whether so many bytes more are within the budget. What is larger than that alone may go when nothing waits.
    func hasRoom(for bytes: Int) -> Bool {
        let budget = environment.settings.limits.websocketBudgetBytes
        guard outstanding + bytes > budget else { return true }
        // A client of whom that cannot be told counts as slow.
        outstanding = writer?.waitingBytes ?? outstanding
        return outstanding == 0 || outstanding + bytes <= budget
    }

    /// Replies are never compressed: they are short, and some hold what is secret.
    func reply(_ json: [UInt8]) {
        guard closingUntil == nil, answer(Frames.text(json)) else { return }
        environment.counters.repliesSent.count()
    }

    func echo(_ kind: MessageKind, _ message: ByteBuffer) {
        environment.counters.messagesReceived.count()
        let deflater = terms.deflate.map { lane.deflater($0) }
        answer(Frames.message(kind, Array(message.readableBytesView), deflater))
    }

    /// Sends what the client asked for; one that asks and does not read has to go.
    /// - Returns: whether it was sent.
    @discardableResult
    func answer(_ frame: ByteBuffer) -> Bool {
        guard hasRoom(for: frame.readableBytes) else {
            environment.counters.protocolErrors.count()
            close(.policyViolation, "replies are not being read")
            return false
        }
        write(frame)
        return true
    }

    func write(_ bytes: ByteBuffer) {
        closeExpressWay()
        outstanding += bytes.readableBytes
        writer?.write(bytes)
    }

    /// Says goodbye; the channel closes with the client's answer or after `closeTime`.
    func close(_ code: CloseCode, _ reason: String) {
        guard context != nil, closingUntil == nil else { return }
        closingUntil = SystemClock.monotonic() + environment.settings.closeTime
        write(Frames.close(code.rawValue, reason))
        writer?.flush()
    }

    /// Says goodbye to a client that broke the rules: nothing more is read or sent, and the channel closes with the
    /// client's end or after `closeTime` (RFC 6455 section 7.1.7).
    func fail(_ code: CloseCode, _ reason: String) {
        guard context != nil else { return }
        environment.counters.protocolErrors.count()
        closingUntil = SystemClock.monotonic() + environment.settings.closeTime
        closeExpressWay()
        writer?.end(with: Frames.close(code.rawValue, reason))
    }
}
