import ClusterRuntime
import DequeModule
import RegistrarEvents

/// What a domain machine has only while it owns the domain.
struct Ownership: Sendable {
    let epoch: UInt64
    let began: MonotonicInstant
    /// A higher epoch was heard of: acknowledge nothing, wait for the assignment.
    var isDeposed = false
    var assignment: Assignment
    var ring: EventRing
    var committed: UInt64 = 0
    /// By node, so that whoever walks them does so in one order.
    var feeds: [ReplicaFeed] = []
    /// Standbys that the router is to count in. They are waited for first and asked for once they hold everything that
    /// was committed without them, so that whoever is counted in may be promoted.
    var joining: [NodeID] = []
    var lastAsked: [NodeID: MonotonicInstant] = [:]
    var waiting: Deque<Waiting> = []
    /// Entries not yet handed to the journal.
    var unstored: [LogEntry] = []
    /// The next slot to restate; nil when all have been.
    var replayCursor: Int?
    var replayEnd: UInt64 = 0
    var nextSnapshot: UInt64
    /// Nil unless the domain is being handed over.
    var handOver: DomainMachine.HandingOver?
    /// When a hand-over last came to nothing.
    var handOverGivenUp: MonotonicInstant?
    /// A router was asked to make another node the owner, and has not said yet what came of it.
    var hasAskedToBeReplaced = false
    /// When standbys were last asked to speak.
    var askedForWordAt = MonotonicInstant.distantPast
    /// The last entry that destinations were handed.
    var published: UInt64 = 0
    /// How far each destination has come, in the order of the policy.
    var cursors: [DestinationCursor] = []
    /// In the order in which destinations asked.
    var replays: [DestinationReplay] = []

    /// A request whose outcome waits for its entry's commit.
    struct Waiting: Sendable {
        enum Pending: Sendable {
            case registered(ttl: UInt32)
            case unregistered(count: UInt32)
            case bound([LiveContact])
            case page(cursor: UInt32, AccountID?)
        }
        let seq: UInt64
        let id: UInt64
        let sender: NodeName
        let reply: Pending
        /// When the request came, if it has changed nothing: then no entry stands for it.
        var changedNothingAt: MonotonicInstant?
    }

    init(_ assignment: Assignment, policy: DomainPolicy, at now: MonotonicInstant) {
        epoch = assignment.epoch
        began = now
        self.assignment = assignment
        ring = EventRing(maximumEntries: policy.ringEntries, maximumBytes: policy.ringBytes)
        nextSnapshot = assignment.epoch << 20
    }

    /// Everyone whose acknowledgement a commit needs: those in sync, and those about to be.
    func waitsFor(_ node: NodeID) -> Bool {
        assignment.standbys.contains { $0.node == node && $0.inSync } || joining.contains(node)
    }

    var waitsForNobody: Bool { joining.isEmpty && !assignment.standbys.contains(where: \.inSync) }

    /// The in-sync set changed within the epoch. Whoever was asked for is either in now, or has to be asked for again.
    mutating func assignmentChanged(_ new: Assignment) {
        assignment = new
        joining.removeAll()
        lastAsked.removeAll()
        hasAskedToBeReplaced = false
        if let handOver, !new.inSync.contains(handOver.successor) { self.handOver = nil }
        feeds.removeAll { feed in
            feed.role == .standby && !new.standbys.contains { $0.node == feed.node }
        }
    }

    /// When the owner wants a tick for the sake of its replicas: soon while one of them is to be waited for, counted in
    /// or brought up to date; nil when there are none.
    func nextWake(at now: MonotonicInstant) -> MonotonicInstant? {
        guard uncommitted == 0 else { return now + .milliseconds(50) }
        let isAtRest =
            replayCursor == nil && joining.isEmpty && assignment.standbys.allSatisfy(\.inSync)
            && feeds.allSatisfy(\.isAtRest)
        return isAtRest ? feeds.lazy.map(\.nextHeartbeat).min() : now + .milliseconds(250)
    }

    var uncommitted: UInt64 { ring.lastSeq - committed }

    /// How many entries may still be appended. What is not committed does not leave the ring, so that at most half of
    /// the ring, in entries and in bytes, waits for a commit, and what one request brings about beside that. To be
    /// asked before each entry where many are appended: the bytes of those before count.
    func room(_ policy: DomainPolicy) -> UInt64 {
        let limit = min(policy.maximumUncommitted, UInt64(policy.ringEntries / 2))
        let kept = ring.lastSeq + 1 - ring.firstSeq
        // By the average of what the ring keeps.
        let isCrowded = uncommitted > 0 && ring.bytes * Int(uncommitted) / Int(kept) >= ring.maximumBytes / 2
        return isCrowded ? 0 : limit - min(uncommitted, limit)
    }

    func standbyFeed(of node: NodeID) -> ReplicaFeed? { feeds.first { $0.node == node && $0.role == .standby } }

    /// How far a standby holds the log: not at all while its copy is being replaced.
    func acknowledged(by node: NodeID) -> UInt64 {
        guard let feed = standbyFeed(of: node), !feed.isInSnapshot else { return 0 }
        return feed.acknowledged
    }

    /// How far the log is held by everyone waited for; nil when that is nobody.
    var acknowledgedByAll: UInt64? {
        let inSync = assignment.standbys.lazy.filter(\.inSync).map(\.node)
        return (Array(inSync) + joining).map { acknowledged(by: $0) }.min()
    }

    /// Whether everyone waited for has spoken in this epoch after a moment: nobody who may be promoted had been.
    func hasHeardAll(since moment: MonotonicInstant) -> Bool {
        !waitsForNobody
            && (assignment.inSync + joining).allSatisfy { node in
                standbyFeed(of: node).map { $0.lastHeard > moment } ?? false
            }
    }

    /// How far those have come who keep up, so that the ring still holds what they need. Who makes no progress holds
    /// nobody up: it gets a snapshot later.
    func slowestFeed(at now: MonotonicInstant) -> UInt64 {
        feeds.lazy.filter { feed in
            !feed.isInSnapshot && now - feed.lastHeard < .seconds(1)
                && feed.waitingSince.map { now - $0 < .seconds(1) } ?? true
        }.map(\.acknowledged).min() ?? ring.lastSeq
    }

    /// Sends every feed what it may be sent now.
    mutating func pumpFeeds(_ domain: DomainName, _ replica: DomainReplica, at now: Moment) -> [DomainMachine.Directive]
    {
        let source = FeedSource(
            domain: domain, epoch: epoch, committed: committed, replayEnd: replayEnd, cursors: cursors)
        var directives: [DomainMachine.Directive] = []
        for index in feeds.indices {
            let mayRestart = feeds[index].role == .follower || !waitsFor(feeds[index].node)
            let messages = feeds[index].pump(
                source, ring: ring, replica: replica, mayRestart: mayRestart, nextSnapshot: &nextSnapshot, at: now)
            let peer = feeds[index].node.name
            for message in messages { directives.append(.send(message, to: peer)) }
        }
        return directives
    }
}
