import ClusterRuntime
import RegistrarEvents
import Testing

/// An owner's log and one replica of it, joined by two links that lose and double messages but keep their order.
struct ReplicationRig {
    let domain: DomainName
    let owner = NodeID(name: NodeName("owner"), incarnation: 1)
    let node = NodeID(name: NodeName("replica"), incarnation: 1)
    let role: Follow.Role
    var random: SplitMix64
    /// In percent.
    var loss = 20
    var duplication = 10
    /// Nothing reaches the replica, but it is heard.
    var isDeaf = false
    var mayRestart = true
    var milliseconds: Int64 = 3_600_000

    private(set) var epoch: UInt64 = 1
    var source = DomainReplica()
    private(set) var ring: EventRing
    private(set) var committed: UInt64 = 0
    private(set) var replayEnd: UInt64 = 0
    private var replayCursor: Int? = 0
    var feed: ReplicaFeed?
    private(set) var nextSnapshot: UInt64 = 1 << 20
    /// Count and digest of the owner's list after each entry of the epoch.
    private var history: [UInt64: [UInt64]] = [:]

    var receiver: ReplicaReceiver
    var toReplica: [Message] = []
    private var toOwner: [Follow] = []
    /// Set to change what is on its way to the replica.
    var tamper: ((inout Message) -> Void)?

    private(set) var alarms: [String] = []
    private(set) var resyncs = 0
    private(set) var chunksSent = 0
    /// Bytes of the contacts of the largest chunk.
    private(set) var largest = 0
    private(set) var chunksArrived = 0
    /// What a consumer of the follower, or the journal of the standby, holds.
    private(set) var kept = DomainReplica()
    private(set) var told = Position.start
    /// Accounts that are online by what a consumer was told.
    private var online: Set<[UInt8]> = []
    private var isWhole = false

    init(role: Follow.Role, seed: UInt64, ringEntries: Int = 100_000, contacts: Int = 200, padding: Int = 0) throws {
        print("seed \(seed)")
        domain = try ReplicationFixture.domain()
        self.role = role
        random = SplitMix64(seed: seed)
        ring = EventRing(maximumEntries: ringEntries, maximumBytes: 64 << 20)
        receiver = ReplicaReceiver(domain: domain, role: role)
        for account in 0..<contacts {
            source.table.put(
                try ReplicationFixture.contact(account, 0, padding: padding), deadline: milliseconds + 9_000_000)
        }
        beginEpoch()
        assign()
    }

    var now: Moment { ReplicationFixture.moment(milliseconds) }
    var snapshots: UInt64 { nextSnapshot - epoch << 20 }

    // MARK: The owner

    private mutating func append(_ change: LogEntry.Change) {
        let entry = LogEntry(seq: ring.lastSeq + 1, timestamp: 0, change: change)
        source.apply(entry, epoch: epoch, at: now)
        ring.append(entry, at: source.time(at: now))
        history[entry.seq] = [UInt64(source.table.count), source.table.digest]
    }

    private mutating func beginEpoch() {
        ring = EventRing(maximumEntries: ring.maximumEntries, maximumBytes: ring.maximumBytes)
        history = [:]
        (committed, replayEnd, replayCursor) = (0, 0, 0)
        nextSnapshot = epoch << 20
        feed = nil
        append(.clear(.failover))
    }

    /// Another owner, with the same list; what was under way from the old one still arrives.
    mutating func changeOwner() {
        epoch += 1
        beginEpoch()
        assign()
    }

    mutating func assign() {
        let assignment = Assignment(
            domain: domain, epoch: epoch, revision: epoch, owner: owner,
            standbys: role == .standby ? [.init(node: node, inSync: false)] : [], cause: .failover, since: 0)
        perform(receiver.handle(.assigned(assignment), at: now))
    }

    mutating func write(_ count: Int) throws {
        for _ in 0..<count {
            let contact = try ReplicationFixture.contact(
                random.below(260), random.below(2), version: random.below(1_000))
            if random.happens(30), let known = source.table.contact(key: contact.keyBytes) {
                append(.unregistered(known, .unregisterContact))
            } else {
                append(.registered(contact, ttl: UInt32(600_000 + random.below(3_000_000)), replay: false))
            }
        }
        restate()
    }

    private mutating func restate() {
        guard var cursor = replayCursor else { return }
        for _ in 0..<60 where cursor < source.table.slotCount {
            if let found = source.table.contact(inSlot: cursor), !found.isCurrent {
                append(.registered(found.contact, ttl: source.remaining(found.deadline, at: now), replay: true))
            }
            cursor += 1
        }
        replayCursor = cursor < source.table.slotCount ? cursor : nil
        if replayCursor == nil { replayEnd = ring.lastSeq }
    }

    private mutating func pump() {
        committed += UInt64(random.below(Int(ring.lastSeq - committed) + 1))
        guard var feed else { return }
        let messages = feed.pump(
            FeedSource(domain: domain, epoch: epoch, committed: committed, replayEnd: replayEnd), ring: ring,
            replica: source, mayRestart: mayRestart, nextSnapshot: &nextSnapshot, at: now)
        self.feed = feed
        for var message in messages {
            if case .chunk(let chunk) = message {
                chunksSent += 1
                largest = max(largest, chunk.contacts.reduce(0) { $0 + $1.contact.bytes.count })
            }
            tamper?(&message)
            if !isDeaf { toReplica += copies(of: message) }
        }
    }

    /// What becomes of something on a link: it is lost, arrives, or arrives twice.
    private mutating func copies<Item>(of item: Item) -> [Item] {
        guard !random.happens(loss) else { return [] }
        return random.happens(duplication) ? [item, item] : [item]
    }

    // MARK: The replica

    /// Another life of the replica, with nothing: what was said to and by the earlier one is void.
    mutating func restartReplica() {
        (toReplica, toOwner, feed) = ([], [], nil)
        receiver = ReplicaReceiver(domain: domain, role: role)
        if role == .follower { (told, kept, online, isWhole) = (.start, DomainReplica(), [], false) }
        assign()
    }

    /// Ten milliseconds: some writes, a turn of the owner, a turn of the replica.
    mutating func step(writes: Int) throws {
        milliseconds += 10
        try write(writes)
        for follow in toOwner where follow.epoch == epoch {
            var feed = feed ?? ReplicaFeed(follow, from: node, at: now.monotonic)
            feed.receive(follow, epoch: epoch, ring: ring, at: now.monotonic)
            self.feed = feed
        }
        toOwner = []
        pump()
        let arrived = toReplica.prefix(random.below(toReplica.count + 1))
        toReplica.removeFirst(arrived.count)
        for message in arrived {
            switch message {
            case .append(let append): perform(receiver.handle(.append(append, from: owner), at: now))
            case .chunk(let chunk):
                chunksArrived += 1
                perform(receiver.handle(.chunk(chunk, from: owner), at: now))
            default: Issue.record("an owner sends appends and chunks, not \(message)")
            }
            expectTruth()
        }
        perform(receiver.handle(.tick, at: now))
        perform(receiver.handle(.turnEnded, at: now))
        expectTruth()
    }

    private mutating func perform(_ directives: [ReplicaReceiver.Directive]) {
        defer {
            // Who is online is in the list once it is whole; only from then on changes are told.
            if !isWhole { online = accounts }
            isWhole = receiver.replica.isComplete
        }
        for directive in directives {
            switch directive {
            case .send(.follow(let follow), _): toOwner += copies(of: follow)
            case .send(let message, _): Issue.record("a replica sends nothing but its place, not \(message)")
            case .store(let record):
                #expect(role == .standby)
                kept.apply(record, at: now)
            case .applied(let entries, let replaced, let epoch):
                #expect(role == .follower && replaced.count == entries.count)
                for entry in entries {
                    let follows = epoch > told.epoch ? entry.seq == 1 : epoch == told.epoch && entry.seq == told.seq + 1
                    #expect(follows, "\(epoch):\(entry.seq) after \(told)")
                    kept.apply(entry, epoch: epoch, at: now)
                    told = Position(epoch: epoch, seq: entry.seq)
                }
            case .accounts(let changes): if isWhole { take(changes) }
            case .resynced(let position):
                resyncs += 1
                #expect(position >= told)
                told = position
                if role == .follower { kept = receiver.replica }
                online = accounts
            case .replayed: if role == .follower { kept.sweep() }
            case .alarm(let text): alarms.append(text)
            }
        }
    }

    private mutating func take(_ changes: [AccountChange]) {
        #expect(role == .follower)
        for change in changes {
            #expect(change.position <= told, "\(change.position) after \(told)")
            let account = Self.account(change.contact)
            let isNews = change.isOnline ? online.insert(account).inserted : online.remove(account) != nil
            #expect(isNews, "an account is told to be \(change.isOnline ? "on" : "off")line, which it was")
        }
    }

    private static func account(_ contact: PackedContact) -> [UInt8] { Array(contact.bytes[..<contact.accountLength]) }

    /// The accounts of what a consumer holds.
    private var accounts: Set<[UInt8]> {
        var accounts: Set<[UInt8]> = []
        kept.table.forEachAccount { accounts.insert(Self.account($0)) }
        return accounts
    }

    /// What may be relied on at any moment.
    private func expectTruth() {
        let position = receiver.replica.position
        if role == .follower, online != accounts { Issue.record("at \(told): other accounts are online than are told") }
        if role == .follower, position.epoch == epoch {
            if position.seq > committed, receiver.replica.isComplete { Issue.record("\(position) is not committed") }
        }
        // Nothing counts as acknowledged that the replica does not hold.
        if let feed, !feed.isInSnapshot, feed.acknowledged > (position.epoch == epoch ? position.seq : 0) {
            Issue.record("\(feed.acknowledged) counts as acknowledged, but the replica is at \(position)")
        }
        // A copy that counts as whole is the owner's list as of its position.
        guard receiver.replica.isComplete, receiver.replica.isReplayed, position.epoch == epoch else { return }
        let held = [UInt64(receiver.replica.table.count), receiver.replica.table.digest]
        if history[position.seq] != held { Issue.record("at \(position): \(held) instead of the owner's list") }
    }

    var isConverged: Bool {
        guard replayEnd > 0, committed == ring.lastSeq, receiver.replica.position.seq == ring.lastSeq else {
            return false
        }
        let replica = receiver.replica
        return replica.position.epoch == epoch && replica.isComplete && replica.isReplayed
            && replica.table.count == source.table.count && replica.table.digest == source.table.digest
            && kept.table.count == source.table.count && kept.table.digest == source.table.digest
            && feed?.acknowledged == ring.lastSeq && feed?.isInSnapshot == false && feed?.isComplete == true
    }

    /// Goes on until some of a snapshot has been taken in, but not all of it.
    mutating func stepIntoASnapshot() throws {
        for _ in 0..<5_000 {
            if chunksArrived > 2, feed?.isInSnapshot == true, !receiver.replica.isComplete { return }
            try step(writes: 4)
        }
        Issue.record("there was no snapshot to be amid of")
    }

    /// Each copy counts times to live from when the owner granted them, however late it was told: no contact lives
    /// longer in one copy than in another.
    func expectTheSameDeadlines(within tolerance: Int64) {
        let copies = role == .standby ? [receiver.replica, kept] : [receiver.replica]
        for copy in copies {
            var remaining: [[UInt8]: Int64] = [:]
            copy.forEachLive(at: now) { remaining[Array($0.keyBytes)] = Int64($1) }
            source.forEachLive(at: now) { contact, ttl in
                let other = remaining[Array(contact.keyBytes)] ?? 0
                if abs(other - Int64(ttl)) > tolerance { Issue.record("\(other) ms remain of \(ttl) ms") }
            }
        }
    }

    /// Writes stop; the losses go on.
    mutating func expectToConverge(within steps: Int = 3_000) throws {
        for _ in 0..<steps where !isConverged { try step(writes: 0) }
        #expect(isConverged, "owner at \(ring.lastSeq), replica at \(receiver.replica.position), told \(told)")
    }
}
