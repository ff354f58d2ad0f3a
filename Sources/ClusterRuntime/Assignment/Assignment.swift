public import RegistrarEvents

/// Who serves a domain: decided by the active router, stored at the coordinator, obeyed by every node.
///
/// Legal changes, each a compare-and-swap on `revision`: a new owner comes with a higher epoch; a standby enters or
/// leaves the in-sync set within an epoch. Invariant: every acknowledged write of the epoch is held by the owner and by
/// every in-sync standby, so any one of them may be the next owner.
public struct Assignment: Hashable, Sendable {
    public var domain: DomainName
    /// Counts the owners of the domain, from 1.
    public var epoch: UInt64
    /// Cluster-wide, grows with every stored change; a reader keeps the highest it has seen of a domain.
    public var revision: UInt64
    /// The one node life that may acknowledge writes in this epoch; nil while nobody can be found.
    public var owner: NodeID?
    /// Copies, by node name.
    public var standbys: [Standby]
    /// Why this epoch began: the reason that the owner's `clear` gives.
    public var cause: ClearReason
    /// When this epoch began, in milliseconds since 1970 on the router's clock (for people).
    public var since: Int64

    public struct Standby: Hashable, Sendable {
        public var node: NodeID
        /// Whether the owner waits for it before acknowledging, so that it may be promoted.
        public var inSync: Bool

        public init(node: NodeID, inSync: Bool) {
            self.node = node
            self.inSync = inSync
        }
    }

    public init(
        domain: DomainName, epoch: UInt64, revision: UInt64, owner: NodeID?, standbys: [Standby], cause: ClearReason,
        since: Int64
    ) {
        self.domain = domain
        self.epoch = epoch
        self.revision = revision
        self.owner = owner
        self.standbys = standbys
        self.cause = cause
        self.since = since
    }

    public var inSync: [NodeID] { standbys.filter(\.inSync).map(\.node) }

    /// Whether nobody serves the domain, because the topology has it no more and its list was emptied. Kept for the
    /// sake of its epoch: should the domain come back, epochs go on from there.
    public var isRetired: Bool { owner == nil && standbys.isEmpty && cause == .storageCleared }
}

/// Every assignment a node has heard of, kept up to date by revisions.
public struct AssignmentTable: Sendable {
    /// All assignments with a revision up to this one are in the table.
    public private(set) var revision: UInt64 = 0
    private var assignments: [DomainName: Assignment] = [:]

    public init() {}

    public subscript(domain: DomainName) -> Assignment? { assignments[domain] }

    /// By domain name, so that whoever walks the table does so in one order.
    public var all: [Assignment] { assignments.values.sorted { $0.domain < $1.domain } }

    /// Takes in an update and returns the assignments that changed, by domain name.
    ///
    /// An update that starts after the table's revision would leave a hole: its news are taken, the revision stays,
    /// and the router sends again from there.
    public mutating func apply(_ update: AssignmentUpdate) -> [Assignment] {
        var changed: [Assignment] = []
        for assignment in update.assignments
        where assignment.revision > (assignments[assignment.domain]?.revision ?? 0) {
            assignments[assignment.domain] = assignment
            changed.append(assignment)
        }
        if update.from <= revision { revision = max(revision, update.to) }
        return changed.sorted { $0.domain < $1.domain }
    }
}
