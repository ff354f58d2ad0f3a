public import ClusterRuntime

/// The limits of a node's admin address.
public struct AdminLimits: Hashable, Sendable {
    /// Connections at a time, and so requests at a time; more wait in the kernel until one ends.
    public var connections = 256
    /// Largest body of a request, in bytes.
    public var bodyBytes = 64 << 10
    /// Largest head of a request, in bytes.
    public var headBytes = 16 << 10
    /// A connection on which nothing comes in for this long is closed.
    public var idle: Duration = .seconds(60)
    /// A connection is closed when its client has taken too little of an answer for this long for more to be written.
    public var stalled: Duration = .seconds(8)
    /// How long a request may wait for the owner of its domain. The cluster's own limit: nodes ignore what is under way
    /// for longer than a part of that, so nothing takes effect after the client was told that it failed.
    public var deadline: Duration
    /// Lists of states being made at a time; each may hold the names of all accounts that are online.
    public var stateLists = 4
    /// Where what else is known of a domain is answered at once, how long its position may be waited for.
    public var positionDeadline: Duration = .seconds(1)

    public init(_ periods: Periods = Periods()) { deadline = periods.requestDeadline }
}
