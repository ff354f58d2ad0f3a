public import MessagePack
public import RegistrarEvents

/// Something that is told of events: Kafka, a plugin, or code in this process. Whoever implements this gets from its
/// lane: per domain one batch at a time, in order; batches of different domains at the same time, up to `concurrency`.
///
/// At least once: a batch that failed comes again, and after a change of owners some events may come again as well, at
/// their old positions. What is of a lower position than was taken already can be passed over.
public protocol Destination: Sendable {
    /// How many domains' batches may be under way at the same time. At least 1.
    var concurrency: Int { get }
    /// How much a batch may hold.
    var batchLimits: BatchLimits { get }
    /// How long events of a domain gather between the beginnings of two batches, unless they fill one sooner. What
    /// comes after a pause goes out at once.
    var gathering: Duration { get }
    /// Delivers a batch and returns once it is safe at the destination; from then on nobody keeps it. May take as long
    /// as it must, but has to end by itself: nothing else of the domain is delivered meanwhile.
    /// - Throws: what went wrong, which decides what becomes of the batch.
    func deliver(_ batch: DestinationBatch) async throws(DestinationError)
    /// The domain's owner is elsewhere now: what is kept for the domain may go. No batch of it is under way, and should
    /// it come back, the next one waits until this has returned.
    func forget(_ domain: DomainName) async
    /// The node stops. Nothing is delivered afterwards.
    func close() async
}

extension Destination {
    public var concurrency: Int { 8 }
    public var batchLimits: BatchLimits { BatchLimits() }
    public var gathering: Duration { .milliseconds(10) }
    public func forget(_ domain: DomainName) async {}
    public func close() async {}
}

/// How much one batch may hold; whichever is reached first. A single event may be larger.
public struct BatchLimits: Sendable, Hashable {
    public var events: Int
    /// Of events as they are kept (`LogEntry.weight`), not as the destination writes them.
    public var bytes: Int

    public init(events: Int = 1_000, bytes: Int = 1 << 20) {
        self.events = events
        self.bytes = bytes
    }
}

/// Events of one domain, each after the one before; never empty.
public struct DestinationBatch: Sendable {
    public let domain: DomainName
    public let events: [DestinationEvent]

    public init(domain: DomainName, events: [DestinationEvent]) {
        precondition(!events.isEmpty, "a batch of \(domain) without events")
        self.domain = domain
        self.events = events
    }
}

/// One event and its position.
///
/// The events of a `clear` and replay that was made for this destination alone (reason `resync`) all carry the position
/// it was taken at; the next live event is the one after that. All others are the domain's log.
public struct DestinationEvent: Sendable, Hashable {
    public let epoch: UInt64
    /// Sequence number, time stamp and change.
    public let entry: LogEntry

    public init(epoch: UInt64, entry: LogEntry) {
        self.epoch = epoch
        self.entry = entry
    }

    public var position: Position { Position(epoch: epoch, seq: entry.seq) }

    /// Whether it restates what is live, after a `clear`.
    public var isReplay: Bool {
        if case .registered(_, _, replay: true) = entry.change { true } else { false }
    }

    /// `{"class":…,"type":…,"data":{…},"eventts":…,"domain":…,"epoch":…,"seq":…,"replay":true}`.
    /// - Parameter domain: the batch's.
    /// - Throws: when the contact's bytes are not what `PackedContact` makes.
    public func json(of domain: DomainName) throws(MessagePackError) -> [UInt8] {
        try EventJSON.envelope(of: entry, domain: domain, epoch: epoch)
    }
}

/// Why a batch was not delivered, and what becomes of it.
public struct DestinationError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The destination is not there, for no domain: the batch comes again, after growing pauses, and meanwhile one
        /// batch is tried at a time, of each domain in turn. A domain that goes on failing while others are delivered
        /// is taken to be `domainUnavailable`.
        case unavailable
        /// It does not take this domain at present (a topic is missing): the same, and other domains go on.
        case domainUnavailable
        /// It never takes so many events of the batch (too large), and has the others: those are passed over, counted
        /// and shown in the node's health.
        case rejected(events: Int)
        /// Another owner writes the domain already, or may do so. What waits is dropped, and after a pause this node's
        /// owner is asked to restate everything; if it is deposed by then it does not answer, and nothing more is sent.
        case fenced
        /// The domain's place there is another than that of its last batch (a topic, or its partitions), and lacks what
        /// came before. What waits is dropped, and this node's owner is asked to restate everything.
        case moved
        /// It wants nothing any more, of any domain, until somebody has it resumed or the node starts anew.
        case gone
    }

    public let kind: Kind
    /// For an operator: what was expected, and what came from where.
    public let description: String
    /// The batch comes again no sooner than after this. Those of other domains are tried by the ordinary pauses, until
    /// another domain's has failed as well: then they do not come before this either, unless one is delivered.
    public let pause: Duration

    public init(_ kind: Kind, _ description: String, pause: Duration = .zero) {
        self.kind = kind
        self.description = description
        self.pause = pause
    }
}
