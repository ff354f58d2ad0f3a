import ClusterRuntime

/// Decides, from what is sent to a peer and heard of it, whether the connection to it still leads there.
///
/// When a machine loses its power, or a link is cut, nobody ends the connections over it. TCP finds out by its own
/// retransmissions, which come to be two minutes apart; until then everything goes into a connection that leads
/// nowhere, although the peer is back. So a peer that is sent to and says nothing is asked for a sign, by a hello that
/// wants an answer, and when none comes the connection is made anew. Answers take the peer's own connection, so a peer
/// that asks again and again does not get ours: then, too, the connection is made anew.
///
/// A pure value. What it does not know: which of the two connections leads nowhere. What was on its way in one that was
/// sound after all is lost, as with any that breaks.
struct PeerSilence {
    enum Action {
        case wait
        /// Send a hello that wants an answer.
        case ask
        case connectAnew
    }

    /// Counts of what has come from the peer; they only grow.
    struct Signs: Equatable {
        /// Frames.
        var heard: UInt64
        /// Hellos that wanted an answer in spite of those it has had.
        var asked: UInt64
    }

    /// How long a peer that is sent to may be silent until it is asked, and from then on between two questions.
    static let quiet: Duration = .seconds(2)
    static let questions: Duration = .milliseconds(500)
    /// How long it may be silent until the connection is made anew, and from then on between two connections.
    static let patience: Duration = .milliseconds(3_500)
    static let connections: Duration = .seconds(1)
    /// Questions of the peer that follow on each other closer than this were not answered in its eyes: it asks again
    /// after `questions`, and after an answer not before `quiet`.
    static let repeated: Duration = .seconds(1)
    /// How long the peer may go on asking until the connection to it is made anew.
    static let unheard: Duration = .milliseconds(1_500)

    private var signs = Signs(heard: 0, asked: 0)
    /// When something was first to be sent since the peer was heard.
    private var since: MonotonicInstant?
    private var nextQuestion = MonotonicInstant.distantPast
    private var nextConnection = MonotonicInstant.distantPast
    /// Since when the peer asks again and again, and when it last did.
    private var asking: (since: MonotonicInstant, last: MonotonicInstant)?

    /// When to look again although nothing happens; nil: never.
    var due: MonotonicInstant? { since == nil ? nil : min(nextQuestion, nextConnection) }

    /// - Parameter isSending: whether there is anything for the peer now.
    mutating func look(_ signs: Signs, isSending: Bool, at now: MonotonicInstant) -> Action {
        let hasAsked = signs.asked != self.signs.asked
        if signs != self.signs { since = nil }
        self.signs = signs
        if isSending, since == nil {
            since = now
            nextQuestion = now + Self.quiet
            nextConnection = now + Self.patience
        }
        if hasAsked, isUnheard(at: now) { return .connectAnew }
        guard since != nil else { return .wait }
        if now >= nextConnection {
            nextConnection = now + Self.connections
            return .connectAnew
        }
        guard now >= nextQuestion else { return .wait }
        nextQuestion = now + Self.questions
        return .ask
    }

    /// The peer has asked once more.
    private mutating func isUnheard(at now: MonotonicInstant) -> Bool {
        guard let run = asking, now - run.last < Self.repeated else {
            asking = (now, now)
            return false
        }
        guard now - run.since >= Self.unheard else {
            asking?.last = now
            return false
        }
        asking = (now, now)
        return true
    }
}
