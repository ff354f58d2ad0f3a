import ClusterRuntime
import DequeModule
import SIP

/// The requests that were taken in lately over an unreliable transport, so that a repeated one is answered as before
/// and not carried out again.
///
/// A transaction is *proceeding* until it is completed, and then kept for `keeping` (timer J of RFC 3261 section
/// 17.2.2). The table is bounded in answers' bytes: over it the oldest are forgotten sooner. A repetition that comes
/// even later is carried out once more, which for a REGISTER with the same CSeq changes nothing but the deadline.
struct TransactionTable {
    /// A keyed hash of what identifies the transaction: nobody outside can make two meet.
    struct Key: Hashable {
        let high: UInt64
        let low: UInt64
    }

    enum Admission {
        case new
        /// The answer to be sent again; nil when there is none yet.
        case repetition([UInt8]?)
    }

    private struct Completed {
        let key: Key
        let until: MonotonicInstant
        let size: Int
    }

    /// 64 times T1.
    static let keeping = Duration.seconds(32)
    /// What an entry takes beside its answer's bytes, in the table, the order and the heap.
    private static let overhead = 224

    private let maximumBytes: Int
    /// By key; nil while it proceeds.
    private var answers: [Key: [UInt8]?] = [:]
    /// The oldest first.
    private var completed: Deque<Completed> = []
    private(set) var bytes = 0

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    var count: Int { answers.count }

    /// A request came.
    mutating func begin(_ key: Key, at now: MonotonicInstant) -> Admission {
        forget(at: now)
        if let known = answers[key] { return .repetition(known) }
        answers[key] = .some(nil)
        return .new
    }

    /// Its answer goes out.
    mutating func complete(_ key: Key, _ answer: [UInt8], at now: MonotonicInstant) {
        guard answers.updateValue(answer, forKey: key) != nil else {
            preconditionFailure("an answer to a transaction that was never begun")
        }
        // Its room counts, not its length: that is what is kept.
        let size = answer.capacity + Self.overhead
        completed.append(Completed(key: key, until: now + Self.keeping, size: size))
        bytes += size
    }

    /// It is not worth remembering: the same again is treated as new.
    mutating func drop(_ key: Key) { answers[key] = nil }

    /// Forgets what is over time or over the bound.
    mutating func forget(at now: MonotonicInstant) {
        while let first = completed.first, first.until <= now || bytes > maximumBytes {
            completed.removeFirst()
            answers[first.key] = nil
            bytes -= first.size
        }
    }
}

extension TransactionTable.Key {
    /// A repetition comes from where the request came from: in a Via there may be an address of a home network, which
    /// is another phone's in the next home, and a branch may be another's too, be it by accident or by intent. Whose
    /// address is changed between the two by a translator has its request carried out once more.
    ///
    /// Source: RFC 3261 section 17.2.3; the second form is that for senders of RFC 2543.
    init(_ message: SIPMessage, _ essentials: SIPEssentials, from peer: SIPPeer) {
        var first = Hasher()
        first.combine(peer.transport)
        first.combine(peer.address)
        first.combine(peer.port)
        if essentials.via.hasUniqueBranch, let branch = essentials.via.branch {
            branch.hash(into: &first)
            essentials.via.sentByHost.hash(into: &first)
            first.combine(essentials.via.sentByPort)
            first.combine(essentials.cseq.method)
        } else {
            message.requestURI?.hash(into: &first)
            essentials.via.text.hash(into: &first)
            essentials.from.tag?.hash(into: &first)
            essentials.to.tag?.hash(into: &first)
            essentials.callID.hash(into: &first)
            first.combine(essentials.cseq.number)
            first.combine(essentials.cseq.method)
        }
        var second = first
        second.combine(UInt8(1))
        self.init(high: UInt64(bitPattern: Int64(first.finalize())), low: UInt64(bitPattern: Int64(second.finalize())))
    }
}
