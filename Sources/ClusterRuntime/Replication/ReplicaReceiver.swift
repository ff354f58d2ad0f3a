public import RegistrarEvents

/// Keeps a copy of a domain in step with its owner: the receiving half of replication, for standbys and followers.
///
/// It decides which entries and chunks to take in and what to ask for. Its whole state towards the owner is a position
/// (and the next chunk of a snapshot under way); it repeats that in `Follow`, which acknowledges, asks and shows life
/// at once, so any message may be lost.
///
/// Invariants: an entry is applied only right after its predecessor; nothing is taken from anyone but the owner of the
/// assignment in force, in its epoch; a snapshot counts as whole only when count and digest match the owner's.
public struct ReplicaReceiver: Sendable {
    public enum Event: Sendable {
        /// The assignment in force.
        case assigned(Assignment)
        case append(Append, from: NodeID)
        case chunk(SnapshotChunk, from: NodeID)
        /// Time goes by: at the latest at `nextTick`.
        case tick
        /// Everything that had arrived has been handled: acknowledge.
        case turnEnded
    }

    public enum Directive: Sendable, Hashable {
        case send(Message, to: NodeName)
        /// Keep this on disk (standbys only).
        case store(JournalRecord)
        /// Entries of the domain's log, in order, each once (followers only; not those within a snapshot). For each
        /// the contact that it replaced or ended, nil where there was none.
        case applied([LogEntry], replaced: [PackedContact?], epoch: UInt64)
        /// Accounts that came online or went offline, in order: with the entries applied last, or since a replay has
        /// ended without them (followers only, and of a whole list: when one becomes whole, who is online is in it).
        case accounts([AccountChange])
        /// A snapshot replaced the whole list, which now is as of this position.
        case resynced(Position)
        /// After a `clear`: everything live has been restated by here, and this has not been, so it is void.
        case replayed(Position, void: [PackedContact])
        /// Something that ought not to happen; for the log and a counter.
        case alarm(String)
    }

    public let domain: DomainName
    public let role: Follow.Role
    public var replica: DomainReplica
    /// When the owner was last heard: a new owner stretches deadlines from here.
    public private(set) var lastHeard: MonotonicInstant?

    private let followInterval: Duration
    private var assignment: Assignment?
    private var snapshot: UInt64 = 0
    /// The last snapshot of this owner that was taken in whole: what is still under way of it says nothing new.
    private var finished: UInt64 = 0
    private var nextChunk: UInt32 = 0
    private var seal: SnapshotChunk.Seal?
    /// The entry by which the owner has restated everything in this epoch; 0 before it said so.
    private var replayEnd: UInt64 = 0
    private var isAcknowledgementDue = false
    private var isRewindDue = false
    private var lastFollow = MonotonicInstant.distantPast
    /// When there was last anything to take in: a replica shows life the more seldom the longer there was nothing.
    private var lastNews = MonotonicInstant.distantPast
    private var lastRewind = MonotonicInstant.distantPast
    /// How often the owner in force was told of this replica before it said anything; nil once it has.
    private var unanswered: Int?

    /// - Parameter followInterval: how often a replica shows life to which nothing was said a moment ago.
    public init(
        domain: DomainName, role: Follow.Role, replica: DomainReplica = DomainReplica(),
        followInterval: Duration = .milliseconds(500)
    ) {
        self.domain = domain
        self.role = role
        self.replica = replica
        self.followInterval = followInterval
    }

    /// How long to wait for what was asked again before asking once more.
    private static let rewindInterval = Duration.milliseconds(100)
    /// An owner that learns of its assignment later than its replicas do has missed their first word: it is repeated,
    /// each time after twice as long.
    private static let courtingInterval = Duration.milliseconds(25)

    /// Whether an owner has been told of this replica, and was not heard yet.
    public var isCourting: Bool { unanswered.map { interval(after: $0) < followInterval } ?? false }

    private func interval(after unanswered: Int) -> Duration {
        min(followInterval, Self.courtingInterval * (1 << max(0, unanswered - 1)))
    }

    /// When it wants a tick even if nothing arrives; nil while the domain has no owner.
    public var nextTick: MonotonicInstant? { assignment?.owner == nil ? nil : lastFollow + followWait }

    /// How long after the last word to the owner the next one is due. Thousands of quiet domains must cost next to
    /// nothing, so a replica that has everything waits for as long as it has been quiet already.
    private var followWait: Duration {
        if let unanswered { return interval(after: unanswered) }
        let isAtRest = replica.isComplete && replica.isReplayed && !isInSnapshot && !isRewindDue
        guard isAtRest else { return followInterval }
        return Quiet.interval(lastFollow - lastNews, atLeast: followInterval, atMost: Quiet.longestPause)
    }

    private var isInSnapshot: Bool { snapshot != 0 }
    private var epoch: UInt64 { assignment?.epoch ?? 0 }
    /// How far this epoch's log is applied.
    private var applied: UInt64 { replica.position.epoch == epoch ? replica.position.seq : 0 }

    /// Where this epoch's replay ended; nil before the owner has said so.
    public var endOfReplay: Position? { replayEnd > 0 ? Position(epoch: epoch, seq: replayEnd) : nil }

    public mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        switch event {
        case .assigned(let assignment): return assigned(assignment, at: now)
        case .append(let append, let sender): return take(append, from: sender, at: now)
        case .chunk(let chunk, let sender): return take(chunk, from: sender, at: now)
        case .tick:
            guard now.monotonic - lastFollow >= followWait else { return [] }
            return follow(at: now)
        case .turnEnded:
            return isAcknowledgementDue || isRewindDue ? follow(at: now) : []
        }
    }

    /// The owner's node has vouched for it. That stands for a word of the owner, which speaks seldom while nothing
    /// happens; but not before the owner in force has said anything at all.
    public mutating func vouch(for owner: NodeID, at sign: MonotonicInstant) {
        guard assignment?.owner == owner, unanswered == nil, let lastHeard else { return }
        self.lastHeard = max(lastHeard, sign)
    }

    /// This node was the owner itself.
    public mutating func ownedHere(until now: MonotonicInstant) { lastHeard = now }

    // MARK: Assignment

    private mutating func assigned(_ new: Assignment, at now: Moment) -> [Directive] {
        let isNewOwner = new.epoch != assignment?.epoch || new.owner != assignment?.owner
        assignment = new
        lastNews = now.monotonic
        guard isNewOwner else { return [] }
        finished = 0
        unanswered = 0
        replayEnd = 0
        // Part of a list is nothing to go on from: what is missing of it would never come.
        guard isInSnapshot || !replica.isComplete, replica.position != .start else { return follow(at: now) }
        abandonSnapshot()
        return store(.reset(.start)) + follow(at: now)
    }

    private mutating func abandonSnapshot() {
        snapshot = 0
        nextChunk = 0
        seal = nil
        replica.reset(to: .start)
    }

    /// Tells the owner where this replica is.
    private mutating func follow(at now: Moment) -> [Directive] {
        guard let owner = assignment?.owner else { return [] }
        let rewinds = isRewindDue && now.monotonic - lastRewind >= Self.rewindInterval
        if rewinds { lastRewind = now.monotonic }
        isRewindDue = isRewindDue && !rewinds
        isAcknowledgementDue = false
        lastFollow = now.monotonic
        unanswered = unanswered.map { min($0 + 1, 8) }
        return [.send(.follow(message(rewind: rewinds)), to: owner.name)]
    }

    private func message(rewind: Bool) -> Follow {
        Follow(
            domain: domain, role: role, epoch: epoch, applied: replica.position,
            complete: replica.isComplete && replica.isReplayed,
            snapshot: snapshot, nextChunk: nextChunk, rewind: rewind)
    }

    /// Whether a message comes from the owner in force. A deposed owner is told so.
    private func isFromOwner(_ sender: NodeID, epoch messageEpoch: UInt64) -> (Bool, [Directive]) {
        guard let assignment else { return (false, []) }
        if messageEpoch < assignment.epoch { return (false, [.send(.follow(message(rewind: false)), to: sender.name)]) }
        return (sender == assignment.owner && messageEpoch == assignment.epoch, [])
    }

    // MARK: The log

    private mutating func take(_ append: Append, from sender: NodeID, at now: Moment) -> [Directive] {
        let (isValid, answer) = isFromOwner(sender, epoch: append.epoch)
        guard isValid else { return answer }
        lastHeard = now.monotonic
        unanswered = nil
        if !append.entries.isEmpty {
            isAcknowledgementDue = true
            lastNews = now.monotonic
        }
        guard append.base <= applied else {
            isRewindDue = true
            return []
        }
        replayEnd = max(replayEnd, append.replayEnd)
        var directives: [Directive] = []
        var fresh = Fresh()
        for (index, entry) in append.entries.enumerated() where applied < .max && entry.seq == applied + 1 {
            apply(entry, age: index < append.ages.count ? append.ages[index] : 0, &fresh, at: now)
            isRewindDue = false
            if isInSnapshot, let seal, applied == seal.seq {
                flush(&fresh, at: now, into: &directives)
                directives += close(seal)
            }
            // At the entry itself, so that the replay ends at the same position in every copy.
            if isReplayOver { endReplay(&fresh, entry.timestamp, at: now, into: &directives) }
        }
        flush(&fresh, at: now, into: &directives)
        if isReplayOver { endReplay(&fresh, now.wall, at: now, into: &directives) }
        return directives
    }

    /// What has been applied and not yet been told.
    private struct Fresh {
        var entries: [LogEntry] = []
        /// For each of a follower's entries, what it replaced or ended.
        var replaced: [PackedContact?] = []
        /// Of a follower's whole list.
        var accounts: [AccountChange] = []
    }

    private mutating func apply(_ entry: LogEntry, age: UInt32, _ fresh: inout Fresh, at now: Moment) {
        // The journal counts a time to live from when it is written.
        fresh.entries.append(role == .standby ? entry.aged(by: age) : entry)
        let position = Position(epoch: epoch, seq: entry.seq)
        let isWatched = role == .follower && replica.isComplete
        if isWatched, entry.change == .clear(.storageCleared) {
            replica.table.forEachAccount {
                fresh.accounts.append(AccountChange(position, entry.timestamp, $0, isOnline: false))
            }
        }
        let before = replica.table.accountCount
        let replaced = replica.apply(entry, epoch: epoch, age: age, at: now)
        let after = replica.table.accountCount
        if role == .follower { fresh.replaced.append(replaced) }
        if isWatched, after != before, let contact = entry.change.contact {
            fresh.accounts.append(AccountChange(position, entry.timestamp, contact, isOnline: after > before))
        }
    }

    private func flush(_ fresh: inout Fresh, at now: Moment, into directives: inout [Directive]) {
        guard !fresh.entries.isEmpty else { return }
        switch role {
        case .standby:
            directives.append(.store(.entries(epoch: epoch, fresh.entries)))
        case .follower:
            guard !isInSnapshot else { break }
            directives.append(.applied(fresh.entries, replaced: fresh.replaced, epoch: epoch))
            if !fresh.accounts.isEmpty { directives.append(.accounts(fresh.accounts)) }
        }
        fresh = Fresh()
    }

    // MARK: The end of a replay

    /// Whether everything live has been restated, and that has yet to be acted upon.
    private var isReplayOver: Bool { !isInSnapshot && !replica.isReplayed && replayEnd > 0 && applied >= replayEnd }

    private mutating func endReplay(
        _ fresh: inout Fresh, _ timestamp: Int64, at now: Moment, into directives: inout [Directive]
    ) {
        flush(&fresh, at: now, into: &directives)
        let position = replica.position
        let wasWhole = replica.isComplete
        var changes: [AccountChange] = []
        let void = replica.sweep { changes.append(AccountChange(position, timestamp, $0, isOnline: false)) }
        switch role {
        case .standby: directives.append(.store(.swept))
        case .follower: if wasWhole, !changes.isEmpty { directives.append(.accounts(changes)) }
        }
        directives.append(.replayed(position, void: void))
    }

    // MARK: Snapshots

    private mutating func take(_ chunk: SnapshotChunk, from sender: NodeID, at now: Moment) -> [Directive] {
        let (isValid, answer) = isFromOwner(sender, epoch: chunk.epoch)
        guard isValid else { return answer }
        lastHeard = now.monotonic
        unanswered = nil
        isAcknowledgementDue = true
        lastNews = now.monotonic
        var directives: [Directive] = []
        if chunk.index == 0, chunk.snapshot > max(snapshot, finished) {
            replica.reset(to: Position(epoch: epoch, seq: chunk.after))
            (snapshot, nextChunk, seal) = (chunk.snapshot, 0, nil)
            directives += store(.reset(replica.position))
        }
        guard chunk.snapshot == snapshot, chunk.index == nextChunk, chunk.after == applied else {
            isRewindDue = isRewindDue || (chunk.snapshot == snapshot && chunk.index >= nextChunk)
            return directives
        }
        nextChunk += 1
        isRewindDue = false
        replica.take(chunk.contacts, at: now)
        directives += store(.contacts(chunk.contacts))
        seal = chunk.seal
        if let seal, applied == seal.seq { directives += close(seal) }
        return directives
    }

    /// The replica is where the snapshot ends: it must hold what the owner held there.
    private mutating func close(_ sealed: SnapshotChunk.Seal) -> [Directive] {
        let table = replica.table
        guard UInt64(table.count) == sealed.count, table.digest == sealed.digest else {
            let text =
                "snapshot of \(domain) ended with \(table.count) contacts, digest \(table.digest); "
                + "expected \(sealed.count), digest \(sealed.digest)"
            abandonSnapshot()
            isRewindDue = true
            return store(.reset(.start)) + [.alarm(text)]
        }
        finished = snapshot
        (snapshot, nextChunk, seal) = (0, 0, nil)
        replica.seal()
        return store(.sealed) + [.resynced(replica.position)]
    }

    private func store(_ record: JournalRecord) -> [Directive] { role == .standby ? [.store(record)] : [] }
}

extension LogEntry {
    /// The entry as it would be if it were made now: so many milliseconds of a time to live are over.
    fileprivate func aged(by age: UInt32) -> LogEntry {
        guard age > 0, case .registered(let contact, let ttl, let replay) = change else { return self }
        return LogEntry(
            seq: seq, timestamp: timestamp, change: .registered(contact, ttl: ttl - min(age, ttl), replay: replay))
    }
}
