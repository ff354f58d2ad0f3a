import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// One node of the simulated cluster: the production machines of its role, and what its shell keeps beside them.
///
/// A class, as is what it keeps of each domain, so that machines are changed in place: copying their tables for each
/// event took most of a history's time.
final class SimulatedNode {
    /// What stays when the process ends.
    var disk: [DomainName: [Written]] = [:]
    let name: NodeName
    let role: NodeRole
    let incarnation: UInt64
    /// When the process was started.
    let began: MonotonicInstant
    /// Whether its program is of the wire version before this one.
    let isFormer: Bool
    var isRunning = true
    var isPaused = false
    /// What waits while the node is paused.
    var backlog: [World.Step] = []
    /// The latest life of each sender, and the highest counter taken from it: what is older is dropped, as transports
    /// do.
    var taken: [NodeName: (incarnation: UInt64, counter: UInt64)] = [:]
    var sentCounter: [NodeName: UInt64] = [:]
    var agent: NodeAgent
    /// The machines of its role; the others are empty.
    var router: RouterMachine?
    var domains: [DomainName: DomainMachine] = [:]
    var signs = SignsOfLife()
    /// What has come of turns that have not ended.
    var turns: [DomainName: [DomainMachine.Directive]] = [:]
    /// When each domain's machine wants to be woken, on the node's clock; nil when nothing but an event does it.
    var wakes: [DomainName: MonotonicInstant] = [:]
    var followers: [DomainName: FollowerTwin] = [:]
    /// Of an `sr` node with a destination.
    var lane: LaneTwin?
    /// Of a router that watches the coordinator.
    var watch: WatchTwin?
    /// Of a `wssubscr` or `sg` node.
    var gateway: Gateway?
    /// The topology that it has heard of.
    var topology: ActiveTopology?
    /// The assignments that it knows.
    var told: [DomainName: Assignment] = [:]
    var lastReport = MonotonicInstant.distantPast
    let lease = LeaseHolder()
    /// The epochs of the domains that it took requests for as owner when its last turn ended.
    private(set) var serving: [DomainName: UInt64] = [:]
    /// The last entry of each domain that an owner spoke of: for a planted bug.
    var claims: [DomainName: Position] = [:]

    /// A record on disk, and when it was written.
    struct Written {
        let moment: Moment
        let record: JournalRecord
    }

    init(
        _ life: NodeID, role: NodeRole, isFormer: Bool, began: MonotonicInstant, disk: [DomainName: [Written]],
        agent: NodeAgent
    ) {
        self.began = began
        name = life.name
        incarnation = life.incarnation
        self.role = role
        self.isFormer = isFormer
        self.disk = disk
        self.agent = agent
    }

    var life: NodeID { NodeID(name: name, incarnation: incarnation) }

    func noteServing(_ domain: DomainName) {
        let machine = domains[domain].flatMap { $0.report.isOwner && !$0.isRetiring ? $0 : nil }
        serving[domain] = machine?.report.position.epoch
    }
}

/// What a node keeps through which clients ask: the production machine that brings requests to owners, and what waits
/// for answers.
struct Gateway {
    var machine: RequestMachine
    var nextID: UInt64
    var calls: [UInt64: Call] = [:]

    init(_ life: NodeID) {
        machine = RequestMachine(seed: life.incarnation)
        // Answers to an earlier life must not be taken for this one's.
        nextID = (life.incarnation - 1) << 20 | 1
    }

    /// One request, and what it asks of each contact.
    struct Call {
        let operations: [ClientOperation]
        /// Of a REGISTER; nil when it is about one contact alone.
        var wish: DeviceWish?
    }
}

/// One thing a client wants, and how it went.
struct ClientOperation {
    enum Kind: Hashable {
        case register(ttl: UInt32)
        case unregister
    }
    let number: Int
    let domain: DomainName
    let key: ContactKey
    let kind: Kind
    let started: MonotonicInstant
    /// What tells a registration from those before.
    var mark: Notification.Mark?
    /// Whether the request is about this contact alone.
    var isAlone = true
}
