public import RegistrarEvents

/// What an owner's log looks like to its feeds.
public struct FeedSource {
    public let domain: DomainName
    public let epoch: UInt64
    /// The last committed entry.
    public let committed: UInt64
    public let replayEnd: UInt64
    /// How far the domain's destinations have come.
    public let cursors: [DestinationCursor]

    public init(
        domain: DomainName, epoch: UInt64, committed: UInt64, replayEnd: UInt64, cursors: [DestinationCursor] = []
    ) {
        self.domain = domain
        self.epoch = epoch
        self.committed = committed
        self.replayEnd = replayEnd
        self.cursors = cursors
    }
}

/// Brings one replica up to date and keeps it there: the sending half of replication.
///
/// A replica whose next entry is still in the ring gets entries; any other gets a snapshot: the table's slots in order,
/// chunk by chunk, *in the stream of entries*, each to be taken in right after the entry before which it was made. As
/// entries are results, a chunk that is newer than its place does no harm: what it anticipates follows and says the
/// same. Nothing needs to be frozen meanwhile.
///
/// What is under way is bounded by windows of entries and chunks. A loss is noticed by the replica (a gap) or by time,
/// and sending goes on from what was acknowledged.
public struct ReplicaFeed: Sendable {
    /// Limits of what is sent but not acknowledged, and of one message.
    public struct Window: Hashable, Sendable {
        public var entries: UInt64 = 8_192
        public var chunks = 16
        /// A chunk holds what is in so many slots, fewer when that is more than `Limits.listBytes`.
        public var slotsPerChunk = 448
        public var entriesPerMessage = 512
        public var bytesPerMessage = 128 * 1_024
        /// A standby that is so many entries behind its owner's end has caught up.
        public var nearlyThere: UInt64 = 256

        public init() {}
    }

    public let node: NodeID
    public let role: Follow.Role
    private let window: Window
    /// Everything up to here is applied by the replica.
    public private(set) var acknowledged: UInt64 = 0
    public private(set) var isComplete = false
    public private(set) var lastHeard: MonotonicInstant
    /// Since when something is outstanding and nothing was acknowledged; nil when nothing is outstanding.
    public private(set) var waitingSince: MonotonicInstant?
    /// Whether only a snapshot can help the replica, and none may be begun.
    public private(set) var isStranded = false

    private var sent: UInt64 = 0
    private var rewoundAt = MonotonicInstant.distantPast
    private var snapshot: Snapshot?
    private var needsSnapshot = false
    private var lastSent = MonotonicInstant.distantPast
    /// When it last had anything to send but that the owner is there.
    private var lastNews = MonotonicInstant.distantPast
    /// The cursors last told, and whether they have changed since: that is told soon, however quiet the domain is.
    private var toldCursors: [DestinationCursor] = []
    private var owesCursors = false
    /// Whether the replica has spoken since the last turn. One of an earlier release does so twice a second and counts
    /// on being answered: deadlines are stretched by how long it was not.
    private var isAnswerDue = false
    /// The end of the replay, once told, is told with every append; the first time must not wait for one.
    private var toldReplayEnd: UInt64 = 0

    private struct Snapshot: Sendable {
        let id: UInt64
        /// The log's end when it was begun: whoever has it whole has come at least that far.
        let began: UInt64
        /// Whether the replica has been heard amid it.
        var isTaken = false
        /// Chunks before this one are taken in.
        var acknowledged: UInt32 = 0
        var nextChunk: UInt32 = 0
        /// The first slots of the chunks from `acknowledged` on that have been sent, some of them perhaps to be sent
        /// again, and of the one after them: a chunk that is made again covers the same slots.
        var starts = [0]
        var isSealed = false
        var outstanding: UInt32 { nextChunk - acknowledged }
        /// Chunks before this one have been sent.
        var end: UInt32 { acknowledged + UInt32(starts.count - 1) }

        mutating func acknowledge(chunksBefore next: UInt32) {
            starts.removeFirst(Int(next - acknowledged))
            acknowledged = next
            nextChunk = max(nextChunk, next)
        }
    }

    static let heartbeatInterval = Duration.milliseconds(500)
    static let resendAfter = Duration.milliseconds(400)
    /// For how long entries are sent again to a replica that does not answer.
    static let patience = Duration.seconds(4)

    public init(_ first: Follow, from node: NodeID, window: Window = Window(), at now: MonotonicInstant) {
        self.node = node
        self.window = window
        role = first.role
        lastHeard = now
        lastNews = now
    }

    /// Whether the feed is sending a snapshot.
    public var isInSnapshot: Bool { snapshot != nil }

    /// Whether everything that was sent is acknowledged, and nothing is to be sent but, at `nextHeartbeat`, that the
    /// owner is there.
    public var isAtRest: Bool { waitingSince == nil && snapshot == nil && !needsSnapshot && !isStranded }

    public var nextHeartbeat: MonotonicInstant { lastSent + heartbeatWait }

    private var heartbeatWait: Duration {
        owesCursors
            ? Self.heartbeatInterval
            : Quiet.interval(
                lastSent - lastNews, atLeast: Self.heartbeatInterval, atMost: Quiet.longestPauseUnasked)
    }

    // MARK: What the replica says

    /// - Parameter ring: the log, to see whether it reaches back to where the replica is.
    public mutating func receive(_ follow: Follow, epoch: UInt64, ring: EventRing, at now: MonotonicInstant) {
        lastHeard = now
        isAnswerDue = true
        isComplete = follow.complete && follow.applied.epoch == epoch
        let applied = follow.applied.epoch == epoch ? min(follow.applied.seq, ring.lastSeq) : 0
        if let current = snapshot {
            guard follow.snapshot == current.id else {
                otherThan(current, follow, applied, at: now)
                return
            }
            take(chunksBefore: follow.nextChunk, at: now)
        } else if follow.snapshot != 0 {
            // It is amid a snapshot of an earlier feed, of which nothing is known here.
            needsSnapshot = true
        } else if applied < acknowledged {
            beginAnew(at: applied)
        }
        progress(to: applied, at: now)
        if follow.rewind { rewind(to: applied, at: now) }
    }

    private mutating func take(chunksBefore next: UInt32, at now: MonotonicInstant) {
        // Nobody has chunks that were never sent.
        guard var current = snapshot, next <= current.end else { return }
        current.isTaken = true
        if next > current.acknowledged {
            current.acknowledge(chunksBefore: next)
            waitingSince = now
        }
        snapshot = current
    }

    /// The replica is not amid the snapshot that it is being sent: it has it whole, gave it up, or has not begun.
    private mutating func otherThan(
        _ current: Snapshot, _ follow: Follow, _ applied: UInt64, at now: MonotonicInstant
    ) {
        if follow.snapshot == 0, isComplete, applied >= current.began {
            snapshot = nil
            // What it is sent next is unchanged; what it has is what it says, not where the snapshot began.
            acknowledged = applied
            sent = max(sent, applied)
            waitingSince = sent == acknowledged ? nil : now
            if follow.rewind { rewind(to: applied, at: now) }
        } else if follow.snapshot == 0, current.isTaken {
            snapshot = nil
            beginAnew(at: applied)
        } else if follow.rewind {
            rewind(to: nil, at: now)
        }
    }

    private mutating func beginAnew(at applied: UInt64) {
        acknowledged = applied
        sent = applied
        waitingSince = nil
    }

    private mutating func progress(to applied: UInt64, at now: MonotonicInstant) {
        if applied > acknowledged {
            acknowledged = applied
            waitingSince = now
        }
        sent = max(sent, acknowledged)
        if sent == acknowledged, snapshot?.outstanding ?? 0 == 0 { waitingSince = nil }
    }

    /// Goes back to what was acknowledged.
    private mutating func rewind(to applied: UInt64?, at now: MonotonicInstant) {
        sent = applied ?? acknowledged
        rewoundAt = now
        guard let current = snapshot, current.outstanding > 0 else { return }
        snapshot?.nextChunk = current.acknowledged
        snapshot?.isSealed = false
    }

    /// Has the replica speak: whoever is sent an entry answers, also one that it has.
    public mutating func askForWord() {
        guard snapshot == nil, sent > 0, sent == acknowledged else { return }
        sent -= 1
    }

    // MARK: What the replica is sent

    /// Everything that may be sent now.
    /// - Parameter mayRestart: whether a snapshot may be begun, which empties the replica: never for one in sync.
    /// - Parameter nextSnapshot: names a new snapshot; taken up when one is begun.
    public mutating func pump(
        _ source: FeedSource, ring: EventRing, replica: DomainReplica, mayRestart: Bool,
        nextSnapshot: inout UInt64, at now: Moment
    ) -> [Message] {
        var messages: [Message] = []
        let last = role == .standby ? ring.lastSeq : source.committed
        if isOverdue(at: now.monotonic) { rewind(to: nil, at: now.monotonic) }
        isStranded = false
        if needsSnapshot || sent + 1 < ring.firstSeq {
            guard mayRestart else {
                isStranded = true
                return []
            }
            needsSnapshot = false
            nextSnapshot += 1
            snapshot = Snapshot(id: nextSnapshot, began: last)
            // Nothing before the chunks themselves is needed.
            sent = last
            acknowledged = last
        }
        while sent < last, sent - min(acknowledged, sent) < window.entries {
            let entries = ring.entries(
                from: sent + 1, through: last, limit: window.entriesPerMessage, bytes: window.bytesPerMessage)
            guard !entries.isEmpty else { break }
            let ages = ring.ages(from: sent + 1, count: entries.count, at: replica.time(at: now))
            messages.append(append(source, entries, ages))
            sent += UInt64(entries.count)
        }
        while sent == last, let chunk = nextChunk(source, ring, replica, at: now) { messages.append(.chunk(chunk)) }
        let isNews = source.replayEnd != toldReplayEnd
        owesCursors = role == .standby && source.cursors != toldCursors
        if !messages.isEmpty || isNews { lastNews = now.monotonic }
        let wait = isAnswerDue ? Self.heartbeatInterval * 3 / 4 : heartbeatWait
        isAnswerDue = false
        if messages.isEmpty, isNews || now.monotonic - lastSent >= wait {
            messages.append(append(source, [], []))
        } else if !messages.isEmpty, waitingSince == nil {
            waitingSince = now.monotonic
        }
        if !messages.isEmpty {
            lastSent = now.monotonic
            toldReplayEnd = source.replayEnd
            if owesCursors { (toldCursors, owesCursors) = (source.cursors, false) }
        }
        return messages
    }

    /// Whether what was sent ought to have been acknowledged by now. A replica at rest speaks seldom, so one that says
    /// nothing is sent everything again for a while, each time after twice as long, before it is taken to be away.
    private func isOverdue(at now: MonotonicInstant) -> Bool {
        guard let waitingSince else { return false }
        let last = max(waitingSince, rewoundAt)
        let isHeard = now - lastHeard < .seconds(1)
        let wait = isHeard ? Self.resendAfter : max(Self.resendAfter, last - waitingSince)
        return now - last > wait && (isHeard || now - max(waitingSince, lastHeard) < Self.patience)
    }

    private func append(_ source: FeedSource, _ entries: [LogEntry], _ ages: [UInt32]) -> Message {
        .append(
            Append(
                domain: source.domain, epoch: source.epoch, base: sent, entries: entries,
                committed: source.committed, replayEnd: source.replayEnd,
                cursors: role == .standby ? source.cursors : [], ages: ages))
    }

    private mutating func nextChunk(
        _ source: FeedSource, _ ring: EventRing, _ replica: DomainReplica, at now: Moment
    ) -> SnapshotChunk? {
        guard var current = snapshot, !current.isSealed, current.outstanding < window.chunks else { return nil }
        let slots = replica.table.slotCount
        let place = Int(current.outstanding)
        let isAnew = place + 1 < current.starts.count
        var slot = min(current.starts[place], slots)
        let end = min(isAnew ? current.starts[place + 1] : slot + window.slotsPerChunk, slots)
        var contacts: [LiveContact] = []
        var size = 0
        while slot < end, isAnew || size < Limits.listBytes {
            defer { slot += 1 }
            guard let found = replica.table.contact(inSlot: slot) else { continue }
            contacts.append(LiveContact(contact: found.contact, ttl: replica.remaining(found.deadline, at: now)))
            size += found.contact.bytes.count
        }
        if !isAnew { current.starts.append(slot) }
        current.isSealed = slot == slots
        let seal = SnapshotChunk.Seal(
            seq: ring.lastSeq, count: UInt64(replica.table.count), digest: replica.table.digest)
        let chunk = SnapshotChunk(
            domain: source.domain, epoch: source.epoch, snapshot: current.id, index: current.nextChunk, after: sent,
            contacts: contacts, seal: current.isSealed ? seal : nil)
        current.nextChunk += 1
        snapshot = current
        return chunk
    }
}
