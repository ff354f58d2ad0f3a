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

        enum CodingKeys: String, CodingKey {
            case name, delivered, published, waiting
            case lagMilliseconds = "lag_ms"
            case isBeingRestated = "restating"
        }

        public init(
            name: String, delivered: String, published: String, waiting: UInt64, lagMilliseconds: Int64,
            isBeingRestated: Bool
        ) {
            self.name = name
            self.delivered = delivered
            self.published = published
            self.waiting = waiting
            self.lagMilliseconds = lagMilliseconds
            self.isBeingRestated = isBeingRestated
        }
    }

    enum CodingKeys: String, CodingKey {
        case name, kind, state, delivered, failures, dropped, abandoned, uncovered, rejected, resyncs, domains
        case awaySeconds = "away_s"
        case lastError = "last_error"
        case lastErrorAt = "last_error_at"
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

    /// How long a destination may take nothing before its node says that it is not well.
    private static let patienceSeconds = 10.0

    /// What is wrong, for the node's health.
    public var problems: [String] {
        var problems: [String] = []
        let why = lastError.map { ": \($0)" } ?? ""
        switch state {
        case .up: break
        case .away:
            if awaySeconds >= Self.patienceSeconds {
                problems.append("destination \(name) has taken nothing for \(Int(awaySeconds)) s\(why)")
            }
        case .gone: problems.append("destination \(name) wants nothing any more\(why)")
        }
        if rejected > 0 { problems.append("destination \(name) never took \(rejected) events\(why)") }
        return problems
    }
}
