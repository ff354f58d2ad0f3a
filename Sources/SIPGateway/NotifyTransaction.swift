import ClusterRuntime

/// A NOTIFY under way: a client transaction other than INVITE.
///
/// Legal transitions: trying -> proceeding by a provisional response; it is over with a final one, or when `timePassed`
/// gives it up. Source: RFC 3261 section 17.1.2.
struct NotifyTransaction: Sendable {
    enum Action: Equatable {
        case wait
        case repeatRequest
        /// Nobody answers.
        case giveUp
    }

    static let t1 = Duration.milliseconds(500)
    static let t2 = Duration.seconds(4)
    /// Timer F: 64 times T1.
    static let patience = Duration.seconds(32)

    let cseq: UInt32
    let bytes: [UInt8]
    private let deadline: MonotonicInstant
    /// Timer E.
    private var interval = Self.t1
    /// When it is sent again; nil over what loses nothing.
    private var next: MonotonicInstant?

    init(cseq: UInt32, _ bytes: [UInt8], isReliable: Bool, at now: MonotonicInstant) {
        self.cseq = cseq
        self.bytes = bytes
        deadline = now + Self.patience
        next = isReliable ? nil : now + Self.t1
    }

    /// A provisional response: somebody is there, so it is repeated less often.
    mutating func proceeding() { interval = Self.t2 }

    mutating func timePassed(at now: MonotonicInstant) -> Action {
        guard now < deadline else { return .giveUp }
        guard let next, next <= now else { return .wait }
        interval = min(interval * 2, Self.t2)
        self.next = now + interval
        return .repeatRequest
    }
}

/// The Via branch of a NOTIFY, which tells whose it is: the dialog's local tag, which nobody else can know, and the
/// CSeq.
struct NotifyBranch: Equatable, Sendable {
    let tag: String
    let cseq: UInt32

    private static let prefix = "z9hG4bKreg."

    init(tag: String, cseq: UInt32) {
        self.tag = tag
        self.cseq = cseq
    }

    /// - Returns: nil when it is not one of ours.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let cseq = UInt32(parts[1]) else { return nil }
        self.init(tag: String(parts[0]), cseq: cseq)
    }

    var text: String { "\(Self.prefix)\(tag).\(cseq)" }
}
