package import ClusterRuntime
import DequeModule
package import RegistrarEvents

/// What one node delivers to one destination, domain by domain.
///
/// It decides which batch goes out when, what waits in memory and what on disk, and when a destination needs `clear`
/// and replay. It does not know how a batch is delivered, nor who owns what: owners tell it when they begin and end.
///
/// The ladder of a destination that does not take events: they wait in memory, then in the spool; when that is full
/// they are dropped and counted. Once everything before the gap is delivered, the owner is asked for `clear` and
/// replay.
///
/// Invariants:
/// - Per domain one batch is under way, and positions never go back within it.
/// - `acknowledged` moves by deliveries alone (and over events that the filter leaves out), never by sending. Owners
///   are told of it, and of what is published while the destination wants nothing any more.
/// - Whatever is dropped is counted, and a `clear` follows it: of the next epoch, or one made for this destination.
package struct LaneMachine: Sendable {
    package enum Event: Sendable {
        case published(Publication, of: DomainName)
        case delivered(ticket: UInt64, of: DomainName)
        case failed(DestinationError, ticket: UInt64, of: DomainName)
        /// Events that were published then did not fit into the lane's mailbox.
        case missed(events: Int, of: DomainName)
        /// The answer to `unspool`: what was read, in order.
        case unspooled([DestinationEvent], of: DomainName)
        /// The spool had no room for the last of what it was given, which are these: its files may hold more than waits
        /// in them.
        case spoolFull([DestinationEvent], of: DomainName)
        /// The spool could not be written or read: what was in it is lost.
        case spoolFailed(String, of: DomainName)
        /// A destination that wanted nothing any more is to be told of everything again.
        case resumed
        /// The node stops: nothing goes out any more.
        case closed
        /// Time goes by: at the latest at `nextWake`.
        case tick
    }

    package enum Directive: Sendable {
        /// The answer is `delivered` or `failed` with the ticket.
        case deliver(DestinationBatch, ticket: UInt64)
        case tell(DestinationNotice, of: DomainName)
        case spool([DestinationEvent], of: DomainName)
        /// Read about so many bytes from the spool's front.
        case unspool(bytes: Int, of: DomainName)
        case dropSpool(of: DomainName)
        /// This node has nothing of the domain any more, and nothing of it is under way. What is delivered after it is
        /// of another ownership, and has to come there after it as well.
        case forget(DomainName)
        case note(Note)
    }

    /// For the log.
    package enum Note: Sendable, Hashable {
        case away(String)
        case back
        case gap(DomainName, String)
        case rejected(DomainName, events: Int, String)
        case fenced(DomainName, String)
        case moved(DomainName, String)
        case gone(String)
        case resumed
        case refused(DomainName, String)
    }

    /// It counts as long as the domain's stream has its number.
    struct Turn: Sendable {
        let domain: DomainName
        let number: UInt64
    }

    var settings: LaneSettings
    var streams: [DomainName: LaneStream] = [:]
    var totals = LaneTotals()
    /// Domains with something to deliver, by turns.
    var ready: Deque<Turn> = []
    /// Domains that pause, in the order of their times.
    var delayed: [(until: MonotonicInstant, turn: Turn)] = []
    /// How many turns in `ready` and `delayed` are of ownerships that have ended.
    var voidTurns = 0
    private var nextTurn: UInt64 = 1
    var underWay = 0
    /// Batches under way of ownerships that have ended: until they have landed nothing else of the domain goes out.
    var stragglers: [DomainName: Int] = [:]
    /// Failures in a row that concern the whole destination; while there are any, one batch alone is tried.
    var failures = 0
    /// Batches that were delivered.
    var landed: UInt64 = 0
    var pausedUntil = MonotonicInstant.distantPast
    /// Since when the destination takes nothing.
    var awaySince: Moment?
    /// The domain whose failures alone say so; nil once another's has failed as well.
    private var awayFor: DomainName?
    var lastError: (text: String, wall: Int64)?
    /// Why events were passed over that it never takes.
    var lastRejection: String?
    /// It wants nothing any more, until resumed. Of its domains only the epoch is kept.
    var isGone = false
    private var isClosed = false
    var queuedBytes = 0
    var spooledBytes = 0
    /// How many domains have asked for a part of a replay that has not come, and who is to ask once there is room.
    var asked = 0
    var hungry: Deque<DomainName> = []
    var isHungry: Set<DomainName> = []
    private var nextTicket: UInt64 = 1
    private var random: SplitMix64

    package init(settings: LaneSettings, seed: UInt64) {
        self.settings = settings
        random = SplitMix64(seed: seed)
    }

    /// - Parameter isLast: whether nothing else has arrived already, so that it is decided what goes out.
    package mutating func handle(_ event: Event, isLast: Bool = true, at now: Moment) -> [Directive] {
        guard !isClosed else { return [] }
        var directives: [Directive] = []
        switch event {
        case .published(let publication, let domain): take(publication, domain, at: now, into: &directives)
        case .delivered(let ticket, let domain): delivered(ticket, domain, into: &directives)
        case .failed(let error, let ticket, let domain): failed(error, ticket, domain, at: now, into: &directives)
        case .missed(let events, let domain): missed(events, domain, into: &directives)
        case .unspooled(let events, let domain): unspooled(events, domain)
        case .spoolFull(let events, let domain): spoolFull(events, domain, into: &directives)
        case .spoolFailed(let text, let domain):
            lastError = (text, now.wall)
            spoolFailed(text, domain, into: &directives)
        case .resumed: resume(into: &directives)
        case .closed:
            isClosed = true
            // Of this life alone, and on the journal's disk.
            for (domain, stream) in streams.sorted(by: { $0.key < $1.key }) where stream.spooledEvents > 0 {
                directives.append(.dropSpool(of: domain))
            }
        case .tick: break
        }
        if isLast, !isClosed {
            feedHungry(into: &directives)
            dispatch(at: now, into: &directives)
        }
        return directives
    }

    /// When the machine wants a tick, which may be a moment that has passed; nil when it waits for nothing but answers
    /// and publications.
    package func nextWake() -> MonotonicInstant? {
        guard !isGone, !isClosed else { return nil }
        // A pause may be over by the time that this is asked, and nothing has gone out since.
        let paused = ready.isEmpty || underWay >= limit ? nil : pausedUntil
        return [paused, delayed.first?.until].compactMap(\.self).min()
    }

    // MARK: Going out

    /// How many batches may be under way.
    private var limit: Int { failures > 0 ? 1 : settings.concurrency }

    private mutating func dispatch(at now: Moment, into directives: inout [Directive]) {
        while let first = delayed.first, first.until <= now.monotonic {
            delayed.removeFirst()
            guard isCurrent(first.turn) else {
                voidTurns -= 1
                continue
            }
            ready.append(first.turn)
            // Of a domain that has missed events and has nothing else to deliver.
            refill(first.turn.domain, into: &directives)
        }
        guard !isGone, pausedUntil <= now.monotonic else { return }
        while underWay < limit, let turn = ready.popFirst() {
            guard isCurrent(turn) else {
                voidTurns -= 1
                continue
            }
            let domain = turn.domain
            streams[domain]?.turn = nil
            guard let stream = streams[domain], stream.isDeliverable else { continue }
            if stream.gathersUntil > now.monotonic, stream.queue.count < settings.batch.events {
                delay(domain, until: stream.gathersUntil)
                continue
            }
            let events = stream.batch(settings.batch)
            let ticket = nextTicket
            nextTicket += 1
            underWay += 1
            streams[domain]?.flight = LaneStream.Flight(ticket: ticket, events: events.count)
            streams[domain]?.gathersUntil = now.monotonic + settings.gathering
            directives.append(.deliver(DestinationBatch(domain: domain, events: events), ticket: ticket))
        }
    }

    /// Lines the domain up when it has something to deliver.
    mutating func schedule(_ domain: DomainName) {
        guard let stream = streams[domain], stream.isDeliverable, stream.turn == nil, stragglers[domain] == nil
        else { return }
        ready.append(turn(of: domain))
    }

    private mutating func turn(of domain: DomainName) -> Turn {
        defer { nextTurn += 1 }
        streams[domain]?.turn = nextTurn
        return Turn(domain: domain, number: nextTurn)
    }

    func isCurrent(_ turn: Turn) -> Bool { streams[turn.domain]?.turn == turn.number }

    // MARK: Answers

    private mutating func delivered(_ ticket: UInt64, _ domain: DomainName, into directives: inout [Directive]) {
        underWay -= 1
        isBack(into: &directives)
        guard let flight = land(ticket, domain, into: &directives) else { return }
        took(flight, but: 0, of: domain, into: &directives)
    }

    /// The destination takes events.
    private mutating func isBack(into directives: inout [Directive]) {
        if failures > 0 { directives.append(.note(.back)) }
        failures = 0
        pausedUntil = .distantPast
        awaySince = nil
        landed += 1
    }

    /// It took a batch, but for so many events that it never takes.
    private mutating func took(
        _ flight: LaneStream.Flight, but rejected: Int, of domain: DomainName, into directives: inout [Directive]
    ) {
        totals.rejected += UInt64(rejected)
        totals.delivered += UInt64(max(0, flight.events - rejected))
        streams[domain]?.failures = 0
        streams[domain]?.refusal = nil
        advance(domain, over: flight.events, into: &directives)
    }

    /// Ends a flight; nil when it is of an ownership that has ended.
    private mutating func land(
        _ ticket: UInt64, _ domain: DomainName, into directives: inout [Directive]
    ) -> LaneStream.Flight? {
        guard let flight = streams[domain]?.flight, flight.ticket == ticket else {
            let others = (stragglers[domain] ?? 1) - 1
            stragglers[domain] = others > 0 ? others : nil
            forgetIfOver(domain, into: &directives)
            schedule(domain)
            return nil
        }
        streams[domain]?.flight = nil
        return flight
    }

    /// The first events of the domain are dealt with.
    private mutating func advance(_ domain: DomainName, over count: Int, into directives: inout [Directive]) {
        guard var stream = streams[domain], count > 0 else { return }
        let before = stream.queuedBytes
        let reached = stream.queue[count - 1].position
        stream.removeFirst(count)
        queuedBytes -= before - stream.queuedBytes
        stream.acknowledged = stream.isDrained && !stream.hasGap ? stream.seen : max(stream.acknowledged, reached)
        directives.append(.tell(.delivered(stream.acknowledged, to: settings.name), of: domain))
        streams[domain] = stream
        refill(domain, into: &directives)
        schedule(domain)
    }

    private mutating func failed(
        _ error: DestinationError, _ ticket: UInt64, _ domain: DomainName, at now: Moment,
        into directives: inout [Directive]
    ) {
        underWay -= 1
        totals.failures += 1
        // What was under way when the destination wanted nothing any more has landed by then, and says less.
        guard let flight = land(ticket, domain, into: &directives) else { return }
        lastError = (error.description, now.wall)
        switch error.kind {
        case .unavailable:
            guard !failedAlone(domain) else { return refused(domain, error, at: now, into: &directives) }
            if failures == 0 {
                awaySince = now
                awayFor = domain
                directives.append(.note(.away(error.description)))
            } else if awayFor != domain {
                awayFor = nil
            }
            // Batches that were under way beside one another fail for the same reason.
            if failures == 0 || pausedUntil <= now.monotonic { failures += 1 }
            // One that is put off may be so for what it has to say, or as often as it says it: others are tried before.
            let forAll = awayFor == nil ? error.pause : min(error.pause, settings.longestPause)
            pausedUntil = max(pausedUntil, now.monotonic + max(pause(after: failures), forAll))
            if error.pause > .zero { delay(domain, until: now.monotonic + error.pause) } else { schedule(domain) }
        case .domainUnavailable:
            _ = failedAlone(domain)
            refused(domain, error, at: now, into: &directives)
        case .rejected(let events):
            isBack(into: &directives)
            lastRejection = error.description
            directives.append(.note(.rejected(domain, events: events, error.description)))
            took(flight, but: events, of: domain, into: &directives)
        case .fenced:
            directives.append(.note(.fenced(domain, error.description)))
            empty(domain, into: &directives)
            set(.due, of: domain)
            delay(domain, until: now.monotonic + settings.longestPause)
        case .moved:
            directives.append(.note(.moved(domain, error.description)))
            empty(domain, into: &directives)
            set(.due, of: domain)
            refill(domain, into: &directives)
        case .gone:
            isGone = true
            directives.append(.note(.gone(error.description)))
            for (domain, stream) in streams.sorted(by: { $0.key < $1.key }) {
                empty(domain, into: &directives)
                passOver(domain, to: stream.seen, &directives)
            }
        }
    }

    /// Counts a failure.
    /// - Returns: whether others were delivered since the domain first failed, so that it fails for itself.
    private mutating func failedAlone(_ domain: DomainName) -> Bool {
        guard let stream = streams[domain] else { return false }
        streams[domain]?.failures += 1
        guard stream.failures > 0 else {
            streams[domain]?.landedAtFirstFailure = landed
            return false
        }
        return landed > stream.landedAtFirstFailure
    }

    /// The domain pauses, and others go on.
    private mutating func refused(
        _ domain: DomainName, _ error: DestinationError, at now: Moment, into directives: inout [Directive]
    ) {
        guard let stream = streams[domain] else { return }
        if stream.refusal == nil { directives.append(.note(.refused(domain, error.description))) }
        streams[domain]?.refusal = (stream.refusal?.since ?? now.monotonic, error.description)
        delay(domain, until: now.monotonic + max(pause(after: stream.failures), error.pause))
    }

    /// Everything is restated, since nothing was kept meanwhile.
    private mutating func resume(into directives: inout [Directive]) {
        guard isGone else { return }
        isGone = false
        failures = 0
        pausedUntil = .distantPast
        awaySince = nil
        directives.append(.note(.resumed))
        for domain in streams.keys.sorted() {
            set(.due, of: domain)
            refill(domain, into: &directives)
        }
    }

    private mutating func delay(_ domain: DomainName, until: MonotonicInstant) {
        let index = delayed.lastIndex { $0.until <= until }.map { $0 + 1 } ?? 0
        delayed.insert((until, turn(of: domain)), at: index)
    }

    /// Doubles with each failure up to the longest; between a half and the whole of that.
    private mutating func pause(after failures: Int) -> Duration {
        let whole = min(settings.firstPause * (1 << min(failures - 1, 16)), settings.longestPause)
        let half = whole.nanoseconds / 2
        return .nanoseconds(half + Int64.random(in: 0...max(half, 1), using: &random))
    }
}
