public import ClusterRuntime
import DequeModule
public import RegistrarEvents

/// Keeps this node's own connections registered: registers each when it opens, renews it at about half of what was
/// granted, and unregisters it when it closes.
///
/// Each registration rests until something is due, waits its turn, or has one operation under way; so the operations of
/// one contact never overtake each other. One that may have been carried out although its answer was lost counts as
/// carried out: closing then unregisters, again and again until that is done or the time to live has certainly passed.
///
/// Turns go round the domains, and one domain has at most a quarter of what may be under way. One whose owner did not
/// answer is tried by a few of its registrations until it does, and all such domains together have half: they hold up
/// nobody else.
///
/// It knows nothing of owners and of retries within an operation: those are the `RegistrarClient`'s.
public struct RegistrationKeeper: Sendable {
    /// A registration, by the number its connection gave it; never used again.
    public typealias ID = UInt64

    public enum Event: Sendable {
        case opened(ID, DomainName, PackedContact)
        case closed(ID)
        /// The operation under way ended like this.
        case finished(ID, Reply.Result)
        /// Time goes by; about each second.
        case tick
    }

    public enum Directive: Sendable, Hashable {
        case perform(Request.Operation, of: ID, on: DomainName)
        /// How the first registration went. When it was refused, the registration is given up.
        case answered(ID, Reply.Result)
        /// Nothing of the registration is left.
        case released(ID)
    }

    private struct Entry: Sendable {
        enum Phase: Sendable, Hashable {
            case queued
            case registering
            case unregistering
            case resting(until: MonotonicInstant)
        }
        let domain: DomainName
        let contact: PackedContact
        /// What to ask for.
        var ttl: Duration
        var phase = Phase.queued
        var isAnswered = false
        var isClosing = false
        /// Until when the owner may hold it; nil when it certainly does not.
        var heldUntil: MonotonicInstant?

        /// Whether nothing is left to do for it.
        func isOver(at now: MonotonicInstant) -> Bool { isClosing && heldUntil.map { $0 <= now } ?? true }
    }

    /// What a domain's registrations have under way, and which wait for their turns.
    private struct Line: Sendable {
        var waiting: Deque<ID> = []
        var underWay = 0
        /// Whether the last operation that ended found no owner that could act.
        var isDown = false
        /// Whether the domain is among those that have a turn to come.
        var isListed = false
    }

    private let ttl: Duration
    private let maximumUnderWay: Int
    private var entries: [ID: Entry] = [:]
    private var lines: [DomainName: Line] = [:]
    /// Domains by whose turn is next; those that are down apart.
    private var turns: Deque<DomainName> = []
    private var turnsOfDown: Deque<DomainName> = []
    private var underWay = 0
    private var underWayOfDown = 0
    /// What rests, by the second in which it is due.
    private var agenda: [Int64: [ID]] = [:]
    private var lastSecond: Int64?
    private var random: SplitMix64

    /// How long to wait after an operation that failed, before jitter.
    private static let retryInterval = Duration.seconds(1)
    /// How many operations a domain that is down may have under way.
    private static let probes = 8

    /// - Parameters:
    ///   - ttl: time to live to ask for.
    ///   - maximumUnderWay: operations that may be under way at once, of all domains together.
    ///   - seed: of the jitter.
    public init(ttl: Duration, maximumUnderWay: Int = 1_024, seed: UInt64) {
        self.ttl = ttl
        self.maximumUnderWay = maximumUnderWay
        random = SplitMix64(seed: seed)
    }

    /// Registrations that are not released yet.
    public var count: Int { entries.count }

    public mutating func handle(_ event: Event, at now: MonotonicInstant) -> [Directive] {
        if lastSecond == nil { lastSecond = Self.second(of: now) }
        switch event {
        case .opened(let id, let domain, let contact):
            precondition(entries[id] == nil, "registration \(id) was opened twice")
            entries[id] = Entry(domain: domain, contact: contact, ttl: ttl)
            enqueue(id)
            return dispatch(at: now)
        case .closed(let id):
            guard entries[id] != nil else { return [] }
            entries[id]?.isClosing = true
            if case .resting = entries[id]?.phase { enqueue(id) }
            return dispatch(at: now)
        case .finished(let id, let result):
            ended(id, result)
            return finished(id, result, at: now) + dispatch(at: now)
        case .tick: return collectDue(at: now) + dispatch(at: now)
        }
    }

    // MARK: Turns

    private mutating func enqueue(_ id: ID) {
        guard let domain = entries[id]?.domain else { return }
        entries[id]?.phase = .queued
        lines[domain, default: Line()].waiting.append(id)
        list(domain)
    }

    /// Gives a domain a turn, if it has something to do and may.
    private mutating func list(_ domain: DomainName) {
        guard let line = lines[domain], !line.isListed, !line.waiting.isEmpty, hasRoom(line) else { return }
        lines[domain]?.isListed = true
        if line.isDown { turnsOfDown.append(domain) } else { turns.append(domain) }
    }

    private func hasRoom(_ line: Line) -> Bool {
        line.underWay < (line.isDown ? Self.probes : max(Self.probes, maximumUnderWay / 4))
    }

    private mutating func nextDomain() -> DomainName? {
        guard underWay < maximumUnderWay else { return nil }
        if underWayOfDown < maximumUnderWay / 2, let domain = turnsOfDown.popFirst() { return domain }
        return turns.popFirst()
    }

    /// An operation is not under way any more.
    private mutating func ended(_ id: ID, _ result: Reply.Result) {
        guard let domain = entries[id]?.domain, let line = lines[domain] else { return }
        underWay -= 1
        if line.isDown { underWayOfDown -= line.underWay }
        lines[domain]?.underWay -= 1
        if case .refused(let refusal) = result, refusal.isTransient {
            lines[domain]?.isDown = true
            underWayOfDown += line.underWay - 1
        } else {
            lines[domain]?.isDown = false
        }
        list(domain)
        forgetIfIdle(domain)
    }

    private mutating func forgetIfIdle(_ domain: DomainName) {
        if let line = lines[domain], line.waiting.isEmpty, line.underWay == 0 { lines[domain] = nil }
    }

    private mutating func rest(_ id: ID, for duration: Duration, at now: MonotonicInstant) {
        // Between 0.9 and 1.1 times, so that what began together does not stay together.
        let share = 900 + Int64(random.next() % 201)
        let until = now + .nanoseconds(duration.nanoseconds / 1_000 * share)
        entries[id]?.phase = .resting(until: until)
        agenda[Self.second(of: until) + 1, default: []].append(id)
    }

    private static func second(of instant: MonotonicInstant) -> Int64 { instant.nanoseconds / 1_000_000_000 }

    private mutating func collectDue(at now: MonotonicInstant) -> [Directive] {
        let second = Self.second(of: now)
        guard let last = lastSecond, last < second else { return [] }
        lastSecond = second
        var directives: [Directive] = []
        for due in (last + 1)...second {
            for id in agenda.removeValue(forKey: due) ?? [] {
                // Others were closed meanwhile, or rest anew.
                guard let entry = entries[id], case .resting(let until) = entry.phase, until <= now else { continue }
                if entry.isOver(at: now) { directives += release(id) } else { enqueue(id) }
            }
        }
        return directives
    }

    private mutating func dispatch(at now: MonotonicInstant) -> [Directive] {
        var directives: [Directive] = []
        while let domain = nextDomain() {
            lines[domain]?.isListed = false
            // It may be down since it was listed.
            guard let line = lines[domain], hasRoom(line) else { continue }
            while let id = lines[domain]?.waiting.popFirst() {
                guard let entry = entries[id] else { continue }
                guard !entry.isOver(at: now) else {
                    directives += release(id)
                    continue
                }
                directives.append(begin(id, entry))
                lines[domain]?.underWay += 1
                underWay += 1
                if lines[domain]?.isDown == true { underWayOfDown += 1 }
                break
            }
            list(domain)
            forgetIfIdle(domain)
        }
        return directives
    }

    private mutating func begin(_ id: ID, _ entry: Entry) -> Directive {
        guard entry.isClosing else {
            entries[id]?.phase = .registering
            let ttl = UInt32(clamping: entry.ttl.milliseconds)
            return .perform(.register(entry.contact, ttl: ttl), of: id, on: entry.domain)
        }
        entries[id]?.phase = .unregistering
        let key = Array(entry.contact.keyBytes)
        return .perform(.unregister(key: key, reason: .unregisterContact), of: id, on: entry.domain)
    }

    private mutating func release(_ id: ID) -> [Directive] {
        guard let entry = entries.removeValue(forKey: id) else { return [] }
        return (entry.isAnswered ? [] : [.answered(id, .refused(.unavailable))]) + [.released(id)]
    }

    // MARK: Outcomes

    private mutating func finished(_ id: ID, _ result: Reply.Result, at now: MonotonicInstant) -> [Directive] {
        switch entries[id]?.phase {
        case .registering: return registered(id, result, at: now)
        case .unregistering:
            if case .unregistered = result { return release(id) }
            rest(id, for: Self.retryInterval, at: now)
            return []
        case .queued, .resting, nil: preconditionFailure("registration \(id) had nothing under way that could end")
        }
    }

    private mutating func registered(_ id: ID, _ result: Reply.Result, at now: MonotonicInstant) -> [Directive] {
        if case .refused(.intervalTooBrief(let minimum)) = result, let asked = entries[id]?.ttl,
            asked < .milliseconds(Int64(minimum))
        {
            // The domain's minimum is above the node's own time to live: ask again for that.
            entries[id]?.ttl = .milliseconds(Int64(minimum))
            enqueue(id)
            return []
        }
        let isFirst = entries[id]?.isAnswered == false
        entries[id]?.isAnswered = true
        switch result {
        case .registered(_, let granted):
            let granted = Duration.milliseconds(Int64(granted))
            entries[id]?.heldUntil = now + granted
            next(id, after: granted / 2, at: now)
        case .refused(let refusal) where !refusal.isTransient:
            // Certainly not carried out now; an earlier one may still hold.
            if isFirst { entries[id]?.isClosing = true }
            next(id, after: ttl / 2, at: now)
        case .refused, .unregistered, .bound, .page:
            let asked = entries[id]?.ttl ?? ttl
            entries[id]?.heldUntil = now + asked
            if isFirst { entries[id]?.isClosing = true }
            next(id, after: Self.retryInterval, at: now)
        }
        return isFirst ? [.answered(id, result)] : []
    }

    private mutating func next(_ id: ID, after duration: Duration, at now: MonotonicInstant) {
        if entries[id]?.isClosing == true { enqueue(id) } else { rest(id, for: duration, at: now) }
    }
}
