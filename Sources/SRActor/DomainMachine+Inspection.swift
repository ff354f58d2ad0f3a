import ClusterRuntime

/// What tests, the simulator and metrics may see of a machine.
extension DomainMachine {
    /// Entries that wait for standbys; 0 when this node is not the owner.
    public var uncommitted: UInt64 { owner?.uncommitted ?? 0 }
    /// The last committed entry of the epoch; 0 when this node is not the owner.
    public var committed: UInt64 { owner?.committed ?? 0 }
    /// Entries kept for those who resume.
    public var ringCount: Int { owner.map { Int($0.ring.lastSeq + 1 - $0.ring.firstSeq) } ?? 0 }
    /// Replicas that are being fed.
    public var feedCount: Int { owner?.feeds.count ?? 0 }
    /// Requests whose outcome waits for a commit.
    public var waitingRequests: Int { owner?.waiting.count ?? 0 }
}
