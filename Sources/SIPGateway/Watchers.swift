import ClusterRuntime
import DequeModule
import RegistrarEvents
import SIP
import Synchronization

/// The watchers of a domain's accounts: the notifier of the event package `reg`.
///
/// What it decides: who may subscribe beside whom, what each watcher is told and when, and when a subscription is over.
/// While there are watchers it follows the domain like any follower, so it has the domain's whole list; without any it
/// has nothing. A watcher is told everything first and after each SUBSCRIBE, then what changes; and everything again
/// once the list is restated after a `clear`, or replaced by a snapshot.
///
/// Invariants: each watcher has one NOTIFY under way at most; what it is told is complete up to some position of the
/// log, and nothing is told of a list that is not whole; every request is answered exactly once.
///
/// What it does not know: sockets, passwords, and which event loop does what.
///
/// Sources: RFC 3680, RFC 6665.
struct Watchers {
    enum Event: Sendable {
        case assigned(Assignment)
        case append(Append, from: NodeID)
        case chunk(SnapshotChunk, from: NodeID)
        case subscribe(WatchRequest)
        case answered(NotifyAnswer)
        /// A connection is no more that a SUBSCRIBE came over.
        case closed(WatcherWay.Connection)
        /// The account is no more.
        case removed(account: String)
        /// Time goes by; about each 100 ms while `isActive`.
        case tick
        /// Everything that had arrived has been handled.
        case turnEnded
        /// The node stops: everybody is told, and nobody is taken in any more.
        case stop
    }

    enum Directive: Sendable {
        case send(Message, to: NodeName)
        case answer(WatchRequest, WatchAnswer)
        case notify([UInt8], WatcherWay)
        /// Something that ought not to happen; for the log.
        case alarm(String)
    }

    /// A SUBSCRIBE that waits for the list.
    struct Waiting {
        let watch: WatchRequest
        let since: MonotonicInstant
    }

    let domain: DomainName
    let settings: WatcherSettings
    let counters: SIPCounters
    var random: SplitMix64
    /// The domain's list, while there is anybody to tell.
    var receiver: ReplicaReceiver?
    var assignment: Assignment?
    /// Whether everything live has been restated since the last `clear`.
    var isSettled = false
    /// Those that somebody watches, by name.
    var accounts: [ExactText: WatchedAccount] = [:]
    /// By the local tags of their dialogs.
    var watchers: [String: Watcher] = [:]
    /// The tags of those who are reached over a connection.
    var connected: [WatcherWay.Connection: [String]] = [:]
    var waiting: [Waiting] = []
    /// Watchers that a NOTIFY is to be sent to, in their order, and those for which it is too early.
    var due: Deque<String> = []
    var delayed: [String] = []
    /// Watchers that may have a NOTIFY under way.
    var listed: [String] = []
    /// How many more may begin before the next tick.
    var budget: Int
    private var isStopped = false
    private var lastSweep = MonotonicInstant.distantPast
    /// Since when there is nobody to tell.
    private var idleSince: MonotonicInstant?

    init(domain: DomainName, settings: WatcherSettings, counters: SIPCounters, seed: UInt64) {
        self.domain = domain
        self.settings = settings
        self.counters = counters
        random = SplitMix64(seed: seed)
        budget = settings.notificationsPerTick
    }

    /// Whether time could do anything.
    var isActive: Bool { receiver != nil }

    /// Whether the list is whole and has been restated.
    var isServing: Bool { isSettled && receiver?.replica.isComplete == true }

    /// Whether watchers can be told anything. Of a domain that is no more there is no list to wait for.
    var mayTell: Bool { isServing || assignment?.isRetired == true }

    mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        switch event {
        case .assigned(let new):
            assignment = new
            if new.isRetired { endAll(at: now) }
            return replicate(.assigned(new), at: now)
        case .append(let append, let sender): return replicate(.append(append, from: sender), at: now)
        case .chunk(let chunk, let sender): return replicate(.chunk(chunk, from: sender), at: now)
        case .subscribe(let watch): return subscribe(watch, at: now)
        case .answered(let answer):
            answered(answer, at: now.monotonic)
            return []
        case .closed(let connection): return closed(connection)
        case .removed(let account):
            endContacts(of: ExactText(account))
            for tag in accounts[ExactText(account)]?.watchers ?? [] {
                watchers[tag]?.end(.noResource)
                queue(tag, at: now.monotonic)
            }
            return []
        case .tick: return replicate(.tick, at: now) + timePassed(at: now.monotonic)
        case .turnEnded: return pump(at: now.monotonic) + replicate(.turnEnded, at: now)
        case .stop: return stop(at: now.monotonic)
        }
    }

    /// The domain is no more. Where its end was not heard of, what was there is void all the same.
    private mutating func endAll(at now: Moment) {
        let heardAll = isServing
        for name in accounts.keys {
            if heardAll { endContacts(of: name) } else { accounts[name]?.restate([], at: now.monotonic) }
        }
        for tag in watchers.keys.sorted() where watchers[tag]?.ending == nil {
            watchers[tag]?.end(.noResource)
            if !heardAll { watchers[tag]?.oweEverything() }
            queue(tag, at: now.monotonic)
        }
    }

    /// What was registered under an account that is no more has ended, whether or not the log has said so yet: the last
    /// NOTIFY tells of it.
    private mutating func endContacts(of account: ExactText) {
        guard let ended = accounts[account]?.endAll() else { return }
        for tag in accounts[account]?.watchers ?? [] {
            for change in ended { watchers[tag]?.owe(change) }
        }
    }

    // MARK: SUBSCRIBE

    private mutating func subscribe(_ watch: WatchRequest, at now: Moment) -> [Directive] {
        guard !isStopped else { return [refuseForNow(watch)] }
        switch watch.kind {
        case .refresh(let tag):
            guard var watcher = watchers[tag] else { return [.answer(watch, .refused(.noSubscription))] }
            do throws(SIPRefusal) {
                try watcher.refresh(watch, at: now.monotonic)
            } catch { return [.answer(watch, .refused(error))] }
            if let before = watchers.updateValue(watcher, forKey: tag) { disconnect(tag, from: before.way) }
            connect(tag, to: watcher.way)
            queue(tag, at: now.monotonic)
            return [.answer(watch, .accepted)]
        case .begin(let account, let addressOfRecord):
            guard isServing else {
                waiting.append(Waiting(watch: watch, since: now.monotonic))
                return follow(at: now)
            }
            return [begin(watch, account, addressOfRecord, at: now)]
        }
    }

    /// - Precondition: the list is whole.
    private mutating func begin(
        _ watch: WatchRequest, _ account: String, _ addressOfRecord: String, at now: Moment
    ) -> Directive {
        let tag = watch.request.localTag
        // RFC 3261 section 8.2.2.2: over a stream, where repetitions are not looked for.
        guard watchers[tag] == nil else { return .answer(watch, .refused(SIPRefusal(status: 482))) }
        // Others have come while the request waited for the list.
        guard counters.watchers.load(ordering: .relaxed) < UInt64(settings.watchersPerNode) else {
            return .answer(watch, .refused(.tooManyWatchers))
        }
        let name = ExactText(account)
        guard accounts[name]?.watchers.count ?? 0 < settings.watchersPerAccount else {
            let reason = "Forbidden (\(settings.watchersPerAccount) watchers at most)"
            return .answer(watch, .refused(SIPRefusal(status: 403, reason: reason)))
        }
        if accounts[name] == nil { accounts[name] = restated(account, WatchedAccount(), at: now) }
        accounts[name]?.watchers.append(tag)
        watchers[tag] = Watcher(
            watch, account: account, addressOfRecord: addressOfRecord, at: now.monotonic)
        connect(tag, to: watch.way)
        counters.watchers.count()
        queue(tag, at: now.monotonic)
        return .answer(watch, .accepted)
    }

    /// The list is whole now: whoever has waited for it is let in.
    mutating func serveWaiting(at now: Moment) -> [Directive] {
        let served = waiting
        waiting = []
        return served.flatMap { subscribe($0.watch, at: now) }
    }

    mutating func refuseForNow(_ watch: WatchRequest) -> Directive {
        .answer(watch, .refused(.unavailable(after: retryAfter())))
    }

    /// Seconds after which to come back: spread, so that those who are turned away together do not return together.
    private mutating func retryAfter() -> Int { Int.random(in: 1...5, using: &random) }

    // MARK: Time

    private mutating func timePassed(at now: MonotonicInstant) -> [Directive] {
        budget = settings.notificationsPerTick
        var directives = repeatNotifications(at: now)
        let overdue = waiting.filter { now - $0.since >= settings.waitingTime }
        if !overdue.isEmpty {
            waiting.removeAll { now - $0.since >= settings.waitingTime }
            directives += overdue.map { refuseForNow($0.watch) }
        }
        sweep(at: now)
        queueDelayed(at: now)
        forgetIfIdle(at: now)
        return directives
    }

    /// Ends what has run out, once a second.
    private mutating func sweep(at now: MonotonicInstant) {
        guard now - lastSweep >= .seconds(1) else { return }
        lastSweep = now
        let ended = watchers.filter { $0.value.deadline <= now && $0.value.ending == nil }
        for tag in ended.keys.sorted() {
            watchers[tag]?.end(.timeout)
            watchers[tag]?.oweEverything()
            queue(tag, at: now)
        }
    }

    /// Follows the domain no longer once nobody has wanted that for a while: fetches come one after the other.
    private mutating func forgetIfIdle(at now: MonotonicInstant) {
        guard watchers.isEmpty, waiting.isEmpty else {
            idleSince = nil
            return
        }
        let since = idleSince ?? now
        idleSince = since
        guard now - since >= settings.lingering else { return }
        (receiver, isSettled, idleSince) = (nil, false, nil)
    }

    private mutating func stop(at now: MonotonicInstant) -> [Directive] {
        isStopped = true
        var directives = waiting.map { refuseForNow($0.watch) }
        waiting = []
        for tag in watchers.keys.sorted() where watchers[tag]?.isOver == false {
            let seconds = retryAfter()
            watchers[tag]?.end(.probation(retryAfter: seconds))
            directives += notify(tag, at: now)
        }
        return directives
    }
}

/// The limits and periods of watchers.
struct WatcherSettings: Sendable {
    var watchersPerAccount = Limits().watchersPerAccount
    /// Of all domains.
    var watchersPerNode = Limits().watchersPerNode
    /// Between two notifications of changes to one watcher.
    var notifyInterval = Periods().notifyInterval
    /// How long a SUBSCRIBE waits for the domain's list.
    var waitingTime = Periods().requestDeadline
    /// Notifications that begin between two ticks, so that a failover is not a flood.
    var notificationsPerTick = 500
    /// Bytes of one document; what does not fit follows in the next.
    var documentBytes = 48 << 10
    /// How long a domain is followed after its last watcher.
    var lingering = Duration.seconds(60)

    init() {}

    init(_ settings: SIPSettings) {
        watchersPerAccount = settings.limits.watchersPerAccount
        watchersPerNode = settings.limits.watchersPerNode
        notifyInterval = settings.periods.notifyInterval
        waitingTime = settings.periods.requestDeadline
    }
}
