/// Who serves a domain and why, as the active router sees it: what `rollcall explain` shows.
public struct DomainExplanation: Codable, Hashable, Sendable {
    public var name: String
    /// 0 while the domain has never had an owner.
    public var epoch: UInt64
    /// As NAME#INCARNATION; nil while nobody serves it.
    public var owner: String?
    /// When the epoch began, in milliseconds since 1970 on the clock of the router that began it.
    public var since: Int64
    /// Why it began: name of the `ClearReason`.
    public var cause: String?
    /// Copies asked for, the owner's included.
    public var replicas: Int
    /// The group of nodes that serves it; nil for the nodes without group.
    public var group: String?
    /// The nodes that it is pinned to, the most wanted first; nil when it is pinned to none.
    public var pin: [String]?
    public var standbys: [ClusterStatus.Standby]
    /// The node that is to own it next, while it is being moved.
    public var movingTo: String?
    /// Every `sr` node that may serve it, or still holds it, the first in rank first.
    public var candidates: [Candidate]
    /// In sentences.
    public var reasons: [String]
    /// The last changes of owner, oldest first.
    public var changes: [OwnerChange]

    /// A node that may own the domain.
    public struct Candidate: Codable, Hashable, Sendable {
        public enum Part: String, Codable, Sendable { case owner, standby, none }

        public var name: String
        public var site: String
        public var server: String
        public var order: Int
        public var weight: Int
        public var status: ClusterStatus.Node.Status
        /// Of how many domains it is the owner.
        public var owns: Int
        /// Its part in this domain.
        public var part: Part
        /// False while the node cannot write its journal; else nil.
        public var journalWritable: Bool?

        public init(
            name: String, site: String, server: String, order: Int, weight: Int, status: ClusterStatus.Node.Status,
            owns: Int, part: Part, journalWritable: Bool? = nil
        ) {
            self.name = name
            self.site = site
            self.server = server
            self.order = order
            self.weight = weight
            self.status = status
            self.owns = owns
            self.part = part
            self.journalWritable = journalWritable
        }

        enum CodingKeys: String, CodingKey {
            case name, site, server, order, weight, status, owns, part
            case journalWritable = "journal_writable"
        }
    }

    public init(
        name: String, epoch: UInt64, owner: String?, since: Int64, cause: String?, replicas: Int,
        group: String? = nil, pin: [String]? = nil, standbys: [ClusterStatus.Standby], movingTo: String?,
        candidates: [Candidate], reasons: [String], changes: [OwnerChange]
    ) {
        self.name = name
        self.epoch = epoch
        self.owner = owner
        self.since = since
        self.cause = cause
        self.replicas = replicas
        self.group = group
        self.pin = pin
        self.standbys = standbys
        self.movingTo = movingTo
        self.candidates = candidates
        self.reasons = reasons
        self.changes = changes
    }

    enum CodingKeys: String, CodingKey {
        case name, epoch, owner, since, cause, replicas, group, pin, standbys, candidates, reasons, changes
        case movingTo = "moving_to"
    }
}
