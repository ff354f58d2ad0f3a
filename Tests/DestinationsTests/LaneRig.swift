import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Destinations

/// A lane's machine with a spool in memory, and batches that land or fail when told to.
struct LaneRig {
    struct Outgoing {
        let batch: DestinationBatch
        let ticket: UInt64
        var seqs: [UInt64] { batch.events.map(\.entry.seq) }
    }

    private(set) var machine: LaneMachine
    private(set) var now = Moment(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wall: 1_700_000_000_000)
    private(set) var outgoing: [Outgoing] = []
    private(set) var cursors: [String] = []
    private(set) var asked: [DestinationNotice] = []
    /// Whose owners were asked, in the order of `asked`.
    private var askedOf: [DomainName] = []
    /// The most that was in memory at a time.
    private(set) var peakBytes = 0
    private(set) var notes: [LaneMachine.Note] = []
    private(set) var forgotten: [DomainName] = []
    private var underWay: [DomainName: Outgoing] = [:]
    private var spool: [DomainName: [DestinationEvent]] = [:]
    /// How many events the disk takes.
    var diskEvents = Int.max / 2

    init(
        batch: Int = 1_000, gathering: Duration = .zero, concurrency: Int = 8,
        filter: DestinationFilter = .everything, domainQueueBytes: Int = 8 << 20, queueBytes: Int = 64 << 20,
        overdraftBytes: Int = 64 << 10, spoolBytes: Int = 1 << 30, seed: UInt64 = 1
    ) throws {
        machine = LaneMachine(
            settings: LaneSettings(
                name: "test", kind: "test", filter: filter, concurrency: concurrency,
                batch: BatchLimits(events: batch), gathering: gathering, domainQueueBytes: domainQueueBytes,
                queueBytes: queueBytes, overdraftBytes: overdraftBytes, spoolBytes: spoolBytes),
            seed: seed)
    }

    static func contact(_ account: String) throws -> PackedContact {
        let details = UserDetails(sessionID: "s", app: "a", caps: [], peerAddress: "192.0.2.1", peerPort: 1)
        return try #require(PackedContact(Registration(account: account, contact: "c", user: details)))
    }

    static func entry(_ seq: UInt64) -> LogEntry {
        guard let contact = try? contact("u\(seq)") else {  // its parts are well within their limits
            preconditionFailure("no contact u\(seq)")
        }
        return LogEntry(seq: seq, timestamp: 0, change: .registered(contact, ttl: 1_000, replay: false))
    }

    func tail(of epoch: UInt64, _ seqs: ClosedRange<UInt64>, cursor: Position) -> LogTail {
        var tail = LogTail()
        tail.take(
            seqs.map(Self.entry), epoch: epoch, cursors: [DestinationCursor(destination: "test", position: cursor)],
            maximumEntries: 100, maximumBytes: 1 << 20)
        return tail
    }

    mutating func handle(_ event: LaneMachine.Event, isLast: Bool = true) {
        let directives = machine.handle(event, isLast: isLast, at: now)
        peakBytes = max(peakBytes, machine.queuedBytes)
        for directive in directives { perform(directive) }
    }

    private mutating func perform(_ directive: LaneMachine.Directive) {
        switch directive {
        case .deliver(let batch, let ticket):
            #expect(underWay[batch.domain] == nil, "two batches of a domain at a time")
            let flight = Outgoing(batch: batch, ticket: ticket)
            underWay[batch.domain] = flight
            outgoing.append(flight)
        case .tell(.delivered(let position, _), _): cursors.append("\(position)")
        case .tell(let notice, let domain):
            asked.append(notice)
            askedOf.append(domain)
        case .spool(let events, let domain):
            let room = diskEvents - spool.values.reduce(0) { $0 + $1.count }
            spool[domain, default: []] += events.prefix(room)
            if events.count > room { handle(.spoolFull(Array(events[room...]), of: domain)) }
        case .unspool(let bytes, let domain):
            #expect(spooled(domain) > 0, "nothing was spooled of \(domain)")
            var taken = 0
            let read = spool[domain, default: []].prefix { event in
                defer { taken += event.entry.weight }
                return taken < bytes
            }
            spool[domain]?.removeFirst(read.count)
            handle(.unspooled(Array(read), of: domain))
        case .dropSpool(let domain): spool[domain] = nil
        case .forget(let domain): forgotten.append(domain)
        case .note(let note): notes.append(note)
        }
    }

    mutating func begin(_ domain: DomainName, epoch: UInt64 = 1, tail: LogTail = LogTail()) {
        handle(.published(.began(epoch: epoch, tail), of: domain))
    }

    @discardableResult
    mutating func publish(_ domain: DomainName, _ seqs: ClosedRange<UInt64>, epoch: UInt64 = 1) -> DomainName {
        handle(.published(.entries(seqs.map(Self.entry), epoch: epoch), of: domain))
        return domain
    }

    mutating func replay(
        _ domain: DomainName, after: UInt64, _ accounts: [String], isFirst: Bool, isLast: Bool
    ) {
        replay(
            domain, after: after, contacts: accounts.compactMap { try? Self.contact($0) },  // short names fit
            isFirst: isFirst, isLast: isLast)
    }

    mutating func replay(
        _ domain: DomainName, after: UInt64, contacts: [PackedContact], isFirst: Bool, isLast: Bool
    ) {
        let live = contacts.map { LiveContact(contact: $0, ttl: 1) }
        let part = DestinationReplay.Part(
            epoch: 1, after: after, isFirst: isFirst, isLast: isLast, contacts: live)
        handle(.published(.replay(part, to: "test"), of: domain))
    }

    func isUnderWay(_ domain: DomainName) -> Bool { underWay[domain] != nil }
    func spooled(_ domain: DomainName) -> Int { spool[domain]?.count ?? 0 }

    /// The batch under way arrives.
    /// - Returns: what was in it.
    @discardableResult
    mutating func land(_ domain: DomainName) -> [DestinationEvent] {
        guard let flight = underWay.removeValue(forKey: domain) else { return [] }
        handle(.delivered(ticket: flight.ticket, of: domain))
        return flight.batch.events
    }

    mutating func fail(
        _ domain: DomainName, _ kind: DestinationError.Kind, _ text: String = "test", pause: Duration = .zero
    ) {
        guard let flight = underWay.removeValue(forKey: domain) else {
            Issue.record("nothing of \(domain) is under way")
            return
        }
        handle(.failed(DestinationError(kind, text, pause: pause), ticket: flight.ticket, of: domain))
    }

    mutating func takeAsked() -> [DestinationNotice] {
        defer { (asked, askedOf) = ([], []) }
        return asked
    }

    /// Whose owners were asked, for the beginning of a replay or the next part.
    mutating func takeAskedOf() -> [DomainName] {
        defer { (asked, askedOf) = ([], []) }
        return askedOf
    }

    mutating func advance(_ duration: Duration) { advance(to: now.monotonic + duration) }

    mutating func advance(to instant: MonotonicInstant, isLast: Bool = true) {
        now.wall += (instant - now.monotonic).milliseconds
        now.monotonic = instant
        handle(.tick, isLast: isLast)
    }
}
