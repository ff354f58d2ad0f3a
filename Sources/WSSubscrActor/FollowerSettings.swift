public import ClusterRuntime

/// The limits and periods of a follower.
public struct FollowerSettings: Sendable, Hashable {
    /// Recent events kept of a domain, so that subscribers can resume.
    public var ringEntries = Limits().ringEntries
    /// The same in bytes, encoded forms included; whichever is reached first.
    public var ringBytes = Limits().ringBytes
    /// Bytes of events handed to a socket in one go, before anyone else gets a turn.
    public var sliceBytes = 64 << 10
    /// Events looked at for one slice.
    public var sliceEvents = 4_096
    /// Filters, each with the types, members and changes asked for beside it, by which events are looked at for all
    /// accounts of the domain: each takes its time at each event.
    public var filters = 1_000
    /// Subscriptions that may wait for a domain's list.
    public var waitingSubscriptions = 20_000
    /// How long a subscription waits for it.
    public var waitingTime = Periods().requestDeadline
    /// How long a snapshot of the whole list serves later subscribers too; longer while several are still being sent.
    public var snapshotSharing: Duration = .seconds(1)
    /// Messages from owners that may wait for the follower; over it they are dropped, and the owner sends again.
    public var mailboxMessages = 4_096

    public init() {}

    public init(limits: Limits, periods: Periods) {
        ringEntries = limits.ringEntries
        ringBytes = limits.ringBytes
        waitingSubscriptions = max(limits.connectionsPerNode, 1)
        waitingTime = periods.requestDeadline
    }
}

/// How far a follower is, for `verify`, health and metrics.
public struct FollowerReport: Sendable, Hashable {
    public let copy: CopyReport
    /// Subscriptions held, and those of them that wait for the list.
    public let subscriptions: Int
    public let waiting: Int
    /// Recent events kept.
    public let recentEvents: Int
}
