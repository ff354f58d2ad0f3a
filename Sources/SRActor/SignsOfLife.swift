public import ClusterRuntime

/// When this node last heard of each other node that it was there and went by no newer assignments than this one.
///
/// Owners of quiet domains speak seldom. One heartbeat of their node vouches for all of them: for those that it owns by
/// the assignments up to its revision. One that knows of later assignments than this node may own the domain no more,
/// so it vouches for nothing here until the two go by the same again.
///
/// It keeps the latest life of each node, so it is no larger than the cluster has been.
public struct SignsOfLife: Sendable {
    private var signs: [NodeName: (incarnation: UInt64, at: MonotonicInstant)] = [:]

    public init() {}

    /// - Parameter revision: up to which the receiving node knows the assignments.
    public mutating func heard(
        _ heartbeat: Heartbeat, from life: NodeID, knowing revision: UInt64, at now: MonotonicInstant
    ) {
        if let known = signs[life.name], known.incarnation > life.incarnation { return }
        guard heartbeat.revision <= revision else { return }
        signs[life.name] = (life.incarnation, now)
    }

    /// Nil for a life that was never heard, or after which another one was.
    public func last(of life: NodeID) -> MonotonicInstant? {
        guard let sign = signs[life.name], sign.incarnation == life.incarnation else { return nil }
        return sign.at
    }
}
