import ClusterRuntime
import RegistrarEvents

/// What owners publish, on its way into memory or the spool.
extension LaneMachine {
    mutating func take(
        _ publication: Publication, _ domain: DomainName, at now: Moment, into directives: inout [Directive]
    ) {
        switch publication {
        case .began(let epoch, let tail): begin(domain, epoch, tail, into: &directives)
        case .entries(let entries, let epoch):
            guard let stream = streams[domain], stream.epoch == epoch, let first = entries.first,
                let last = entries.last
            else { return }
            guard !isGone else { return passOver(domain, to: Position(epoch: epoch, seq: last.seq), &directives) }
            let isNext = stream.seen.epoch == epoch ? first.seq <= stream.seen.seq + 1 : first.seq == 1
            if !isNext, !stream.hasGap { openGap(domain, "events did not reach the lane", into: &directives) }
            accept(entries, epoch, domain, into: &directives)
        case .replay(let part, let name):
            guard name == settings.name else { return }
            take(part, domain, at: now, into: &directives)
        case .ended:
            guard streams[domain] != nil else { return }
            empty(domain, isEnded: true, into: &directives)
            streams[domain] = nil
            forgetIfOver(domain, into: &directives)
        }
    }

    /// Once nothing of it is under way any more: a batch still uses what the destination keeps for its domain.
    mutating func forgetIfOver(_ domain: DomainName, into directives: inout [Directive]) {
        if streams[domain] == nil, stragglers[domain] == nil { directives.append(.forget(domain)) }
    }

    /// A new epoch: what is still undelivered of earlier ones stays in front of it.
    private mutating func begin(
        _ domain: DomainName, _ epoch: UInt64, _ tail: LogTail, into directives: inout [Directive]
    ) {
        if var stream = streams[domain] {
            stream.epoch = epoch
            streams[domain] = stream
            set(.none, of: domain)
            // What was published amid a replay that ends here waits in the spool, and nothing else may be to come.
            refill(domain, into: &directives)
            return schedule(domain)
        }
        let cursor = tail.position(of: settings.name)
        streams[domain] = LaneStream(epoch: epoch, acknowledged: cursor ?? .start)
        guard !isGone, let cursor, let first = tail.entries.first, cursor.epoch <= tail.epoch else { return }
        let taken = cursor.epoch == tail.epoch ? cursor.seq : 0
        // What is missing before the tail is covered by the epoch's `clear`.
        if first.seq > taken + 1 { totals.uncovered += first.seq - taken - 1 }
        accept(tail.entries.filter { $0.seq > taken }, tail.epoch, domain, into: &directives)
    }

    private mutating func accept(
        _ entries: [LogEntry], _ epoch: UInt64, _ domain: DomainName, into directives: inout [Directive]
    ) {
        guard let stream = streams[domain] else { return }
        guard !stream.hasGap else {
            totals.dropped += UInt64(entries.count)
            return
        }
        let fresh = entries.filter { Position(epoch: epoch, seq: $0.seq) > stream.seen }
        guard let last = fresh.last else { return }
        streams[domain]?.seen = Position(epoch: epoch, seq: last.seq)
        let filter = settings.filter
        let wanted = fresh.filter { filter.includes($0.change) }.map { DestinationEvent(epoch: epoch, entry: $0) }
        put(wanted, domain, into: &directives)
    }

    /// The beginning, or the next part, of the `clear` and replay that was asked for.
    ///
    /// All of it carries the position of the first part, however new the others are: what has changed in between
    /// follows, since it is held back until then, and says the same again.
    private mutating func take(
        _ part: DestinationReplay.Part, _ domain: DomainName, at now: Moment, into directives: inout [Directive]
    ) {
        guard let stream = streams[domain], stream.epoch == part.epoch else { return }
        let seq: UInt64
        var changes: [LogEntry.Change] = []
        switch (stream.replay, part.isFirst) {
        case (.asked, true), (.underWay, true):
            // The owner begins anew when it was asked again before it had answered. What waits on disk was published
            // before this part, which shows it.
            if stream.spooledEvents > 0 { dropSpool(domain, into: &directives) }
            seq = part.after
            totals.resyncs += 1
            streams[domain]?.seen = Position(epoch: part.epoch, seq: seq)
            changes.append(.clear(.resync))
        case (.underWay(_, let first), false): seq = first
        case (.none, _), (.due, _), (.asked, false): return
        }
        let filter = settings.filter
        for live in part.contacts { changes.append(.registered(live.contact, ttl: live.ttl, replay: true)) }
        set(part.isLast ? .none : .underWay(isAsked: false, at: seq), of: domain)
        let wanted = changes.filter { filter.includes($0) }.map { change in
            DestinationEvent(epoch: part.epoch, entry: LogEntry(seq: seq, timestamp: now.wall, change: change))
        }
        let before = streams[domain]?.queuedBytes ?? 0
        for event in wanted { streams[domain]?.enqueue(event) }
        queuedBytes += (streams[domain]?.queuedBytes ?? 0) - before
        refill(domain, into: &directives)
        schedule(domain)
    }

    /// Into memory, or the spool, or nowhere.
    private mutating func put(_ events: [DestinationEvent], _ domain: DomainName, into directives: inout [Directive]) {
        guard var stream = streams[domain] else { return }
        let before = stream.queuedBytes
        var index = 0
        if stream.spooledEvents == 0, stream.replay == .none {
            while index < events.count, stream.queuedBytes < settings.domainQueueBytes,
                queuedBytes + stream.queuedBytes - before < settings.queueBytes || stream.queue.isEmpty
            {
                stream.enqueue(events[index])
                index += 1
            }
        }
        queuedBytes += stream.queuedBytes - before
        if events.isEmpty, stream.isDrained, stream.flight == nil, stream.replay == .none {
            // Nothing of it is wanted, so it is as good as delivered.
            stream.acknowledged = stream.seen
            directives.append(.tell(.delivered(stream.acknowledged, to: settings.name), of: domain))
        }
        streams[domain] = stream
        if index < events.count { spool(Array(events[index...]), domain, into: &directives) }
        schedule(domain)
    }

    private mutating func spool(
        _ events: [DestinationEvent], _ domain: DomainName, into directives: inout [Directive]
    ) {
        let bytes = Self.weight(of: events)
        while spooledBytes + bytes > settings.spoolBytes {
            guard makeRoom(for: bytes, of: domain, into: &directives) else {
                return dropForRoom(events, domain, into: &directives)
            }
        }
        streams[domain]?.spooledEvents += events.count
        streams[domain]?.spooledBytes += bytes
        spooledBytes += bytes
        totals.spooled += UInt64(events.count)
        directives.append(.spool(events, of: domain))
    }

    /// They are written again where another domain gives way, and are missing where none does.
    mutating func spoolFull(_ events: [DestinationEvent], _ domain: DomainName, into directives: inout [Directive]) {
        guard let stream = streams[domain], stream.spooledEvents >= events.count else { return }
        let bytes = Self.weight(of: events)
        streams[domain]?.spooledEvents -= events.count
        streams[domain]?.spooledBytes -= bytes
        spooledBytes -= bytes
        totals.spooled -= UInt64(events.count)
        guard makeRoom(for: bytes, of: domain, into: &directives) else {
            return dropForRoom(events, domain, into: &directives)
        }
        spool(events, domain, into: &directives)
    }

    private static func weight(of events: [DestinationEvent]) -> Int { events.reduce(0) { $0 + $1.entry.weight } }

    private mutating func dropForRoom(
        _ events: [DestinationEvent], _ domain: DomainName, into directives: inout [Directive]
    ) {
        openGap(domain, "the spool is full", into: &directives)
        totals.dropped += UInt64(events.count)
    }

    /// When the spool is full, a domain that has less than its even share in it takes the place of the one that has
    /// most: what nobody takes of one domain must not be at the cost of the others.
    /// - Returns: whether there is more room now.
    private mutating func makeRoom(
        for bytes: Int, of domain: DomainName, into directives: inout [Directive]
    ) -> Bool {
        let others = streams.compactMap { other, stream in
            stream.spooledBytes > 0 && other != domain ? (bytes: stream.spooledBytes, domain: other) : nil
        }
        let share = settings.spoolBytes / (others.count + 1)
        guard let own = streams[domain]?.spooledBytes, own + bytes <= share, let most = others.max(by: <)?.domain
        else { return false }
        dropSpool(most, into: &directives)
        if streams[most]?.hasGap == false {
            openGap(most, "the spool is full, and it has most in it", into: &directives)
        }
        refill(most, into: &directives)
        return true
    }

    /// Nothing of the domain waits on disk any more: it was lost, or gives way.
    private mutating func dropSpool(_ domain: DomainName, into directives: inout [Directive]) {
        guard let stream = streams[domain] else { return }
        totals.dropped += UInt64(stream.spooledEvents)
        spooledBytes -= stream.spooledBytes
        streams[domain]?.spooledEvents = 0
        streams[domain]?.spooledBytes = 0
        directives.append(.dropSpool(of: domain))
    }

    mutating func unspooled(_ events: [DestinationEvent], _ domain: DomainName) {
        guard var stream = streams[domain], stream.spooledEvents >= events.count else { return }
        let before = stream.queuedBytes
        for event in events { stream.enqueue(event) }
        let taken = stream.queuedBytes - before
        queuedBytes += taken
        stream.spooledEvents -= events.count
        stream.spooledBytes -= taken
        spooledBytes -= taken
        streams[domain] = stream
        schedule(domain)
    }

    mutating func spoolFailed(_ text: String, _ domain: DomainName, into directives: inout [Directive]) {
        guard let stream = streams[domain] else { return }
        dropSpool(domain, into: &directives)
        if !stream.hasGap { openGap(domain, text, into: &directives) }
        refill(domain, into: &directives)
    }

    /// From here on events are missing: they are dropped until everything before is delivered, and then restated.
    private mutating func openGap(_ domain: DomainName, _ why: String, into directives: inout [Directive]) {
        set(.due, of: domain)
        totals.gaps += 1
        directives.append(.note(.gap(domain, why)))
        refill(domain, into: &directives)
    }

    /// A destination that is gone wants nothing of what is published, so that is as good as delivered: a domain that is
    /// to be removed does not wait for it.
    mutating func passOver(_ domain: DomainName, to position: Position, _ directives: inout [Directive]) {
        streams[domain]?.seen = position
        directives.append(.tell(.delivered(position, to: settings.name), of: domain))
    }

    /// Drops what waits of a domain.
    /// - Parameter isEnded: whether the next owner goes on from the cursor; else `clear` and replay stand for it.
    mutating func empty(_ domain: DomainName, isEnded: Bool = false, into directives: inout [Directive]) {
        guard var stream = streams[domain] else { return }
        let waiting = UInt64(stream.queue.count + stream.spooledEvents)
        if isEnded { totals.abandoned += waiting } else { totals.dropped += waiting }
        queuedBytes -= stream.queuedBytes
        spooledBytes -= stream.spooledBytes
        if stream.spooledEvents > 0 { directives.append(.dropSpool(of: domain)) }
        if stream.flight != nil { stragglers[domain, default: 0] += 1 }
        if stream.turn != nil { voidTurns += 1 }
        set(.none, of: domain)
        stream = LaneStream(epoch: stream.epoch, acknowledged: stream.acknowledged)
        streams[domain] = stream
        sweepTurns()
    }

    /// Takes out turns of ownerships that have ended once they are the larger part.
    private mutating func sweepTurns() {
        guard voidTurns > (ready.count + delayed.count) / 2 else { return }
        ready = ready.filter { isCurrent($0) }
        delayed = delayed.filter { isCurrent($0.turn) }
        voidTurns = 0
    }

    /// Events found no room in front of the lane.
    mutating func missed(_ events: Int, _ domain: DomainName, into directives: inout [Directive]) {
        guard !isGone, let stream = streams[domain] else { return }
        totals.dropped += UInt64(events)
        if !stream.hasGap { openGap(domain, "the lane has no room for its events", into: &directives) }
    }
}

/// What a lane has counted since the node started; all are events but for the last three.
struct LaneTotals: Sendable, Hashable {
    var delivered: UInt64 = 0
    var spooled: UInt64 = 0
    /// Not kept, for want of room or since the destination would not have them: a `clear` and replay stands for them.
    var dropped: UInt64 = 0
    /// Left to the domain's next owner, who goes on from the cursor.
    var abandoned: UInt64 = 0
    /// Lost with the last owner: the `clear` of the new epoch stands for them.
    var uncovered: UInt64 = 0
    /// Never taken by the destination.
    var rejected: UInt64 = 0
    var failures: UInt64 = 0
    var gaps: UInt64 = 0
    var resyncs: UInt64 = 0
}
