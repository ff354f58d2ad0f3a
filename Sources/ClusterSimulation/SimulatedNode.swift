import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// One node of the simulated cluster: the production machines of its role, and what its shell keeps beside them.
struct SimulatedNode {
    /// What stays when the process ends.
    var disk: [DomainName: [Written]] = [:]
    let name: NodeName
    let role: NodeRole
    var incarnation: UInt64
    var isRunning = true
    var isPaused = false
    /// What waits while the node is paused.
    var backlog: [World.Step] = []
    /// The highest counter taken from each sender's life: what is older is dropped, as transports do.
    var lastCounter: [NodeID: UInt64] = [:]
    var sentCounter: [NodeName: UInt64] = [:]
    var agent: NodeAgent
    var machines: Machines
    var lastReport = MonotonicInstant.distantPast

    /// A record on disk, and when it was written.
    struct Written {
        let moment: Moment
        let record: JournalRecord
    }

    enum Machines {
        case router(RouterMachine)
        case sr([DomainName: DomainMachine])
        case follower([DomainName: FollowerTwin], GatewayTwin)
    }

    var life: NodeID { NodeID(name: name, incarnation: incarnation) }
}

/// What a `wssubscr` node keeps of one domain: the production receiver, and a consumer that keeps the set by applying
/// what it is told, as any consumer of events does.
struct FollowerTwin {
    var receiver: ReplicaReceiver
    /// The consumer's set: contacts by key.
    var set: [ContactKey: PackedContact] = [:]
    var position = Position.start
    /// Another one, that asked for net changes only.
    var changes: ChangesSubscriber
}

/// What a gateway keeps: the requests it waits for. Contacts are served one request at a time.
struct GatewayTwin {
    struct Pending {
        var operation: ClientOperation
        var attempts = 0
        var lastSent = MonotonicInstant.distantPast
    }
    var nextID: UInt64 = 1
    var pending: [UInt64: Pending] = [:]
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
    let deadline: MonotonicInstant
}
