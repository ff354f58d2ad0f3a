public import ClusterRuntime
public import RegistrarEvents

/// One node's part in one domain: owner, standby, or holder of a copy that waits for the router's word.
///
/// What it decides: as owner, whether a request is granted, in which order changes happen, and when they are committed;
/// as standby, nothing: it applies results. What it does not know: who else is alive (the router's matter) and how
/// bytes travel.
///
/// Legal transitions: any role -> owner, by an assignment with a higher epoch that names this life as owner; any role
/// -> standby or idle, by a newer assignment that does not; owner -> deposed, by the first word of a higher epoch, and
/// from there only by an assignment. An owner may be handing over, by a router's order, until it is replaced or its
/// patience ends.
///
/// Invariants:
/// - A reply or an event leaves only once every standby that the owner waits for has the entry (`committed`); the owner
///   waits for every standby that the router may promote, and *asks* to have one counted only once it waits for it and
///   it holds everything committed before.
/// - An owner that waits for nobody acknowledges only under a lease, and what its disk has taken.
/// - What changes nothing is answered under a lease too, or once every standby waited for was heard after it came: else
///   an owner that is deposed and does not know it would speak for a list that is no longer the domain's.
/// - Sequence numbers of an epoch count from 1 without gaps, and number 1 is the `clear`.
/// - Everything live is restated exactly once in an epoch, by its replay or by a write that came first.
public struct DomainMachine: Sendable {
    public enum Event: Sendable {
        /// The assignment in force changed.
        /// - Parameter heard: when nodes were last heard, the former owner's among them.
        case assigned(Assignment, heard: SignsOfLife = SignsOfLife())
        /// As a lone owner, this node may acknowledge until then.
        case lease(until: MonotonicInstant)
        /// For so long altogether there has been no lease.
        case lapsed(Duration)
        /// Whether the node's disk takes what is stored. A lone owner acknowledges nothing while it does not.
        case journal(isWritable: Bool)
        case request(Request, from: NodeName)
        case follow(Follow, from: NodeID)
        case append(Append, from: NodeID)
        case chunk(SnapshotChunk, from: NodeID)
        /// A router wants the domain moved to a standby.
        case handOver(HandOver, from: NodeName)
        /// A destination has taken events, or has missed some.
        case destination(DestinationNotice)
        /// A router wants everything in the domain ended, since the topology has it no more.
        case retire(Retire, from: NodeName)
        /// What the topology allows the domain has changed. The sizes of rings stay as they are.
        case policy(DomainPolicy)
        /// Time goes by: at the latest at `nextWake`.
        case tick
        /// Everything that had arrived has been handled: have what has come together stored.
        case turnEnded
        /// That is stored, as far as `journal`, said just before, is true: commit, answer, send.
        case stored
    }

    public enum Directive: Sendable, Hashable {
        case send(Message, to: NodeName)
        /// For every router.
        case askRouters(ReplicaChange)
        /// Keep on disk, before anything that follows leaves the node.
        case store(JournalRecord)
        /// For the destinations, once what comes before it has left the node.
        case publish(Publication)
        /// For the log and a counter.
        case alarm(String)
        /// The role changed; for the log.
        case becameOwner(epoch: UInt64, ClearReason, contacts: Int)
        case becameStandby(epoch: UInt64, of: NodeID)
        case deposed(by: UInt64)
        case handingOver(to: NodeID)
        case retiring
        case replayEnded(Position)
    }

    public let domain: DomainName
    public let node: NodeID
    public private(set) var policy: DomainPolicy

    /// The copy, and how it is kept in step while another node owns the domain.
    var receiver: ReplicaReceiver
    var owner: Ownership?
    var assignment: Assignment?
    var leaseUntil = MonotonicInstant.distantPast
    /// False from the first write that the disk did not take to when everything is written anew.
    var isJournalWritable = true
    /// When the disk was found not to take anything; nil while it does.
    var unwritableSince: MonotonicInstant?
    /// For how long there had been no lease when this was last looked at.
    var knownLapse: Duration?
    /// Nothing runs out before, since for as long as that nobody could renew.
    public internal(set) var sparesUntil = MonotonicInstant.distantPast
    /// Kept over epochs, so that a repeated request to clear is not carried out twice.
    var lastClear: (sender: NodeName, id: UInt64)?
    /// Requests of an epoch that is not known here yet, in the order of arrival.
    var early: [EarlyRequest] = []
    /// Of the log that this node applies as a standby: what destinations may not have.
    var tail = LogTail()
    /// Nil unless a router wants the domain to be let go of.
    var retirement: Retirement?

    /// - Parameter replica: the copy restored from the journal; empty for a domain new to this node.
    public init(
        domain: DomainName, node: NodeID, policy: DomainPolicy = DomainPolicy(),
        replica: DomainReplica = DomainReplica()
    ) {
        self.domain = domain
        self.node = node
        self.policy = policy
        receiver = ReplicaReceiver(domain: domain, role: .standby, replica: replica)
    }

    public var replica: DomainReplica { _read { yield receiver.replica } }
    public var isOwner: Bool { owner != nil }
    /// Whether nobody is to serve the domain any more, so that this node need not keep anything of it.
    public var isRetired: Bool { assignment?.isRetired ?? false }

    /// What this node holds, for routers and for `verify`.
    public var report: CopyReport {
        let table = receiver.replica.table
        return CopyReport(
            domain: domain, position: receiver.replica.position, complete: receiver.replica.isComplete,
            users: UInt64(table.userCount), sipusers: UInt64(table.sipuserCount), digest: table.digest,
            revision: assignment?.revision ?? 0, isOwner: owner.map { !$0.isDeposed } ?? false)
    }

    public mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        switch event {
        case .assigned(let assignment, let heard): return assigned(assignment, heard, at: now)
        case .lease(let until):
            leaseUntil = max(leaseUntil, until)
            return []
        case .lapsed(let total):
            heardOfLapse(total, at: now)
            return []
        case .journal(let isWritable):
            journalChanged(isWritable, at: now)
            return []
        case .request(let request, let sender):
            if request.epoch > assignment?.epoch ?? 0 { return hold(request, from: sender, at: now) }
            guard owner?.epoch == request.epoch, owner?.isDeposed == false else {
                return [.refuse(request.id, .notOwner, to: sender)]
            }
            return grant(request, from: sender, at: now)
        case .handOver(let order, let router): return take(order, from: router, at: now)
        case .destination(let notice):
            take(notice, at: now)
            return []
        case .retire(let order, let router): return take(order, from: router, at: now)
        case .policy(var new):
            // Rings were made by the former sizes, and the room in them is counted by those.
            (new.ringEntries, new.ringBytes) = (policy.ringEntries, policy.ringBytes)
            policy = new
            endRetirementIfOver(at: now)
            return []
        case .follow(let follow, let sender): return take(follow, from: sender, at: now)
        case .append(let append, let sender):
            guard owner == nil else { return answer(sender, epoch: append.epoch) }
            let directives = receiver.handle(.append(append, from: sender), at: now)
            keepTail(of: append, directives)
            return directives.map(Directive.init)
        case .chunk(let chunk, let sender):
            guard owner == nil else { return answer(sender, epoch: chunk.epoch) }
            return receiver.handle(.chunk(chunk, from: sender), at: now).map(Directive.init)
        case .tick:
            let refused = refuseOverdueEarly(at: now)
            return refused
                + (owner == nil ? receiver.handle(.tick, at: now).map(Directive.init) : tickAsOwner(at: now))
        case .turnEnded:
            return owner == nil ? receiver.handle(.turnEnded, at: now).map(Directive.init) : keep(at: now)
        case .stored: return release(at: now)
        }
    }

    /// When the machine next wants a tick even if nothing happens: now, while there is something left to restate; nil
    /// when it has nothing to wait for.
    public func nextWake(at now: Moment) -> MonotonicInstant? {
        // A held request, a hand-over and an owner that has not answered yet are all matters of a moment.
        let soon = now.monotonic + .milliseconds(25)
        guard let owner else {
            return !early.isEmpty || receiver.isCourting ? soon : receiver.nextTick
        }
        guard early.isEmpty else { return soon }
        guard !owner.isDeposed else { return now.monotonic + .milliseconds(250) }
        guard !isHandingOver, !isRetiring, owner.waiting.first?.changedNothingAt == nil else { return soon }
        // A replay that waits for acknowledgements goes on with them.
        if replayBudget(at: now) > 0 { return now.monotonic }
        var wake = owner.nextWake(at: now.monotonic)
        // A destination's replay that waits for a word of others, or the lease, which comes without a turn.
        if owner.replays.contains(where: { $0.wantedSince != nil }) {
            let look = now.monotonic + .milliseconds(250)
            wake = wake.map { min($0, look) } ?? look
        }
        if let check = replica.table.nextExpiryCheck {
            let wait = Duration.milliseconds(max(check - replica.time(at: now), mayExpire(at: now) ? 1 : 250))
            wake = wake.map { min($0, now.monotonic + wait) } ?? now.monotonic + wait
        }
        return wake
    }

    // MARK: Assignment

    private mutating func assigned(_ new: Assignment, _ heard: SignsOfLife, at now: Moment) -> [Directive] {
        guard new.revision > (assignment?.revision ?? 0), new.epoch >= (assignment?.epoch ?? 0) else { return [] }
        let known = assignment
        if let former = known?.owner, let sign = heard.last(of: former) { receiver.vouch(for: former, at: sign) }
        assignment = new
        if new.owner == node {
            guard owner?.epoch != new.epoch else { return inSyncChanged(new) }
            return takeOver(new, at: now) + grantEarly(at: now)
        }
        // Up to now clients could renew here, whenever the next owner is heard.
        if owner != nil { receiver.ownedHere(until: now.monotonic) }
        var directives: [Directive] = owner == nil ? [] : refuseWaiting()
        let isMember = new.standbys.contains { $0.node == node }
        let wasMember = owner == nil && known?.standbys.contains { $0.node == node } == true
        owner = nil
        directives += grantEarly(at: now)
        if isMember, let leader = new.owner, !(wasMember && known?.epoch == new.epoch && known?.owner == leader) {
            directives.append(.becameStandby(epoch: new.epoch, of: leader))
        }
        if isMember {
            directives += receiver.handle(.assigned(new), at: now).map(Directive.init)
        } else {
            // Not a member: ask nobody, and keep the copy only as long as it may be the latest there is.
            let isOfUse = replica.isComplete && mayNeedCopy(new)
            if !isOfUse, replica.position != .start { directives.append(.store(.reset(.start))) }
            if !isOfUse { tail = LogTail() }
            receiver = ReplicaReceiver(
                domain: domain, role: .standby, replica: isOfUse ? receiver.replica : DomainReplica())
        }
        return directives
    }

    /// A domain that is owned and has a standby in sync has all its acknowledged writes twice elsewhere. But a member's
    /// later life, which the assignment does not name yet, may be the one that comes back with what nobody else has.
    private func mayNeedCopy(_ new: Assignment) -> Bool {
        guard !new.isRetired else { return false }
        let members = (new.owner.map { [$0] } ?? []) + new.standbys.map(\.node)
        return new.owner == nil || new.inSync.isEmpty || members.contains { $0.name == node.name }
    }

    /// Another node holds itself to be the owner. One of the two is wrong, and told so.
    private mutating func answer(_ sender: NodeID, epoch: UInt64) -> [Directive] {
        guard let current = owner, epoch < current.epoch else { return depose(epoch) }
        let word = Follow(
            domain: domain, role: .standby, epoch: current.epoch, applied: replica.position, complete: true,
            snapshot: 0, nextChunk: 0, rewind: false)
        return [.send(.follow(word), to: sender.name)]
    }

    /// Someone speaks for a higher epoch: stop acknowledging at once; the assignment will follow.
    mutating func depose(_ epoch: UInt64) -> [Directive] {
        guard let current = owner, epoch > current.epoch, !current.isDeposed else { return [] }
        owner?.isDeposed = true
        return [.deposed(by: epoch)] + refuseWaiting()
    }

    /// Nothing that waits can be committed by this node any more.
    private mutating func refuseWaiting(staysOwner: Bool = false) -> [Directive] {
        guard let waiting = owner?.waiting else { return [] }
        owner?.waiting.removeAll()
        return (staysOwner ? [] : stopPublishing()) + waiting.map { .refuse($0.id, .notOwner, to: $0.sender) }
    }

    private mutating func inSyncChanged(_ new: Assignment) -> [Directive] {
        owner?.assignmentChanged(new)
        return []
    }

    /// Becomes owner of a new epoch: void everything told so far, then restate what is live.
    private mutating func takeOver(_ new: Assignment, at now: Moment) -> [Directive] {
        if let lastHeard = receiver.lastHeard, owner == nil {
            receiver.replica.stretch(by: max(now.monotonic - lastHeard, .zero))
        }
        let former = owner.flatMap { $0.isDeposed ? nil : $0 }
        var directives = refuseWaiting(staysOwner: former != nil)
        owner = Ownership(new, policy: policy, at: now.monotonic)
        receiver = ReplicaReceiver(domain: domain, role: .standby, replica: receiver.replica)
        if !receiver.replica.isComplete { directives += [.store(.reset(.start)), .store(.sealed)] }
        receiver.replica.isComplete = true
        if new.cause == .restart { dropExpired(at: now) }
        directives.append(.becameOwner(epoch: new.epoch, new.cause, contacts: replica.table.count))
        append(.clear(new.cause), at: now)
        owner?.replayCursor = 0
        directives += beginPublishing(after: former)
        if new.cause == .storageCleared, let lastClear {
            owner?.waiting.append(
                Ownership.Waiting(seq: 1, id: lastClear.id, sender: lastClear.sender, reply: .unregistered(count: 0)))
        }
        return directives
    }

    /// After a restart what ran out in the meantime is not restated: the `clear` has voided it.
    private mutating func dropExpired(at now: Moment) {
        let time = replica.time(at: now)
        while receiver.replica.table.popExpired(at: time) != nil {}
    }

    // MARK: The owner's log

    /// Gives a change its place in the order and applies it here.
    mutating func append(_ change: LogEntry.Change, at now: Moment) {
        guard owner != nil else { preconditionFailure("only an owner of \(domain) appends, got \(change)") }
        let entry = LogEntry(seq: owner!.ring.lastSeq + 1, timestamp: now.wall, change: change)
        receiver.replica.apply(entry, epoch: owner!.epoch, at: now)
        owner!.ring.append(entry, at: replica.time(at: now), keepingAfter: owner!.committed)
        owner!.unstored.append(entry)
    }
}

extension DomainMachine.Directive {
    /// What the receiving half of replication wants is carried out as it is.
    init(_ directive: ReplicaReceiver.Directive) {
        switch directive {
        case .send(let message, let peer): self = .send(message, to: peer)
        case .store(let record): self = .store(record)
        case .alarm(let text): self = .alarm(text)
        case .replayed(let position, _), .resynced(let position): self = .replayEnded(position)
        case .applied, .accounts: preconditionFailure("a standby was handed what is for followers: \(directive)")
        }
    }

    static func refuse(_ id: UInt64, _ refusal: Refusal, to peer: NodeName) -> Self {
        .send(.reply(Reply(id: id, result: .refused(refusal))), to: peer)
    }
}
