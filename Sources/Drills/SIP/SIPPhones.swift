import ClusterRuntime
import DequeModule
import NIOCore
import RegistrarEvents

/// The phones of a drill: what each sends, when it sends it again, and what it makes of the answers. It decides; the
/// generator beside it has the socket and the clock.
///
/// A phone has one REGISTER under way at most. It sends it again after T1, 2 T1, … up to T2, and gives up after 64 T1
/// (RFC 3261 section 17.1.2.2). A 401 is answered with credentials, a 503 with the same wish after `Retry-After`; any
/// other final answer ends the wish. Every request that ended is told as an `Operation`: a 200 names no position, so it
/// is told with its CSeq, by which the log's event is found.
struct SIPPhones {
    enum Action: Hashable {
        case send(ByteBuffer)
        case record(Operation)
        /// The phone has what it wanted, or has given up.
        case finished(ContactNumber)
    }

    private struct Phone {
        var cseq: UInt32 = 0
        var wish: Wish?
    }

    /// What a phone is about, and its request under way; `request` is nil while it waits to try again.
    private struct Wish {
        var ttl: Int
        var begun: MonotonicInstant
        var challenges = 0
        /// What the request's credentials were made for.
        var answered: SIPChallenge?
        var request: ByteBuffer?
        var sent: MonotonicInstant
    }

    /// An entry of the lists of those that wait, void when the phone has gone on to another CSeq.
    private struct Waiting {
        var contact: ContactNumber
        var cseq: UInt32
        var due: MonotonicInstant
    }

    private let script: SIPScript
    private var phones: [Phone]
    private var challenge: SIPChallenge?
    private var nonceCount: UInt32 = 0
    /// By how often the request was sent. Those of one list wait equally long, so each is in the order of its times.
    private var unanswered: [Deque<Waiting>]
    private var paused: [Waiting] = []
    private(set) var counts = SIPCounts()

    static let t1: Duration = .milliseconds(500)
    static let t2: Duration = .seconds(4)
    static let timeout: Duration = t1 * 64
    /// Waits until 64 T1 are over: 0.5 + 1 + 2 + 4 × 7 = 31.5 s, then the last half second.
    private static let waits: [Duration] =
        [t1, t1 * 2, t1 * 4] + Array(repeating: t2, count: 7) + [t1]
    static let maximumChallenges = 2
    static let maximumRetryAfter = 60

    init(script: SIPScript, contacts: Int) {
        self.script = script
        phones = Array(repeating: Phone(), count: contacts)
        unanswered = Array(repeating: [], count: Self.waits.count)
    }

    /// A phone registers, refreshes, or with a ttl of 0 unregisters. It must be idle.
    mutating func start(_ contact: ContactNumber, ttl: Int, at now: MonotonicInstant) -> [Action] {
        precondition(phones[contact].wish == nil, "phone \(contact) has a request under way")
        phones[contact].wish = Wish(ttl: ttl, begun: now, sent: now)
        return [request(contact, at: now)]
    }

    /// A datagram came.
    mutating func take(_ datagram: ByteBuffer, at now: MonotonicInstant) -> [Action] {
        guard let answer = SIPAnswer(datagram), let contact = script.contact(ofCallID: answer.callID),
            phones.indices.contains(contact), phones[contact].cseq == answer.cseq, let wish = phones[contact].wish,
            wish.request != nil, answer.status >= 200
        else { return [] }  // Not ours, not final, or once more what was answered already.
        counts.note(answer: answer.status)
        switch answer.status {
        case 200:
            let granted = answer.granted(to: script.uri(of: contact)) ?? wish.ttl
            return end(contact, wish, .accepted(cseq: answer.cseq), ttl: granted, at: now)
        case 401: return challenged(contact, wish, answer, at: now)
        case 503:
            guard let seconds = answer.retryAfter, now - wish.begun < Self.timeout else { break }
            paused.append(
                Waiting(
                    contact: contact, cseq: answer.cseq, due: now + .seconds(min(seconds, Self.maximumRetryAfter))))
            phones[contact].wish?.request = nil
            return [.record(operation(contact, wish, .unknown("503"), at: now))]
        default: break
        }
        if answer.status != 423 {
            let advice = answer.retryAfter == nil ? " without Retry-After" : ""
            counts.note(error: "phone \(contact) was answered \(answer.status)\(answer.status == 503 ? advice : "")")
        }
        // A server's own failure leaves open how far the request got.
        let text = "SIP \(answer.status)"
        return end(contact, wish, answer.status >= 500 ? .unknown(text) : .refused(text), at: now)
    }

    /// Time has passed.
    mutating func tick(at now: MonotonicInstant) -> [Action] {
        var actions: [Action] = []
        let due = paused.filter { $0.due <= now }
        paused.removeAll { $0.due <= now }
        for waiting in due { actions.append(request(waiting.contact, at: now)) }
        for level in unanswered.indices {
            while let waiting = unanswered[level].first, waiting.due <= now {
                unanswered[level].removeFirst()
                let phone = phones[waiting.contact]
                guard phone.cseq == waiting.cseq, let wish = phone.wish, let request = wish.request else { continue }
                guard level + 1 < unanswered.count else {
                    counts.unanswered += 1
                    counts.note(error: "phone \(waiting.contact) was not answered")
                    actions += end(waiting.contact, wish, .unknown("no answer"), at: now)
                    continue
                }
                counts.retransmitted += 1
                wait(waiting.contact, level + 1, at: now)
                actions.append(.send(request))
            }
        }
        return actions
    }

    private mutating func challenged(
        _ contact: ContactNumber, _ wish: Wish, _ answer: SIPAnswer, at now: MonotonicInstant
    ) -> [Action] {
        guard script.password != nil, wish.challenges < Self.maximumChallenges, let offer = answer.challenges.first
        else {
            counts.note(error: "phone \(contact) was refused with 401")
            return end(contact, wish, .refused("SIP 401"), at: now)
        }
        // Many are challenged at once: the first one's nonce does for those that have not tried it yet.
        if wish.answered == challenge, offer != challenge {
            challenge = offer
            nonceCount = 0
        }
        phones[contact].wish?.challenges += 1
        return [request(contact, at: now)]
    }

    private mutating func request(_ contact: ContactNumber, at now: MonotonicInstant) -> Action {
        phones[contact].cseq += 1
        nonceCount += challenge == nil ? 0 : 1
        let request = script.register(
            contact, cseq: phones[contact].cseq, ttl: phones[contact].wish?.ttl ?? 0, challenge: challenge,
            count: nonceCount)
        phones[contact].wish?.request = request
        phones[contact].wish?.answered = challenge
        phones[contact].wish?.sent = now
        wait(contact, 0, at: now)
        return .send(request)
    }

    private mutating func wait(_ contact: ContactNumber, _ level: Int, at now: MonotonicInstant) {
        unanswered[level].append(
            Waiting(contact: contact, cseq: phones[contact].cseq, due: now + Self.waits[level]))
    }

    private mutating func end(
        _ contact: ContactNumber, _ wish: Wish, _ outcome: Operation.Outcome, ttl: Int? = nil, at now: MonotonicInstant
    ) -> [Action] {
        phones[contact].wish = nil
        return [.record(operation(contact, wish, outcome, ttl: ttl, at: now)), .finished(contact)]
    }

    private func operation(
        _ contact: ContactNumber, _ wish: Wish, _ outcome: Operation.Outcome, ttl: Int? = nil, at now: MonotonicInstant
    ) -> Operation {
        Operation(
            contact: contact, kind: wish.ttl == 0 ? .unregister : .register(ttl: .seconds(ttl ?? wish.ttl)),
            sent: wish.sent, ended: now, outcome: outcome, cseq: wish.ttl == 0 ? nil : phones[contact].cseq)
    }
}
