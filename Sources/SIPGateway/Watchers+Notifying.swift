import ClusterRuntime
import DequeModule
import RegistrarEvents
import Synchronization

/// Who is sent a NOTIFY when, and what follows from its answer.
extension Watchers {
    /// Lets a watcher that is owed something have its turn. One with a NOTIFY under way gets it afterwards.
    mutating func queue(_ tag: String, at now: MonotonicInstant) {
        guard let watcher = watchers[tag], watcher.transaction == nil, !watcher.isOver, watcher.debt != .nothing
        else { return }
        let queue: Watcher.Queue = watcher.isUrgent || watcher.earliest <= now ? .due : .delayed
        switch (watcher.queue, queue) {
        case (.none, .due), (.delayed, .due): due.append(tag)
        case (.none, .delayed): delayed.append(tag)
        case (.due, _), (.delayed, _), (_, .none): return
        }
        watchers[tag]?.queue = queue
    }

    /// Those whose time has come.
    mutating func queueDelayed(at now: MonotonicInstant) {
        let candidates = delayed
        for tag in candidates { queue(tag, at: now) }
        // Those that were due earlier have left the queue in the meantime, and may be in it once more.
        var kept: Set<String> = []
        delayed = candidates.filter { watchers[$0]?.queue == .delayed && kept.insert($0).inserted }
    }

    /// Sends what is due, as far as that may be done now.
    mutating func pump(at now: MonotonicInstant) -> [Directive] {
        guard mayTell else { return [] }
        var directives: [Directive] = []
        while budget > 0, let tag = due.popFirst() {
            watchers[tag]?.queue = .none
            guard let watcher = watchers[tag], watcher.transaction == nil, !watcher.isOver else { continue }
            budget -= 1
            directives += notify(tag, at: now)
        }
        return directives
    }

    mutating func notify(_ tag: String, at now: MonotonicInstant) -> [Directive] {
        guard let watcher = watchers[tag] else { return [] }
        let contacts = accounts[ExactText(watcher.account)]?.contacts ?? []
        guard
            let transaction = watchers[tag]?.notify(
                contacts, within: settings.documentBytes, gap: settings.notifyInterval, at: now)
        else { return [] }
        counters.notifies.count()
        if !watcher.isListed {
            watchers[tag]?.isListed = true
            listed.append(tag)
        }
        return [.notify(transaction.bytes, watcher.way)]
    }

    // MARK: Connections

    /// A watcher is reached over its way's connection, when that is one.
    mutating func connect(_ tag: String, to way: WatcherWay) {
        guard let connection = way.connection else { return }
        connected[connection, default: []].append(tag)
    }

    mutating func disconnect(_ tag: String, from way: WatcherWay) {
        guard let connection = way.connection, var tags = connected[connection] else { return }
        tags.removeAll { $0 == tag }
        connected[connection] = tags.isEmpty ? nil : tags
    }

    /// Nothing reaches those any more who were reached over a connection. That ends what is under way, and so the
    /// subscription. Sources: RFC 3261 section 17.1.4, RFC 6665 section 4.2.2.
    mutating func closed(_ connection: WatcherWay.Connection) -> [Directive] {
        for tag in connected.removeValue(forKey: connection) ?? [] { remove(tag, isLost: true) }
        let unheard = waiting.filter { $0.watch.way.connection == connection }
        waiting.removeAll { $0.watch.way.connection == connection }
        return unheard.map { refuseForNow($0.watch) }
    }

    // MARK: Transactions

    /// Source for what ends a subscription: RFC 6665 section 4.2.2.
    mutating func answered(_ answer: NotifyAnswer, at now: MonotonicInstant) {
        let tag = answer.branch.tag
        guard let watcher = watchers[tag], watcher.transaction?.cseq == answer.branch.cseq else { return }
        guard answer.status >= 200 else {
            watchers[tag]?.transaction?.proceeding()
            return
        }
        watchers[tag]?.transaction = nil
        if watcher.isOver {
            remove(tag, isLost: false)
        } else if answer.status < 300 {
            queue(tag, at: now)
        } else if let seconds = answer.retryAfter {
            let rest = Duration.seconds(Int64(min(max(seconds, Self.minimumRetryAfter), Self.maximumRetryAfter)))
            watchers[tag]?.wait(until: max(watcher.earliest, now + rest))
            queue(tag, at: now)
        } else {
            remove(tag, isLost: true)
        }
    }

    /// What a watcher's Retry-After counts for, in seconds. Some say 0, again and again: RFC 3261 section 14.2 has a
    /// 500 say anything up to 10. Own decision.
    private static let minimumRetryAfter: UInt32 = 1
    private static let maximumRetryAfter: UInt32 = 300

    mutating func repeatNotifications(at now: MonotonicInstant) -> [Directive] {
        var directives: [Directive] = []
        let candidates = listed
        listed = []
        for tag in candidates {
            guard let way = watchers[tag]?.way else { continue }
            switch watchers[tag]?.transaction?.timePassed(at: now) {
            case nil:
                watchers[tag]?.isListed = false
                continue
            case .wait: break
            case .repeatRequest:
                counters.notifyRepetitions.count()
                directives.append(.notify(watchers[tag]?.transaction?.bytes ?? [], way))
            case .giveUp:
                remove(tag, isLost: true)
                continue
            }
            listed.append(tag)
        }
        return directives
    }

    private mutating func remove(_ tag: String, isLost: Bool) {
        guard let watcher = watchers.removeValue(forKey: tag) else { return }
        disconnect(tag, from: watcher.way)
        if isLost, !watcher.isOver { counters.watchersLost.count() } else { counters.watchersEnded.count() }
        counters.watchers.subtract(1, ordering: .relaxed)
        let account = ExactText(watcher.account)
        accounts[account]?.watchers.removeAll { $0 == tag }
        if accounts[account]?.watchers.isEmpty == true { accounts[account] = nil }
    }
}
