public import ClusterRuntime

/// How a lane deals with its destination.
public struct LaneSettings: Sendable, Hashable {
    public var name: String
    /// `kafka`, `webhook`, `nanomsg` or another word for status and metrics.
    public var kind: String
    public var filter: DestinationFilter
    public var concurrency: Int
    public var batch: BatchLimits
    /// How long events of a domain gather between the beginnings of two batches, unless they fill one sooner: the
    /// busier the domain is, the more events share what a batch costs. After a pause an event goes out at once.
    public var gathering: Duration
    /// What waits in memory, of one domain and of all; beyond it events go to the spool.
    public var domainQueueBytes: Int
    public var queueBytes: Int
    /// What a domain that has nothing in memory reads from the spool when others have all of `queueBytes`, so that it
    /// goes on all the same.
    public var overdraftBytes: Int
    /// What waits on disk, of all domains; beyond it events are dropped, and `clear` and replay stand for them.
    public var spoolBytes: Int
    /// The pause after a failure: the first, and the longest. Each is spread by up to a half.
    public var firstPause: Duration
    public var longestPause: Duration

    public init(
        name: String, kind: String, filter: DestinationFilter = .everything, concurrency: Int = 8,
        batch: BatchLimits = BatchLimits(), gathering: Duration = .zero, domainQueueBytes: Int = 8 << 20,
        queueBytes: Int = 64 << 20, overdraftBytes: Int = 64 << 10, spoolBytes: Int = DestinationSpec.defaultSpoolBytes,
        firstPause: Duration = .milliseconds(100),
        longestPause: Duration = .seconds(5)
    ) {
        precondition(concurrency > 0 && batch.events > 0, "\(name) would never be sent anything")
        self.name = name
        self.kind = kind
        self.filter = filter
        self.concurrency = concurrency
        self.batch = batch
        self.gathering = gathering
        self.domainQueueBytes = domainQueueBytes
        self.queueBytes = queueBytes
        self.overdraftBytes = overdraftBytes
        self.spoolBytes = spoolBytes
        self.firstPause = firstPause
        self.longestPause = longestPause
    }
}
