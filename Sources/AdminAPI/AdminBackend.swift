public import AccessTokens
public import ClusterRuntime
public import RegistrarEvents

/// What the admin address needs of its node. Whoever assembles the node fills it in.
public struct AdminBackend: Sendable {
    public var node: NodeID
    public var role: NodeRole
    /// Whether requests from this machine need no token (`admin.open`).
    public var isOpen: Bool
    public var tokens: AccessTokens
    public var registrar: any RegistrarClient
    /// The domains of the topology; only these are served.
    public var domains: @Sendable () async -> [DomainName]
    /// What this node knows of a domain's owner; nil before it has heard.
    public var assignment: @Sendable (DomainName) async -> Assignment?
    /// What is wrong with this node, in a sentence each; empty when it is fit for work.
    public var problems: @Sendable () async -> [String]
    /// The text of `/metrics`.
    public var metrics: @Sendable () async -> String
    public var status: @Sendable () async -> StatusAnswer
    /// The accounts that there are.
    public var accounts: @Sendable () async throws(DirectoryError) -> any AccountDirectory
    /// A contact of each account that is online, where this node follows the domain and has it whole; else nil.
    public var onlineAccounts: @Sendable (DomainName, AccountKind) async -> [PackedContact]? = { _, _ in nil }
    /// The last changes of a domain's owner that this node decided, newest last; nil on all but routers.
    public var ownerChanges: @Sendable (DomainName) async -> [OwnerChange]?
    /// The copies of domains this node holds; nil where there are none by its role.
    public var copies: @Sendable () async -> [HeldCopy]?
    /// Has something moved; only the active router can.
    public var order: @Sendable (MovementOrder) async -> OrderOutcome = { _ in .notLeading }
    /// The topology that the cluster goes by; nil on all but the active router.
    public var topology: @Sendable () async -> ActiveTopology? = { nil }
    /// Has the cluster go by the topology of this text, in place of the version named; only the active router can.
    public var activate: @Sendable (_ text: String, _ version: UInt64) async -> ActivationOutcome = { _, _ in
        .answered(.notLeading)
    }
    /// What would move if the topology of this text were activated; only the active router knows.
    public var preview: @Sendable (_ text: String) async -> PreviewOutcome = { _ in .notLeading }
    /// Why a domain is where it is; nil on all but the active router.
    public var explanation: @Sendable (DomainName) async -> DomainExplanation? = { _ in nil }
    /// What this node delivers to destinations; nil on all but `sr` nodes.
    public var destinations: @Sendable () async -> [DestinationStatus]? = { nil }
    /// Has a destination that wanted nothing any more told of everything again; whether there is one of the name.
    public var resume: @Sendable (_ destination: String) async -> Bool = { _ in false }
    /// What a temporary GRUU of a domain stands for; the closure is nil where they are not known, as on all but `sg`
    /// nodes, and its answer for what is none.
    public var temporaryGRUU: (@Sendable (String, DomainName) -> GRUUTarget?)?
    /// The addresses that this node's frontier turns away; nil where there is no frontier.
    public var bans: @Sendable () async -> [AddressBan]? = { nil }
    /// Lets an address, as `NetworkOfAddress` writes it, try again; whether it was turned away.
    public var liftBan: @Sendable (String) async -> Bool = { _ in false }
    /// Ends this node so that it is started again, if somebody does that.
    public var restart: @Sendable () -> RestartOutcome = { .nobodyStartsItAgain }

    public init(
        node: NodeID, role: NodeRole, isOpen: Bool, tokens: AccessTokens, registrar: any RegistrarClient,
        domains: @escaping @Sendable () async -> [DomainName],
        assignment: @escaping @Sendable (DomainName) async -> Assignment?,
        problems: @escaping @Sendable () async -> [String],
        metrics: @escaping @Sendable () async -> String,
        status: @escaping @Sendable () async -> StatusAnswer,
        accounts: @escaping @Sendable () async throws(DirectoryError) -> any AccountDirectory,
        ownerChanges: @escaping @Sendable (DomainName) async -> [OwnerChange]? = { _ in nil },
        copies: @escaping @Sendable () async -> [HeldCopy]? = { nil }
    ) {
        self.node = node
        self.role = role
        self.isOpen = isOpen
        self.tokens = tokens
        self.registrar = registrar
        self.domains = domains
        self.assignment = assignment
        self.problems = problems
        self.metrics = metrics
        self.status = status
        self.accounts = accounts
        self.ownerChanges = ownerChanges
        self.copies = copies
    }
}

/// What became of the order to restart.
public enum RestartOutcome: Hashable, Sendable {
    /// The node is about to end.
    case accepted
    case nobodyStartsItAgain
}

/// What became of a topology that was to be activated.
public enum ActivationOutcome: Sendable {
    /// It is no topology, or cannot be activated in a running cluster, for these reasons.
    case invalid([String])
    case answered(OrderOutcome)
}

/// What would move with another topology.
public enum PreviewOutcome: Sendable {
    case invalid([String])
    case movements([PlannedMovement])
    case notLeading
}

/// The cluster's status, or where to get it.
public enum StatusAnswer: Sendable {
    /// This node is the active router.
    case here(ClusterStatus)
    /// The active router's admin address, such as `http://127.0.0.1:8080`; nil while this node knows of none.
    case elsewhere(String?)
}

/// One copy of a domain, for the comparison of all of them.
public struct HeldCopy: Sendable, Hashable {
    public enum Role: String, Sendable { case owner, standby, follower }

    public var role: Role
    public var report: CopyReport

    public init(_ role: Role, _ report: CopyReport) {
        self.role = role
        self.report = report
    }
}
