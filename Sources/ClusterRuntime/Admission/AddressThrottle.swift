import DequeModule

/// Slows down and then turns away addresses whose attempts to log in fail.
///
/// After a failure the address's next logins are checked one after another, 0.2 s apart at first and twice as far with
/// each further failure, up to 10 s; too many failures within the window, and it is turned away for a while. A success
/// makes up for nothing: whoever guesses may have an account too. The table is bounded: the address that was added
/// first is forgotten first. Addresses are texts as `NetworkOfAddress` makes them; what they mean is not looked at.
public struct AddressThrottle: Sendable {
    public enum Admission: Sendable, Hashable {
        /// Check the login after this time.
        case check(after: Duration)
        /// Turn it away; the address may come back after this time.
        case banned(Duration)
    }

    private struct Record: Sendable {
        var failures = 0
        var windowEnd: MonotonicInstant
        var next: MonotonicInstant
        var bannedUntil = MonotonicInstant.distantPast
    }

    private let maximumFailures: Int
    private let window: Duration
    private let ban: Duration
    private let capacity: Int
    private var records: [String: Record] = [:]
    private var order: Deque<String> = []

    static let firstDelay = Duration.milliseconds(200)
    static let longestDelay = Duration.seconds(10)

    public init(maximumFailures: Int, window: Duration, ban: Duration, capacity: Int) {
        self.maximumFailures = maximumFailures
        self.window = window
        self.ban = ban
        self.capacity = capacity
    }

    /// Addresses remembered.
    public var count: Int { records.count }

    /// A login of this address is to be checked.
    public mutating func admit(_ address: String, at now: MonotonicInstant) -> Admission {
        guard var record = records[address] else { return .check(after: .zero) }
        if record.bannedUntil > now { return .banned(record.bannedUntil - now) }
        guard record.windowEnd > now else { return .check(after: .zero) }
        let turn = max(record.next, now)
        guard turn - now <= Self.longestDelay else { return .banned(turn - now) }
        record.next = turn + Self.delay(after: record.failures)
        records[address] = record
        return .check(after: turn - now)
    }

    /// How long the address is turned away from now on; nil when it is not.
    public func ban(of address: String, at now: MonotonicInstant) -> Duration? {
        guard let until = records[address]?.bannedUntil, until > now else { return nil }
        return until - now
    }

    /// Whether an attempt is checked at once, for those who drop what comes too soon instead of letting it wait.
    public func isDue(_ address: String, at now: MonotonicInstant) -> Bool {
        guard let record = records[address] else { return true }
        return record.bannedUntil <= now && (record.windowEnd <= now || record.next <= now)
    }

    /// The login was wrong.
    public mutating func failed(_ address: String, at now: MonotonicInstant) {
        var record = records[address] ?? add(address, at: now)
        if record.windowEnd <= now { record = Record(windowEnd: now + window, next: now) }
        record.failures += 1
        record.next = max(record.next, now + Self.delay(after: record.failures))
        if record.failures >= maximumFailures {
            record.bannedUntil = now + ban
            record.windowEnd = record.bannedUntil
        }
        records[address] = record
    }

    /// The addresses that are turned away, by name.
    public func listed(at now: MonotonicInstant) -> [AddressBan] {
        records.filter { $0.value.bannedUntil > now }
            .map { AddressBan(network: $0.key, rest: $0.value.bannedUntil - now, failures: $0.value.failures) }
            .sorted { $0.network < $1.network }
    }

    /// Forgets an address's failures.
    /// - Returns: whether it was turned away.
    public mutating func lift(_ address: String, at now: MonotonicInstant) -> Bool {
        guard let record = records[address] else { return false }
        // It keeps its place in the table, so that the order of forgetting stays that of adding.
        records[address] = Record(windowEnd: now, next: now)
        return record.bannedUntil > now
    }

    private static func delay(after failures: Int) -> Duration {
        min(longestDelay, firstDelay * (1 << min(max(failures, 1) - 1, 10)))
    }

    private mutating func add(_ address: String, at now: MonotonicInstant) -> Record {
        if order.count >= capacity, let first = order.popFirst() { records[first] = nil }
        order.append(address)
        return Record(windowEnd: now + window, next: now)
    }
}
