public import ClusterRuntime

/// What a domain allows, and what its owner does when it is cut off. From the topology.
public struct DomainPolicy: Sendable, Hashable {
    /// Times to live granted, in milliseconds; shorter ones asked for are refused, longer ones cut.
    public var minimumTTL: UInt32
    public var maximumTTL: UInt32
    /// Contacts in all, and per account.
    public var maximumContacts: UInt32
    public var maximumDevices: UInt32
    /// Whether an owner without standby and without lease goes on acknowledging (`availability: accept`), at the price
    /// that another owner may do so as well.
    public var acceptsWithoutLease: Bool
    /// How long an in-sync standby may leave an entry unacknowledged before the router is asked to take it out.
    public var replicationTimeout: Duration
    /// Entries kept for those who resume.
    public var ringEntries: Int
    public var ringBytes: Int
    /// Entries that may wait for standbys before requests are refused as overload.
    public var maximumUncommitted: UInt64
    /// How much is on its way to a replica at a time.
    public var window: ReplicaFeed.Window
    /// The newest topology known to have the domain, by version; 0: a node's own file, or none.
    public var topology: UInt64
    /// The names of the destinations that are told of the domain's events.
    public var destinations: [String]

    public init(
        minimumTTL: UInt32 = 30_000, maximumTTL: UInt32 = 3_600_000, maximumContacts: UInt32 = 2_000_000,
        maximumDevices: UInt32 = 10, acceptsWithoutLease: Bool = false,
        replicationTimeout: Duration = .milliseconds(500), ringEntries: Int = 65_536,
        ringBytes: Int = 64 * 1_024 * 1_024, maximumUncommitted: UInt64 = 16_384,
        window: ReplicaFeed.Window = ReplicaFeed.Window(),
        topology: UInt64 = 0, destinations: [String] = []
    ) {
        self.minimumTTL = minimumTTL
        self.maximumTTL = maximumTTL
        self.maximumContacts = maximumContacts
        self.maximumDevices = maximumDevices
        self.acceptsWithoutLease = acceptsWithoutLease
        self.replicationTimeout = replicationTimeout
        self.ringEntries = ringEntries
        self.ringBytes = ringBytes
        self.maximumUncommitted = maximumUncommitted
        self.window = window
        self.topology = topology
        self.destinations = destinations
    }
}
