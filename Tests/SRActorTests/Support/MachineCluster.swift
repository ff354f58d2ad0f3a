import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// A few machines of one domain, followers of it, a gateway, and links between them that deliver when told to.
///
/// Nothing happens by itself: messages wait in their links, in order, until they are delivered or dropped, and the
/// clock stands still until it is advanced.
struct MachineCluster {
    struct Link: Hashable, Comparable {
        let from: NodeName
        let to: NodeName

        static func < (left: Link, right: Link) -> Bool { (left.from, left.to) < (right.from, right.to) }
    }

    static let gateway = NodeName("g")

    let domain: DomainName
    private(set) var milliseconds: Int64 = 1_000_000_000
    var machines: [NodeName: DomainMachine] = [:]
    var followers: [NodeName: ReplicaReceiver] = [:]
    private(set) var assignment: Assignment?
    var links: [Link: [Message]] = [:]
    /// Links that lose everything.
    var cut: Set<Link> = []
    /// Nodes whose disks do not take what the next turn stores.
    var fillingDisks: Set<NodeName> = []
    /// When each node last heard of which others.
    private var signs: [NodeName: SignsOfLife] = [:]
    /// When each machine wants to be woken, by what it said at the end of its last turn.
    private var nextWakes: [NodeName: MonotonicInstant] = [:]
    /// Up to which revision each node knows the assignments.
    private var known: [NodeName: UInt64] = [:]

    /// What came of it, in order.
    private(set) var replies: [UInt64: Reply.Result] = [:]
    private(set) var asked: [ReplicaChange] = []
    private(set) var records: [NodeName: [JournalRecord]] = [:]
    private(set) var entries: [NodeName: [LogEntry]] = [:]
    private(set) var publications: [NodeName: [Publication]] = [:]
    private(set) var notes: [String] = []
    /// How many messages were delivered.
    private(set) var delivered = 0
    /// Called with everything that machines and followers want done.
    var trace: ((NodeName, DomainMachine.Directive) -> Void)?
    var followerTrace: ((NodeName, ReplicaReceiver.Directive) -> Void)?
    private var nextID: UInt64 = 0

    init(_ names: String..., policy: DomainPolicy = DomainPolicy()) throws {
        domain = try #require(DomainName("demo.example"))
        for name in names { start(name, policy: policy) }
    }

    var now: Moment {
        Moment(
            monotonic: MonotonicInstant(nanoseconds: milliseconds * 1_000_000), wall: 1_700_000_000_000 + milliseconds)
    }

    private var everyone: [NodeName] { (Array(machines.keys) + Array(followers.keys)).sorted() }

    static func node(_ name: String, life: UInt64 = 1) -> NodeID { NodeID(name: NodeName(name), incarnation: life) }

    subscript(name: String) -> DomainMachine {
        guard let machine = machines[NodeName(name)] else { preconditionFailure("no machine \(name)") }
        return machine
    }

    /// Starts a machine, or another life of it.
    mutating func start(
        _ name: String, life: UInt64 = 1, policy: DomainPolicy = DomainPolicy(),
        replica: DomainReplica = DomainReplica()
    ) {
        machines[NodeName(name)] = DomainMachine(
            domain: domain, node: Self.node(name, life: life), policy: policy, replica: replica)
    }

    // MARK: What happens to machines

    /// One turn: the events, the end of the turn, and what the disk says to that.
    mutating func turn(_ name: NodeName, _ events: [DomainMachine.Event]) {
        guard machines[name] != nil else { return }
        let now = now
        for event in events + [.turnEnded] { handle(event, at: name, now) }
        if fillingDisks.remove(name) != nil { handle(.journal(isWritable: false), at: name, now) }
        handle(.stored, at: name, now)
        nextWakes[name] = machines[name]?.nextWake(at: now)
    }

    private mutating func handle(_ event: DomainMachine.Event, at name: NodeName, _ now: Moment) {
        let directives = machines[name]?.handle(event, at: now) ?? []
        for directive in directives { perform(directive, at: name) }
    }

    mutating func turn(_ name: String, _ events: DomainMachine.Event...) { turn(NodeName(name), events) }

    private mutating func perform(_ directive: DomainMachine.Directive, at name: NodeName) {
        trace?(name, directive)
        switch directive {
        case .send(.reply(let reply), Self.gateway): replies[reply.id] = reply.result
        case .send(.replicaChange(let change), _): asked.append(change)
        case .send(let message, let peer): send(message, from: name, to: peer)
        case .askRouters(let change): asked.append(change)
        case .store(let record): records[name, default: []].append(record)
        case .publish(let publication): publications[name, default: []].append(publication)
        case .alarm(let text): notes.append("\(name) alarm: \(text)")
        case .becameOwner, .becameStandby, .deposed, .handingOver, .replayEnded, .retiring:
            notes.append(ScenarioText.line(name, directive))
        }
    }

    private mutating func send(_ message: Message, from sender: NodeName, to peer: NodeName) {
        let link = Link(from: sender, to: peer)
        if !cut.contains(link) { links[link, default: []].append(message) }
    }

    /// A new assignment, known to everybody or to some.
    /// - Parameter standbys: names; with a `+` those in sync.
    mutating func assign(
        epoch: UInt64, owner: String?, standbys: [String] = [], cause: ClearReason = .failover,
        to some: [String]? = nil, lives: [String: UInt64] = [:]
    ) {
        func node(_ name: String) -> NodeID { Self.node(name, life: lives[name] ?? 1) }
        let new = Assignment(
            domain: domain, epoch: epoch, revision: (assignment?.revision ?? 0) + 1, owner: owner.map(node),
            standbys: standbys.map { .init(node: node($0.replacing("+", with: "")), inSync: $0.hasSuffix("+")) },
            cause: cause, since: 0)
        assignment = new
        for name in some?.map(NodeName.init) ?? everyone { tellAssignment(to: name) }
    }

    mutating func tellAssignment(to name: NodeName) {
        guard let assignment else { return }
        known[name] = assignment.revision
        turn(name, [.assigned(assignment, heard: signs[name] ?? SignsOfLife())])
        follower(name, .assigned(assignment))
    }

    mutating func lease(_ name: String, milliseconds lease: Int64) {
        turn(name, .lease(until: now.monotonic + .milliseconds(lease)))
    }

    /// The router orders the owner to hand the domain over, by the assignment in force.
    mutating func orderHandOver(_ owner: String, to standby: String, revision: UInt64? = nil) {
        guard let assignment else { return }
        let order = HandOver(
            domain: domain, epoch: assignment.epoch, revision: revision ?? assignment.revision,
            node: Self.node(standby))
        turn(owner, .handOver(order, from: NodeName("r")))
    }

    /// The router orders the owner to end everything, by the assignment in force.
    mutating func orderRetirement(_ owner: String, revision: UInt64? = nil, topology: UInt64 = 1) {
        guard let assignment else { return }
        let order = Retire(
            domain: domain, epoch: assignment.epoch, revision: revision ?? assignment.revision, topology: topology)
        turn(owner, .retire(order, from: NodeName("r")))
    }

    // MARK: Followers

    mutating func follow(_ name: String) {
        followers[NodeName(name)] = ReplicaReceiver(domain: domain, role: .follower)
        tellAssignment(to: NodeName(name))
    }

    private mutating func follower(_ name: NodeName, _ event: ReplicaReceiver.Event) {
        let now = now
        performFollower(followers[name]?.handle(event, at: now) ?? [], at: name)
    }

    private mutating func performFollower(_ directives: [ReplicaReceiver.Directive], at name: NodeName) {
        for directive in directives {
            followerTrace?(name, directive)
            switch directive {
            case .send(let message, let peer): send(message, from: name, to: peer)
            case .applied(let applied, _, _): entries[name, default: []] += applied
            case .accounts: break
            case .resynced(let position): notes.append("\(name) resynced \(position)")
            case .replayed(let position, _): notes.append("\(name) replayed \(position)")
            case .alarm(let text): notes.append("\(name) alarm: \(text)")
            case .store(let record): Issue.record("a follower stores nothing, not \(record)")
            }
        }
    }

    // MARK: Messages and time

    /// Delivers what waits in one link. The receiver takes it in one turn.
    mutating func deliver(_ from: String, _ to: String) { deliver(Link(from: NodeName(from), to: NodeName(to))) }

    mutating func deliver(_ link: Link) {
        guard let messages = links.removeValue(forKey: link), !messages.isEmpty else { return }
        delivered += messages.count
        let sender = lifeID(link.from)
        if followers[link.to] != nil {
            for message in messages { follower(link.to, takes: message, from: sender) }
            follower(link.to, .turnEnded)
        } else {
            turn(link.to, messages.compactMap { Self.event($0, from: sender) })
        }
    }

    private func lifeID(_ name: NodeName) -> NodeID { machines[name]?.node ?? NodeID(name: name, incarnation: 1) }

    private mutating func follower(_ name: NodeName, takes message: Message, from sender: NodeID) {
        switch message {
        case .append(let append): follower(name, .append(append, from: sender))
        case .chunk(let chunk): follower(name, .chunk(chunk, from: sender))
        default: Issue.record("a follower is sent appends and chunks, not \(message)")
        }
    }

    static func event(_ message: Message, from sender: NodeID) -> DomainMachine.Event? {
        switch message {
        case .request(let request): .request(request, from: sender.name)
        case .follow(let follow): .follow(follow, from: sender)
        case .append(let append): .append(append, from: sender)
        case .chunk(let chunk): .chunk(chunk, from: sender)
        case .handOver(let order): .handOver(order, from: sender.name)
        case .retire(let order): .retire(order, from: sender.name)
        case .heartbeat, .lead, .assignments, .copies, .replicaChange, .reply, .topology: nil
        }
    }

    /// Delivers everything, and what comes of it, until nothing is under way.
    mutating func settle() {
        for _ in 0..<10_000 {
            guard let link = links.filter({ !$0.value.isEmpty }).keys.min() else { return }
            deliver(link)
        }
        Issue.record("the machines talk without end")
    }

    mutating func drop(_ from: String, _ to: String) { links[Link(from: NodeName(from), to: NodeName(to))] = nil }

    /// The node is gone, and with it what was under way from and to it.
    mutating func stop(_ name: String) {
        machines[NodeName(name)] = nil
        links = links.filter { $0.key.from.rawValue != name && $0.key.to.rawValue != name }
    }

    /// Nothing passes between a node and anyone else any more.
    mutating func isolate(_ name: String) {
        for other in everyone where other.rawValue != name {
            cut.formUnion([Link(from: NodeName(name), to: other), Link(from: other, to: NodeName(name))])
        }
        links = links.filter { $0.key.from.rawValue != name && $0.key.to.rawValue != name }
    }

    /// Nodes tell one another that they are there, whatever the domain does.
    private mutating func exchangeSigns() {
        for (from, to) in machines.keys.flatMap({ from in machines.keys.map { (from, $0) } })
        where !cut.contains(Link(from: from, to: to)) {
            let heartbeat = Heartbeat(
                role: .sr, sentAt: now.monotonic.nanoseconds, revision: known[from] ?? 0, pid: 1, uptimeMilliseconds: 0)
            signs[to, default: SignsOfLife()].heard(
                heartbeat, from: lifeID(from), knowing: known[to] ?? 0, at: now.monotonic)
        }
    }

    /// Time goes by, in ticks of 50 ms, with or without messages.
    mutating func advance(_ total: Int64, settling: Bool = true) {
        let end = milliseconds + total
        while milliseconds < end {
            milliseconds = min(milliseconds + 50, end)
            exchangeSigns()
            for name in machines.keys.sorted() { turn(name, [.tick]) }
            for name in followers.keys.sorted() { follower(name, .tick) }
            if settling { settle() }
        }
    }

    /// Time goes by as shells let it: each machine is woken when it wants to be, and at no other time.
    /// - Returns: how often one was woken, and how many messages were delivered.
    @discardableResult
    mutating func live(_ total: Int64) -> (wakes: Int, messages: Int) {
        let (end, before) = (milliseconds + total, delivered)
        var wakes = 0
        while true {
            let due = everyone.compactMap { name -> (at: MonotonicInstant, name: NodeName)? in
                let next = machines[name] != nil ? nextWakes[name] : followers[name]?.nextTick
                return next.map { ($0, name) }
            }.min { ($0.at, $0.name) < ($1.at, $1.name) }
            let next = due.map { max(milliseconds, ($0.at.nanoseconds + 999_999) / 1_000_000) } ?? end
            guard let due, next <= end else {
                milliseconds = end
                exchangeSigns()
                return (wakes, delivered - before)
            }
            milliseconds = next
            exchangeSigns()
            wakes += 1
            guard wakes < 100_000 else {
                Issue.record("\(due.name) is woken without end")
                return (wakes, delivered - before)
            }
            if machines[due.name] != nil { turn(due.name, [.tick]) } else { follower(due.name, .tick) }
            settle()
        }
    }

    // MARK: Requests

    @discardableResult
    mutating func request(
        _ operation: Request.Operation, to name: String = "a", epoch: UInt64? = nil, id: UInt64? = nil
    ) -> UInt64 {
        nextID += 1
        let request = Request(
            id: id ?? nextID, domain: domain, epoch: epoch ?? assignment?.epoch ?? 0, operation: operation)
        turn(name, .request(request, from: Self.gateway))
        return request.id
    }

    static func contact(_ account: String, _ contact: String = "phone", version: String = "") throws -> PackedContact {
        try #require(
            PackedContact(Registration(account: account, contact: contact, sipuser: SIPUserDetails(login: version))))
    }

    @discardableResult
    mutating func register(
        _ account: String, _ contact: String = "phone", ttl: UInt32 = 600_000, to name: String = "a",
        epoch: UInt64? = nil
    ) throws -> UInt64 {
        request(.register(try Self.contact(account, contact), ttl: ttl), to: name, epoch: epoch)
    }

    @discardableResult
    mutating func unregister(_ account: String, _ contact: String = "phone", to name: String = "a") -> UInt64 {
        request(
            .unregister(key: ContactKey(.sipuser, account, contact).packed, reason: .unregisterContact), to: name)
    }

    /// The accounts that a machine holds, sorted.
    func accounts(_ name: String) throws -> [String] { try Self.accounts(self[name].replica) }

    static func accounts(_ replica: DomainReplica) throws -> [String] {
        try (0..<replica.table.slotCount).compactMap { slot in
            try replica.table.contact(inSlot: slot)?.contact.key().account.name
        }.sorted()
    }

    /// Forgets what was asked and stored so far.
    mutating func forget() { (asked, notes, records, entries) = ([], [], [:], [:]) }
}

extension MachineCluster {
    /// An owner `a` with `b` in sync, settled.
    static func pair(policy: DomainPolicy = DomainPolicy()) throws -> MachineCluster {
        var cluster = try MachineCluster("a", "b", policy: policy)
        cluster.assign(epoch: 1, owner: "a", standbys: ["b+"], cause: .restart)
        cluster.settle()
        cluster.forget()
        return cluster
    }

    /// An owner `a` on its own, with a lease of a minute.
    static func alone(policy: DomainPolicy = DomainPolicy()) throws -> MachineCluster {
        var cluster = try MachineCluster("a", "b", policy: policy)
        cluster.assign(epoch: 1, owner: "a", cause: .restart)
        cluster.lease("a", milliseconds: 60_000)
        cluster.forget()
        return cluster
    }
}
