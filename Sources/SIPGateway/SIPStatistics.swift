import Synchronization

/// What a SIP gateway has done since it started.
public struct SIPStatistics: Sendable, Hashable {
    /// Messages that could be read, by what they are.
    public var registers: UInt64 = 0
    public var otherRequests: UInt64 = 0
    public var responses: UInt64 = 0
    /// Messages that could not be read.
    public var malformed: UInt64 = 0
    /// Requests that had been taken in before.
    public var repetitions: UInt64 = 0
    /// Requests that came when the node was about to end, and were left to be repeated.
    public var leftToRepeat: UInt64 = 0
    public var challenges: UInt64 = 0
    public var wrongPasswords: UInt64 = 0
    /// Messages, keep-alives and new connections of networks that are banned, and messages that came too soon after a
    /// wrong password.
    public var banned: UInt64 = 0
    /// Datagrams that were not sent: too much waited to be sent already, the system would not send there, or they were
    /// larger than a datagram may be.
    public var unsent: UInt64 = 0
    /// Answers that list more contacts than a datagram holds: 513 was sent instead.
    public var tooLarge: UInt64 = 0
    /// Registrations granted: answers 200 to REGISTER.
    public var accepted: UInt64 = 0
    /// Answers from 400 on, challenges apart.
    public var refused: UInt64 = 0
    /// Answers 503.
    public var unavailable: UInt64 = 0
    /// Questions to devices whether they live, and contacts that were ended since theirs did not answer.
    public var probes: UInt64 = 0
    public var replaced: UInt64 = 0
    /// Connections open now, accepted, and turned away as too many.
    public var open: UInt64 = 0
    public var connections: UInt64 = 0
    public var turnedAway: UInt64 = 0
    /// SUBSCRIBE requests, NOTIFY requests, and how often one of those was sent again.
    public var subscribes: UInt64 = 0
    public var notifies: UInt64 = 0
    public var notifyRepetitions: UInt64 = 0
    /// Subscriptions now; those that ended with a last NOTIFY; and those whose watchers did not answer, refused one
    /// or closed their connection.
    public var watchers: UInt64 = 0
    public var watchersEnded: UInt64 = 0
    public var watchersLost: UInt64 = 0
}

/// The counters behind `SIPStatistics`; written from every event loop.
final class SIPCounters: Sendable {
    let registers = Atomic<UInt64>(0)
    let otherRequests = Atomic<UInt64>(0)
    let responses = Atomic<UInt64>(0)
    let malformed = Atomic<UInt64>(0)
    let repetitions = Atomic<UInt64>(0)
    let leftToRepeat = Atomic<UInt64>(0)
    let challenges = Atomic<UInt64>(0)
    let wrongPasswords = Atomic<UInt64>(0)
    let banned = Atomic<UInt64>(0)
    let unsent = Atomic<UInt64>(0)
    let tooLarge = Atomic<UInt64>(0)
    let accepted = Atomic<UInt64>(0)
    let refused = Atomic<UInt64>(0)
    let unavailable = Atomic<UInt64>(0)
    let probes = Atomic<UInt64>(0)
    let replaced = Atomic<UInt64>(0)
    let open = Atomic<UInt64>(0)
    let connections = Atomic<UInt64>(0)
    let turnedAway = Atomic<UInt64>(0)
    let subscribes = Atomic<UInt64>(0)
    let notifies = Atomic<UInt64>(0)
    let notifyRepetitions = Atomic<UInt64>(0)
    let watchers = Atomic<UInt64>(0)
    let watchersEnded = Atomic<UInt64>(0)
    let watchersLost = Atomic<UInt64>(0)

    var statistics: SIPStatistics {
        func read(_ counter: borrowing Atomic<UInt64>) -> UInt64 { counter.load(ordering: .relaxed) }
        return SIPStatistics(
            registers: read(registers), otherRequests: read(otherRequests), responses: read(responses),
            malformed: read(malformed), repetitions: read(repetitions), leftToRepeat: read(leftToRepeat),
            challenges: read(challenges), wrongPasswords: read(wrongPasswords), banned: read(banned),
            unsent: read(unsent), tooLarge: read(tooLarge), accepted: read(accepted),
            refused: read(refused), unavailable: read(unavailable), probes: read(probes), replaced: read(replaced),
            open: read(open), connections: read(connections), turnedAway: read(turnedAway),
            subscribes: read(subscribes), notifies: read(notifies), notifyRepetitions: read(notifyRepetitions),
            watchers: read(watchers), watchersEnded: read(watchersEnded), watchersLost: read(watchersLost))
    }
}

extension Atomic where Value == UInt64 {
    func count(_ times: Int = 1) { add(UInt64(times), ordering: .relaxed) }
}
