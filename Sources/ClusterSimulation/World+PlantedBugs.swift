import ClusterRuntime
import RegistrarEvents
import Router
import SRActor
import WSSubscrActor

/// What the shells do wrong when a bug is planted. An honest history passes through all of it unchanged, and draws
/// nothing from its generator here.
extension World {
    func has(_ bug: PlantedBug) -> Bool { options.plantedBug == bug }

    mutating func answersTooSoon(_ request: Request, from sender: NodeID, at name: NodeName) {
        guard has(.answersBeforeStandby), case .register(_, let ttl) = request.operation,
            let machine = nodes[name]!.domains[request.domain], machine.isOwner,
            machine.report.position.epoch == request.epoch
        else { return }
        let position = Position(epoch: request.epoch, seq: machine.report.position.seq + 1)
        send(.reply(Reply(id: request.id, result: .registered(position, ttl: ttl))), from: name, to: sender.name)
    }

    /// Whether the message is refused for what the version before did not say.
    func lacksFields(_ message: Message) -> Bool {
        guard has(.needsEveryField), case .heartbeat(let heartbeat) = message else { return false }
        return heartbeat.wireVersion < WireVersion.current
    }

    /// What an owner takes in.
    func halved(_ request: Request) -> Request {
        guard has(.bindsInPart), case .bind(var binding) = request.operation, binding.changes.count > 1
        else { return request }
        binding.changes.removeLast()
        var wrong = request
        wrong.operation = .bind(binding)
        return wrong
    }

    // MARK: Replicas

    // MARK: Subscribers

    /// What a subscriber is written.
    mutating func shortened(_ tails: [[UInt8]], _ wish: SubscriberWish) -> ArraySlice<[UInt8]> {
        guard has(.skipsAnEntry), wish.number == 0, wish.view == .all, random.oneIn(50) else { return tails[...] }
        return tails.dropFirst()
    }

    /// Where a subscriber begins.
    func resumption(
        _ start: SubscribeRequest.Start, at node: SimulatedNode, _ subscriber: Subscriber
    ) -> SubscribeRequest.Start {
        guard has(.resumesByNumber), case .after(let position) = start,
            let twin = node.followers[subscriber.wish.domain]
        else { return start }
        return .after(Position(epoch: twin.machine.report.copy.position.epoch, seq: position.seq))
    }

    /// What a socket says of what it has dropped.
    func forgotten(_ lost: Position?, _ subscriber: Subscriber) -> Position? {
        guard has(.forgetsWhatWasDropped), lost != nil, let socket = subscriber.socket,
            let twin = nodes[socket.node.name]?.followers[subscriber.wish.domain]
        else { return lost }
        return twin.machine.report.copy.position
    }

    // MARK: Replicas

    /// What a standby takes in.
    mutating func corrupted(_ append: Append) -> Append {
        if has(.forgetsAges) {
            var ageless = append
            ageless.ages = []
            return ageless
        }
        guard has(.forgetsAContact), random.oneIn(10),
            let last = append.entries.last, case .registered(let contact, _, _) = last.change
        else { return append }
        var forgetful = append
        forgetful.entries[forgetful.entries.count - 1] = LogEntry(
            seq: last.seq, timestamp: last.timestamp, change: .unregistered(contact, .deleteContact))
        return forgetful
    }

    /// What a follower takes in.
    mutating func repeated(_ append: Append) -> Append {
        guard has(.skipsInReplay) else { return append }
        var wrong = append
        for index in append.entries.indices.dropFirst() {
            let (entry, before) = (append.entries[index], append.entries[index - 1])
            guard case .registered(_, _, replay: true) = entry.change, case .registered = before.change,
                random.oneIn(5)
            else { continue }
            wrong.entries[index] = LogEntry(seq: entry.seq, timestamp: entry.timestamp, change: before.change)
        }
        return wrong
    }

    /// What a standby takes for a whole snapshot.
    func incomplete(_ chunk: SnapshotChunk) -> SnapshotChunk {
        guard has(.trustsSnapshots), chunk.index == 0, chunk.contacts.count > 1, let seal = chunk.seal,
            seal.seq == chunk.after
        else { return chunk }
        var wrong = chunk
        wrong.contacts.removeLast()
        var copy = DomainReplica()
        copy.take(wrong.contacts, at: moment)
        wrong.seal = SnapshotChunk.Seal(seq: seal.seq, count: UInt64(copy.table.count), digest: copy.table.digest)
        return wrong
    }

    // MARK: Quiet domains

    /// What a heartbeat of another `sr` node tells this one.
    func takeSign(_ heartbeat: Heartbeat, from sender: NodeID, at name: NodeName) {
        guard let node = nodes[name], node.role == .sr, !node.isFormer else { return }
        let now = moment(of: name).monotonic
        node.signs.heard(heartbeat, from: sender, knowing: node.agent.table.revision, at: now)
        guard has(.vouchesForOthers) else { return }
        for owner in node.told.values.compactMap(\.owner).sorted() {
            node.signs.heard(heartbeat, from: owner, knowing: .max, at: now)
        }
    }

    func noteClaim(_ append: Append, at name: NodeName) {
        guard has(.claimsWhatItWasTold), let node = nodes[name] else { return }
        let end = Position(epoch: append.epoch, seq: append.base + UInt64(append.entries.count))
        node.claims[append.domain] = max(node.claims[append.domain] ?? .start, end)
    }

    /// What a copy says of itself.
    func boastful(_ message: Message, at node: SimulatedNode) -> Message {
        guard has(.claimsWhatItWasTold), case .follow(var follow) = message, follow.snapshot == 0,
            let claim = node.claims[follow.domain], claim.epoch == follow.epoch, claim > follow.applied
        else { return message }
        (follow.applied, follow.rewind) = (claim, false)
        return .follow(follow)
    }

    // MARK: Deadlines and assignments

    /// Has the node hear its former owner at the last moment, so that there is nothing to stretch.
    mutating func hearsFormerOwner(before new: Assignment, at name: NodeName) {
        guard has(.forgetsTheStretch), let node = nodes[name], new.owner == node.life,
            let former = node.told[new.domain], former.epoch < new.epoch, let owner = former.owner
        else { return }
        let word = Append(domain: new.domain, epoch: former.epoch, base: 0, entries: [], committed: 0, replayEnd: 0)
        step(.append(word, from: owner), of: new.domain, at: name)
    }

    mutating func stored(
        _ changes: [AssignmentChange], wishes: MovementWishes?, above floor: UInt64, term: UInt64
    ) -> StoreOutcome {
        let known = coordinator.load().assignments
        let tampered = changes.map { change in
            var change = change
            let current = known.first { $0.domain == change.assignment.domain }
            if has(.countsInTooEarly) {
                for index in change.assignment.standbys.indices { change.assignment.standbys[index].inSync = true }
            }
            if let current { promoteOutsider(in: &change.assignment, after: current) }
            return change
        }
        return coordinator.store(tampered, wishes: wishes, above: floor, term: term)
    }

    private func promoteOutsider(in next: inout Assignment, after current: Assignment) {
        guard has(.promotesOutOfSync), next.cause == .failover, next.epoch > current.epoch else { return }
        let members = ([current.owner].compactMap { $0 } + current.inSync).map(\.name)
        guard let outsider = registrars.first(where: { !members.contains($0) && nodes[$0]!.isRunning }) else { return }
        next.standbys.removeAll { $0.node.name == outsider }
        next.owner = nodes[outsider]!.life
    }
}
