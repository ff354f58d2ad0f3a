public import ClusterRuntime
public import RegistrarEvents

/// Follows a domain for this node's subscribers: keeps its list and its recent events, and decides who gets what.
///
/// A subscription is *live* (each event is pushed to it), or is being sent a snapshot, or is catching up with the
/// recent events; the last two go at the socket's own pace, slice by slice, and end in live. A socket that cannot keep
/// up goes from live to catching up, and when that would be longer than the list itself, to a snapshot that begins
/// with `clear(resync)`.
///
/// Invariants: a live subscription has been given everything up to `pushed`; what a subscription is given is in the
/// order of the domain's log, without a gap but for those that a `clear` announces.
///
/// It knows nothing of sockets, rights and logins.
public struct Follower: Sendable {
    public enum Event: Sendable {
        case assigned(Assignment)
        case append(Append, from: NodeID)
        case chunk(SnapshotChunk, from: NodeID)
        case subscribe(SubscribeRequest)
        /// The socket has room for more; `lostAfter`: it has dropped what was pushed after this position.
        case ready(SubscriberID, lostAfter: Position?)
        /// The subscription is over. To be confirmed, so that whoever begins and ends them in a loop waits for it.
        case cancel(SubscriberID)
        /// Time goes by; about each 100 ms.
        case tick
        /// Everything that had arrived has been handled: push, and acknowledge.
        case turnEnded
    }

    public enum Directive: Sendable {
        case send(Message, to: NodeName)
        case deliver(Delivery)
        /// Something that ought not to happen; for the log and a counter.
        case alarm(String)
    }

    public let domain: DomainName
    let settings: FollowerSettings
    var receiver: ReplicaReceiver
    var recent: RecentEvents
    /// Live subscriptions to events have been given everything up to here.
    var pushed: RecentEvents.Place
    var states: RecentStates
    /// Live subscriptions to states have been given everything up to here; they are told nothing while a replay goes
    /// on.
    var pushedStates = Position.start
    var subscriptions: [SubscriberID: Subscription] = [:]
    var audience = Audience()
    var waitingCount = 0
    /// The last snapshot of the whole list.
    var shared: ListSnapshot? {
        didSet { slices.begin(shared) }
    }
    var slices = SliceCache()
    /// The last list of all accounts that are online.
    var sharedStates: StatesSnapshot?
    var lists = LivingLists()
    /// The owner begins this epoch's log anew, since a snapshot failed: nothing is pushed until the list is whole.
    private(set) var isRebuilding = false
    /// Whether nobody serves the domain any more, because the topology has it no more.
    public private(set) var isRetired = false
    /// The list was given up for another that is not whole yet: what its entries change is not what subscribers know.
    var isReplacing = false
    private var lastSweep = MonotonicInstant.distantPast

    public init(domain: DomainName, settings: FollowerSettings = FollowerSettings()) {
        self.domain = domain
        self.settings = settings
        receiver = ReplicaReceiver(domain: domain, role: .follower)
        recent = RecentEvents(
            domain: domain, maximumCount: settings.ringEntries, maximumBytes: settings.ringBytes)
        pushed = recent.end
        states = RecentStates(
            domain: domain, maximumCount: settings.ringEntries, maximumBytes: settings.ringBytes)
    }

    /// The list, and what is known of its place in the log.
    public var replica: DomainReplica { receiver.replica }

    public var report: FollowerReport {
        let replica = receiver.replica
        return FollowerReport(
            copy: CopyReport(
                domain: domain, position: replica.position, complete: replica.isComplete,
                users: UInt64(replica.table.userCount), sipusers: UInt64(replica.table.sipuserCount),
                digest: replica.table.digest),
            subscriptions: subscriptions.count, waiting: waitingCount, recentEvents: recent.count)
    }

    public mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        switch event {
        case .assigned(let assignment):
            isRetired = assignment.isRetired
            return isRetired ? retire(assignment, at: now) : replicate(.assigned(assignment), at: now)
        case .append(let append, let sender):
            let directives = replicate(.append(append, from: sender), at: now)
            if append.replayEnd > 0, append.epoch == recent.last.epoch {
                recent.replayEnded(at: Position(epoch: append.epoch, seq: append.replayEnd))
            }
            return directives
        case .chunk(let chunk, let sender): return replicate(.chunk(chunk, from: sender), at: now)
        case .subscribe(let request): return push(at: now) + subscribe(request, at: now)
        case .ready(let id, let lostAfter): return push(at: now) + ready(id, lostAfter: lostAfter, at: now)
        case .cancel(let id):
            remove(id)
            return [.deliver(Delivery(to: [id], .ended))]
        case .tick: return replicate(.tick, at: now) + sweep(at: now)
        case .turnEnded: return push(at: now) + replicate(.turnEnded, at: now)
        }
    }

    /// When it wants a tick even if nothing arrives.
    public var nextTick: MonotonicInstant {
        if waitingCount > 0 || receiver.isCourting { return .distantPast }
        let next = receiver.nextTick ?? MonotonicInstant(nanoseconds: .max)
        let hasToSweep = !subscriptions.isEmpty || shared != nil || sharedStates != nil
        return hasToSweep ? min(next, lastSweep + .seconds(1)) : next
    }

    /// Whether snapshots can be taken: the list is whole, and is as of the last recent event.
    var isServing: Bool { receiver.replica.isComplete && receiver.replica.position == recent.last }

    // MARK: The list

    mutating func replicate(_ event: ReplicaReceiver.Event, at now: Moment) -> [Directive] {
        var directives: [Directive] = []
        var (isReplaced, isWhole) = (false, false)
        let wasWhole = receiver.replica.isComplete
        for directive in receive(event, at: now) {
            switch directive {
            case .send(let message, let peer): directives.append(.send(message, to: peer))
            case .applied(let entries, let replaced, let epoch): take(entries, replaced, epoch: epoch)
            case .accounts(let changes): if !isRebuilding { states.append(changes) }
            case .resynced(let position):
                recent.restart(at: position)
                isReplaced = true
            case .replayed(_, let void):
                isWhole = true
                if !isReplacing, !isRebuilding { directives += tell(void: void, at: now) }
            case .alarm(let text): directives.append(.alarm(text))
            case .store: preconditionFailure("a follower keeps no journal, but was told to store for \(domain)")
            }
        }
        if isRebuilding, receiver.replica.isComplete { (isRebuilding, isReplaced) = (false, true) }
        if isReplaced {
            directives += replaced(at: now)
        } else if isWhole, isReplacing {
            isReplacing = false
            directives += restartChanges(at: now)
        }
        if !isReplaced, !wasWhole, receiver.replica.isComplete { directives += restartStates(at: now) }
        if recent.last != .start { states.follow(through: recent.last, endOfReplay: receiver.endOfReplay) }
        if waitingCount > 0, isServing { directives += push(at: now) + serveWaiting(at: now) }
        return directives
    }

    private mutating func take(_ entries: [LogEntry], _ replaced: [PackedContact?], epoch: UInt64) {
        guard let first = entries.first else { return }
        if Position(epoch: epoch, seq: first.seq) <= recent.last { isRebuilding = true }
        if isRebuilding, let last = entries.last {
            recent.restart(at: Position(epoch: epoch, seq: last.seq))
            pushed = recent.end
            skipStates()
        } else {
            for (entry, replaced) in zip(entries, replaced) {
                let effect = !isReplacing ? RecentEvents.Effect(of: entry, replaced: replaced) : .none
                recent.append(entry, epoch: epoch, effect: effect)
            }
        }
    }

    /// A whole list has taken the place of the one there was.
    private mutating func replaced(at now: Moment) -> [Directive] {
        isReplacing = false
        pushed = recent.end
        shared = nil
        skipStates()
        return restartAll(at: now)
    }

    // MARK: Time

    /// Ends what has run out, and forgets the shared snapshot, once a second.
    private mutating func sweep(at now: Moment) -> [Directive] {
        guard now.monotonic - lastSweep >= .seconds(1) else { return [] }
        lastSweep = now.monotonic
        if !lists.areEnough {
            let old = now.monotonic - settings.snapshotSharing * 10
            if let shared, shared.taken <= old { self.shared = nil }
            if let sharedStates, sharedStates.taken <= old { self.sharedStates = nil }
        }
        let due = subscriptions.filter { $0.value.deadline <= now.monotonic || isOverdue($0.value, at: now) }
        return due.keys.sorted().flatMap { id in
            var answers = 0
            if case .waiting(_, let count, _) = subscriptions[id]?.state { answers = count }
            remove(id)
            return Array(repeating: answer(id, .refused(.unavailable)), count: answers)
                + [.deliver(Delivery(to: [id], .ended))]
        }
    }

    /// Whether a subscription has waited too long for the list. One that was live before has all its time.
    private func isOverdue(_ subscription: Subscription, at now: Moment) -> Bool {
        guard case .waiting(_, let answers, let since) = subscription.state else { return false }
        return answers > 0 && now.monotonic - since >= settings.waitingTime
    }

    /// Forgets a subscription.
    mutating func remove(_ id: SubscriberID) {
        guard let subscription = subscriptions.removeValue(forKey: id) else { return }
        switch subscription.state {
        case .waiting: waitingCount -= 1
        case .live: audience.remove(id, subscription.matcher)
        case .snapshot, .catchingUp, .statesSnapshot, .catchingUpWithStates: break
        }
    }

    func answer(_ id: SubscriberID, _ answer: SubscribeAnswer) -> Directive {
        .deliver(Delivery(to: [id], .answer(answer)))
    }
}
