import ClusterRuntime
import RegistrarEvents
import SRActor

/// An owner's machine, with or without a standby's, driven turn by turn as their shells do, with the time of each.
struct DomainHarness {
    static let gateway = NodeName("ws1")
    static let requestsPerTurn = 64

    private(set) var owner: DomainMachine
    private var standby: DomainMachine?
    private let ownerID = NodeID(name: NodeName("sr1"), incarnation: 1)
    private let standbyID = NodeID(name: NodeName("sr2"), incarnation: 1)
    private var now = Moment(monotonic: MonotonicInstant(nanoseconds: 3_600_000_000_000), wall: 1_700_000_000_000)
    private var epoch: UInt64 = 0
    private var lastID: UInt64 = 0
    /// CPU nanoseconds spent in the machines.
    private(set) var ownerTime: Int64 = 0
    private(set) var standbyTime: Int64 = 0
    /// The longest that the owner was busy with one turn, in CPU nanoseconds.
    private(set) var longestTurn: Int64 = 0
    private var replies = 0
    private var isReplayed = false

    init(withStandby: Bool) {
        owner = DomainMachine(domain: Population.domain, node: ownerID)
        if withStandby { standby = DomainMachine(domain: Population.domain, node: standbyID) }
        beginEpoch(.restart)
    }

    /// Starts an epoch and runs turns until everything live is restated in it.
    mutating func beginEpoch(_ cause: ClearReason) {
        epoch += 1
        let assignment = Assignment(
            domain: Population.domain, epoch: epoch, revision: epoch, owner: ownerID,
            standbys: standby == nil ? [] : [Assignment.Standby(node: standbyID, inSync: true)], cause: cause, since: 0)
        isReplayed = false
        turn([.assigned(assignment)])
        if standby != nil { carry(standby?.handle(.assigned(assignment), at: now) ?? []) }
        while !isReplayed { turn([.tick]) }
    }

    /// Hands requests to the owner in one turn; with a standby, until they are acknowledged.
    mutating func perform(_ operations: [Request.Operation]) {
        let before = replies
        let events = operations.map { operation in
            lastID += 1
            return DomainMachine.Event.request(
                Request(id: lastID, domain: Population.domain, epoch: epoch, operation: operation), from: Self.gateway)
        }
        turn(events)
        precondition(replies - before == operations.count, "\(replies - before) of \(operations.count) are answered")
    }

    /// Lets time go by in the steps in which the shell wakes the machine.
    mutating func pass(_ duration: Duration) {
        let end = now.monotonic + duration
        while now.monotonic < end {
            advance(.milliseconds(250))
            turn([.tick])
        }
    }

    private mutating func advance(_ duration: Duration) {
        now.monotonic += duration
        now.wall += duration.milliseconds
    }

    private mutating func turn(_ events: [DomainMachine.Event]) {
        advance(.milliseconds(1))
        let start = Measuring.threadCPU()
        var directives = owner.handle(.lease(until: now.monotonic + .seconds(1)), at: now)
        directives += owner.handle(.journal(isWritable: true), at: now)
        for event in events { directives += owner.handle(event, at: now) }
        directives += owner.handle(.turnEnded, at: now)
        directives += owner.handle(.journal(isWritable: true), at: now)
        directives += owner.handle(.stored, at: now)
        let time = Measuring.threadCPU() - start
        ownerTime += time
        longestTurn = max(longestTurn, time)
        for case .replayEnded in directives { isReplayed = true }
        carry(directives)
    }

    /// Takes the owner's messages to the standby and the standby's back, until nobody has anything to say.
    private mutating func carry(_ directives: [DomainMachine.Directive]) {
        var toOwner: [DomainMachine.Event] = []
        var toStandby: [DomainMachine.Event] = []
        for case .send(let message, _) in directives {
            switch message {
            case .reply(let reply):
                if case .refused(let refusal) = reply.result { preconditionFailure("refused: \(refusal)") }
                replies += 1
            case .follow(let follow): toOwner.append(.follow(follow, from: standbyID))
            case .append(let append): toStandby.append(.append(append, from: ownerID))
            case .chunk(let chunk): toStandby.append(.chunk(chunk, from: ownerID))
            case .heartbeat, .lead, .assignments, .copies, .replicaChange, .request, .handOver, .topology, .retire:
                break
            }
        }
        if !toStandby.isEmpty { carry(standbyTurn(toStandby)) }
        if !toOwner.isEmpty { turn(toOwner) }
    }

    private mutating func standbyTurn(_ events: [DomainMachine.Event]) -> [DomainMachine.Directive] {
        let start = Measuring.threadCPU()
        var directives: [DomainMachine.Directive] = []
        for event in events { directives += standby?.handle(event, at: now) ?? [] }
        directives += standby?.handle(.turnEnded, at: now) ?? []
        standbyTime += Measuring.threadCPU() - start
        return directives
    }
}
