import ClusterRuntime
import RegistrarEvents

/// The owner's side of replication: feeds, commit, the in-sync set, replay and expiry.
extension DomainMachine {
    /// How many entries one turn restates at most.
    private static let replayBatch = 1_024
    /// A follower that is silent for so long has to ask again.
    private static let feedTimeout = Quiet.longestPause * 2 + .seconds(4)
    /// How often a change of the in-sync set is asked for.
    private static let askInterval = Duration.milliseconds(300)
    /// How often standbys are asked to speak.
    private static let askForWordInterval = Duration.milliseconds(100)
    mutating func take(_ follow: Follow, from sender: NodeID, at now: Moment) -> [Directive] {
        guard let current = owner else { return [] }
        guard follow.epoch <= current.epoch else { return depose(follow.epoch) }
        guard !current.isDeposed, follow.epoch == current.epoch else { return [] }
        if follow.role == .standby, !current.assignment.standbys.contains(where: { $0.node == sender }) { return [] }
        // A later life of a node takes the place of an earlier one, and what the earlier one still had to say is void.
        let lives = current.feeds.filter { $0.node.name == sender.name && $0.role == follow.role }
        guard lives.allSatisfy({ $0.node.incarnation <= sender.incarnation }) else { return [] }
        owner!.feeds.removeAll { $0.node.name == sender.name && $0.role == follow.role && $0.node != sender }
        let index: Int
        if let found = owner!.feeds.firstIndex(where: { $0.node == sender && $0.role == follow.role }) {
            index = found
        } else {
            index = owner!.feeds.firstIndex { sender < $0.node } ?? owner!.feeds.count
            owner!.feeds.insert(ReplicaFeed(follow, from: sender, window: policy.window, at: now.monotonic), at: index)
        }
        let ring = current.ring
        owner!.feeds[index].receive(follow, epoch: current.epoch, ring: ring, at: now.monotonic)
        // One that has caught up is counted in at once: until then the domain has a copy too few.
        return follow.role == .standby && !current.waitsFor(sender) ? changesToAskFor(at: now) : []
    }

    mutating func tickAsOwner(at now: Moment) -> [Directive] {
        guard owner?.isDeposed == false else { return [] }
        owner!.feeds.removeAll { feed in
            feed.role == .follower && now.monotonic - feed.lastHeard > Self.feedTimeout
        }
        endHandOverIfOverdue(at: now)
        expire(at: now)
        return changesToAskFor(at: now)
    }

    /// An owner that could not acknowledge a renewal does not hold it against anyone: afterwards everybody has as much
    /// time again as that lasted.
    func mayExpire(at now: Moment) -> Bool {
        guard let owner, owner.handOver == nil, owner.room(policy) > 0, now.monotonic >= sparesUntil else {
            return false
        }
        return !owner.waitsForNobody || mayActAlone(at: now)
    }

    mutating func heardOfLapse(_ total: Duration, at now: Moment) {
        spare(total - (knownLapse ?? total), at: now)
        knownLapse = total
    }

    mutating func journalChanged(_ isWritable: Bool, at now: Moment) {
        isJournalWritable = isWritable
        if !isWritable {
            unwritableSince = unwritableSince ?? now.monotonic
        } else if let since = unwritableSince {
            unwritableSince = nil
            spare(now.monotonic - since, at: now)
        }
    }

    /// For so long a lone owner could acknowledge nothing.
    private mutating func spare(_ outage: Duration, at now: Moment) {
        guard outage > .zero, let owner, owner.waitsForNobody, !policy.acceptsWithoutLease else { return }
        sparesUntil = max(sparesUntil, now.monotonic + min(outage, now.monotonic - owner.began))
    }

    /// Ends what has run out.
    private mutating func expire(at now: Moment) {
        guard mayExpire(at: now) else { return }
        let time = replica.time(at: now)
        while owner!.room(policy) > 0, let contact = receiver.replica.table.popExpired(at: time) {
            append(.unregistered(contact, .expiredContact), at: now)
        }
    }

    /// Which standbys should be counted in, and which no longer.
    private mutating func changesToAskFor(at now: Moment) -> [Directive] {
        guard let current = owner else { return [] }
        var changes: [Directive] = []
        for node in current.assignment.standbys.map(\.node) {
            let feed = current.standbyFeed(of: node)
            let isWaitedFor = current.waitsFor(node)
            let kind: ReplicaChange.Kind
            if isWaitedFor, isTooSlow(node, feed, at: now) {
                kind = .remove
            } else if current.joining.contains(node) || (!isWaitedFor && isCaughtUp(node, feed, at: now)) {
                kind = .add
            } else {
                continue
            }
            let asked = current.lastAsked[node]
            if kind == .remove, asked == nil, current.joining.contains(node) {
                // Nobody was asked yet, so nobody can promote it.
                owner!.joining.removeAll { $0 == node }
                continue
            }
            if kind == .add {
                if !isWaitedFor { owner!.joining.append(node) }
                guard current.acknowledged(by: node) >= current.committed else { continue }
            }
            if let asked, now.monotonic - asked < Self.askInterval { continue }
            owner!.lastAsked[node] = now.monotonic
            changes.append(
                .askRouters(
                    ReplicaChange(
                        domain: domain, epoch: current.epoch, revision: current.assignment.revision, kind: kind,
                        node: node)))
        }
        return changes
    }

    private func isCaughtUp(_ node: NodeID, _ feed: ReplicaFeed?, at now: Moment) -> Bool {
        guard let feed, let owner, feed.isComplete, !feed.isInSnapshot else { return false }
        // One that was taken out for its silence is not taken in again for having been near the end then.
        guard now.monotonic - feed.lastHeard < .seconds(1), !isTooSlow(node, feed, at: now) else { return false }
        return owner.replayEnd > 0 && feed.acknowledged >= owner.replayEnd
            && feed.acknowledged + policy.window.nearlyThere >= owner.ring.lastSeq
    }

    /// How old the first entry that a standby lacks may be, in replication timeouts, though it acknowledges others.
    private static let longestBacklog = 4

    private func isTooSlow(_ node: NodeID, _ feed: ReplicaFeed?, at now: Moment) -> Bool {
        if let feed, feed.isStranded { return true }
        guard let owner, owner.acknowledged(by: node) < owner.ring.lastSeq else { return false }
        guard let feed else { return now.monotonic - owner.began > policy.replicationTimeout * 2 }
        // One that goes on, but cannot keep up, would hold every change up for longer and longer.
        if owner.replayCursor == nil, let age = owner.ring.age(after: feed.acknowledged, at: replica.time(at: now)),
            age > policy.replicationTimeout * Self.longestBacklog
        {
            return true
        }
        guard let since = feed.waitingSince else { return false }
        return now.monotonic - since > policy.replicationTimeout
    }

    // MARK: The end of a turn

    /// Has what has come together stored. Nothing of it is committed or leaves the node before `release`.
    mutating func keep(at now: Moment) -> [Directive] {
        guard owner?.isDeposed == false else { return [] }
        let ended = replay(at: now)
        endRetirementIfOver(at: now)
        endForRetirement(at: now)
        var directives: [Directive] = []
        if !owner!.unstored.isEmpty {
            directives.append(.store(.entries(epoch: owner!.epoch, owner!.unstored)))
            owner!.unstored.removeAll()
        }
        if let ended { directives += [.store(.swept), .replayEnded(ended)] }
        return directives
    }

    /// Commits and answers what is kept wherever it has to be, and sends the rest on its way.
    mutating func release(at now: Moment) -> [Directive] {
        guard owner?.isDeposed == false else { return [] }
        askForWord(at: now)
        var directives = commit(at: now)
        directives += publish(at: now)
        directives += askToHandOver(at: now)
        directives += askToRetire(at: now)
        directives += feedAll(at: now)
        return directives
    }

    /// How many entries may be restated now: no faster than those who follow take them in.
    func replayBudget(at now: Moment) -> Int {
        guard let owner, owner.replayCursor != nil else { return 0 }
        let ahead = owner.ring.lastSeq - min(owner.slowestFeed(at: now.monotonic), owner.ring.lastSeq)
        // Half of the room is left to requests, which need not wait for the replay.
        let room = min(Int(owner.room(policy) / 2), policy.ringEntries / 2 - Int(clamping: ahead))
        return min(Self.replayBatch, room)
    }

    /// Restates what is live, a batch a turn.
    /// - Returns: where it ended, if it did.
    private mutating func replay(at now: Moment) -> Position? {
        guard var cursor = owner?.replayCursor else { return nil }
        var budget = replayBudget(at: now)
        while budget > 0, owner!.room(policy) > 0, cursor < replica.table.slotCount {
            if let found = replica.table.contact(inSlot: cursor), !found.isCurrent {
                // What is due right now is restated as well: it is live until its expiry says otherwise, here and
                // there.
                let ttl = max(replica.remaining(found.deadline, at: now), 1)
                append(.registered(found.contact, ttl: ttl, replay: true), at: now)
                budget -= 1
            }
            cursor += 1
        }
        owner!.replayCursor = cursor
        guard cursor >= replica.table.slotCount else { return nil }
        owner!.replayCursor = nil
        owner!.replayEnd = owner!.ring.lastSeq
        receiver.replica.isReplayed = true
        return replica.position
    }

    private mutating func commit(at now: Moment) -> [Directive] {
        let last = owner!.ring.lastSeq
        guard let reached = owner!.acknowledgedByAll ?? (mayActAlone(at: now) ? last : nil) else { return [] }
        owner!.committed = max(owner!.committed, min(reached, last))
        var replies: [Directive] = []
        while let first = owner!.waiting.first, mayAnswer(first, at: now) {
            owner!.waiting.removeFirst()
            let position = Position(epoch: owner!.epoch, seq: first.seq)
            let result: Reply.Result
            switch first.reply {
            case .registered(let ttl): result = .registered(position, ttl: ttl)
            case .unregistered(let count): result = .unregistered(position, count: count)
            case .bound(let contacts): result = .bound(position, contacts)
            case .page(let cursor, let account): result = page(cursor, account, at: now)
            }
            replies.append(.send(.reply(Reply(id: first.id, result: result)), to: first.sender))
        }
        return replies
    }

    /// Whether what a request waits for is committed. One that changed nothing has no entry that a later owner's
    /// standbys would reject: it needs a sign that nobody else is the owner.
    private func mayAnswer(_ waiting: Ownership.Waiting, at now: Moment) -> Bool {
        guard let owner, waiting.seq <= owner.committed else { return false }
        guard let came = waiting.changedNothingAt, waiting.seq == owner.committed else { return true }
        return isSurelyOwner(at: now) || owner.hasHeardAll(since: came)
    }

    /// Has standbys speak, for the sake of requests that wait for a word of theirs.
    private mutating func askForWord(at now: Moment) {
        guard let current = owner, let came = current.waiting.first?.changedNothingAt, !isSurelyOwner(at: now),
            now.monotonic - current.askedForWordAt >= Self.askForWordInterval, !current.hasHeardAll(since: came)
        else { return }
        owner!.askedForWordAt = now.monotonic
        for index in current.feeds.indices where current.feeds[index].role == .standby {
            owner!.feeds[index].askForWord()
        }
    }

    /// Whether no router can have made another node the owner. Who has asked to be replaced may have been.
    func isSurelyOwner(at now: Moment) -> Bool {
        policy.acceptsWithoutLease || (now.monotonic < leaseUntil && owner?.hasAskedToBeReplaced == false)
    }

    private mutating func feedAll(at now: Moment) -> [Directive] {
        owner!.pumpFeeds(domain, receiver.replica, at: now)
    }
}
