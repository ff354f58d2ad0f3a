public import ClusterRuntime
import RegistrarEvents

/// What a SIP gateway is told by the topology.
public struct SIPSettings: Sendable {
    public var host: String
    public var listen: SIPListen
    /// Event loops, each with sockets of its own; 1 to 7, since three bits of a request's id name the loop.
    public var threads: Int
    public var limits: Limits
    public var periods: Periods
    /// The domains of the topology. Each event loop has its own copy, which is replaced when the topology changes.
    var domains: [DomainName: DomainSpec]
    public let gruus: TemporaryGRUUs

    /// Answers kept for repeated requests, in bytes, of each event loop.
    var transactionBytes = 32 << 20
    /// Largest datagram and largest message on a stream (RFC 3261 section 18.1.1).
    var messageBytes = 65_535
    /// How long a connection may be without a message in the beginning, and after that without one that is granted.
    var firstMessageTime = Duration.seconds(30)
    var firstGrantTime = Duration.seconds(180)
    /// Accounts at their limit of devices whose devices may be asked at the same time whether they live, at each event
    /// loop; further ones are refused.
    var maximumProbes = 64
    /// What is granted when neither Contact nor Expires says anything (RFC 3261 section 10.2).
    static let defaultExpires: UInt32 = 3_600
    /// Grants of at least so many seconds are made shorter by up to a tenth, so that phones that registered at once do
    /// not come back at once. Own decision.
    static let jitteredFrom: UInt32 = 300
    /// For how many seconds somebody may watch: when nothing is said (RFC 3680 section 4.4), at least, and at most (own
    /// decisions).
    static let defaultWatch: UInt32 = 3_761
    static let shortestWatch: UInt32 = 60
    static let longestWatch: UInt32 = 7_200
    /// Requests of one domain that may wait for its owner, at each event loop; more are told to come back.
    var waitingPerDomain: Int { limits.parkedRequests }

    public init(
        host: String, listen: SIPListen, threads: Int, limits: Limits, periods: Periods, domains: [DomainSpec],
        gruus: TemporaryGRUUs = TemporaryGRUUs(key: nil)
    ) {
        precondition((1...7).contains(threads), "a SIP gateway with \(threads) event loops; expected 1 to 7")
        self.host = host
        self.listen = listen
        self.threads = threads
        self.limits = limits
        self.periods = periods
        self.gruus = gruus
        self.domains = Dictionary(domains.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
}

extension DomainSpec {
    /// What `expires` may be, in seconds: the minimum rounded up, the maximum rounded down.
    var expiresRange: ClosedRange<UInt32> {
        let least = UInt32(clamping: (minimumExpires.milliseconds + 999) / 1_000)
        return least...max(least, UInt32(clamping: maximumExpires.milliseconds / 1_000))
    }
}
