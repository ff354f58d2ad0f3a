/// How a destination fares at one node: its part of the domains, since the node started.
public struct DestinationStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable {
        case up
        /// It takes nothing at present.
        case away
        /// It wants nothing any more.
        case gone
    }

    public var name: String
    /// `kafka`, `webhook`, `nanomsg`, or what a plugin in this process calls itself.
    public var kind: String
    public var state: State
    /// For how long it has taken nothing.
    public var awaySeconds: Double
    public var lastError: String?
    /// Milliseconds since 1970.
    public var lastErrorAt: Int64?
    /// Why it last has not taken events for good.
    public var lastRejection: String?
    /// What waits in memory and on disk.
    public var queuedEvents: UInt64
    public var queuedBytes: UInt64
    public var spooledEvents: UInt64
    public var spooledBytes: UInt64
    /// Counted since the node started, as the metrics of these names.
    public var delivered: UInt64
    public var failures: UInt64
    public var dropped: UInt64
    public var abandoned: UInt64
    public var uncovered: UInt64
    public var rejected: UInt64
    public var resyncs: UInt64
    /// Of how many domains it is told; nil where an older node says nothing of it.
    public var domainCount: UInt64?
    /// Those of them that it has not taken for `patience` though it takes others.
    public var refusedDomains: UInt64?
    /// By name.
    public var domains: [Domain]

    public struct Domain: Codable, Hashable, Sendable {
        public var name: String
        /// `EPOCH:SEQ`: everything up to here is safe at the destination.
        public var delivered: String
        /// `EPOCH:SEQ`: everything up to here has reached the lane.
        public var published: String
        /// Events that wait, and for how long the oldest has.
        public var waiting: UInt64
        public var lagMilliseconds: Int64
        /// Whether events are missing, so that everything live is to be restated.
        public var isBeingRestated: Bool
        /// Why it is not taken at present, though others are.
        public var refusal: String?

        enum CodingKeys: String, CodingKey {
            case name, delivered, published, waiting, refusal
            case lagMilliseconds = "lag_ms"
            case isBeingRestated = "restating"
        }

        public init(
            name: String, delivered: String, published: String, waiting: UInt64, lagMilliseconds: Int64,
            isBeingRestated: Bool, refusal: String? = nil
        ) {
            self.name = name
            self.delivered = delivered
            self.published = published
            self.waiting = waiting
            self.lagMilliseconds = lagMilliseconds
            self.isBeingRestated = isBeingRestated
            self.refusal = refusal
        }
    }

    enum CodingKeys: String, CodingKey {
        case name, kind, state, delivered, failures, dropped, abandoned, uncovered, rejected, resyncs, domains
        case awaySeconds = "away_s"
        case lastError = "last_error"
        case lastErrorAt = "last_error_at"
        case lastRejection = "last_rejection"
        case domainCount = "domain_count"
        case refusedDomains = "refused_domains"
        case queuedEvents = "queued_events"
        case queuedBytes = "queued_bytes"
        case spooledEvents = "spooled_events"
        case spooledBytes = "spooled_bytes"
    }

    public init(name: String, kind: String, state: State) {
        self.name = name
        self.kind = kind
        self.state = state
        awaySeconds = 0
        queuedEvents = 0
        queuedBytes = 0
        spooledEvents = 0
        spooledBytes = 0
        delivered = 0
        failures = 0
        dropped = 0
        abandoned = 0
        uncovered = 0
        rejected = 0
        resyncs = 0
        domains = []
    }

    /// How long a destination may take nothing, or nothing of a domain, before its node says that it is not well.
    public static let patience = Duration.seconds(10)

    /// Whether it takes all that it is told of.
    public var isWell: Bool { state == .up && rejected == 0 && refusedDomains ?? 0 == 0 }

    /// What is wrong, for the node's health. Why is not among it: that may name topics, and with them domains, and
    /// whoever asks for the health shows no token.
    public var problems: [String] {
        var problems: [String] = []
        switch state {
        case .up:
            // One tenant's missing topic is no matter of the node's.
            if let domainCount, let refusedDomains, refusedDomains > domainCount / 2 {
                problems.append("destination \(name) does not take \(refusedDomains) of \(domainCount) domains")
            }
        case .away:
            if awaySeconds >= Double(Self.patience.milliseconds) / 1_000 {
                problems.append("destination \(name) has taken nothing for \(Int(awaySeconds)) s")
            }
        case .gone: problems.append("destination \(name) wants nothing any more")
        }
        if rejected > 0 {
            problems.append("destination \(name) never took \(rejected) events")
        }
        return problems
    }
}
