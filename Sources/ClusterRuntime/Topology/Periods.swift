/// The periods of the cluster: how often nodes speak, and how long a silence means what.
///
/// They only make sense together, so each relation between them is checked when a topology is read
/// (`violations`). In the topology's `periods:` each has the name shown in `Field`, such as `owner_lease:
/// 800ms`.
public struct Periods: Hashable, Sendable {
    /// How often a node tells the routers, and an idle stream its followers, that it is there.
    public var heartbeat: Duration = .milliseconds(200)
    /// A node silent for this long is shown as suspect; nothing is taken from it yet.
    public var suspect: Duration = .milliseconds(600)
    /// A node silent for this long is down: what it owns is given to others.
    public var down: Duration = .seconds(1)
    /// An in-sync standby that has not acknowledged for this long is taken out of the in-sync set.
    public var replicationTimeout: Duration = .milliseconds(500)
    /// How long a router leads after its last renewal at the coordinator.
    public var leadership: Duration = .seconds(2)
    /// How long an owner without in-sync standby may acknowledge after the router's last word.
    /// Ends before the router would call that owner down and promote another.
    public var ownerLease: Duration = .milliseconds(800)
    /// After a restart of everything, how long the router waits for nodes that may hold a better copy of a
    /// domain.
    public var restartGrace: Duration = .seconds(5)
    /// How long an `sr` node has to be up before owners are moved to it because it has less than its share. A node that
    /// comes and goes is given nothing.
    public var rebalanceAfter: Duration = .seconds(300)
    /// How long written journal entries may wait for the disk, to be synchronised in one go.
    public var journalSync: Duration = .milliseconds(50)
    /// A request that was not answered by then has failed; retries included.
    public var requestDeadline: Duration = .seconds(8)
    /// Time to live of a websocket's registration. The gateway renews it well before.
    public var websocketTTL: Duration = .seconds(120)
    /// Failed logins of one address are counted over this window, against `Limits.loginFailures`.
    public var loginWindow: Duration = .seconds(60)
    /// How long an address with too many failed logins is turned away.
    public var loginBan: Duration = .seconds(60)
    /// Between two notifications of changes to one SIP watcher; what changes meanwhile goes into one.
    public var notifyInterval: Duration = .seconds(1)
    /// When a node goes down: over how long its websockets are closed, so that not all of them come to the others at
    /// once.
    public var drain: Duration = .seconds(2)

    public init() {}
}

extension Periods {
    /// A period's key in a topology file, where it is stored, and the range it may have for itself.
    struct Field: Sendable {
        let key: String
        let path: any WritableKeyPath<Periods, Duration> & Sendable
        let range: ClosedRange<Duration>

        init(
            _ key: String, _ path: any WritableKeyPath<Periods, Duration> & Sendable,
            _ range: ClosedRange<Duration>
        ) {
            self.key = key
            self.path = path
            self.range = range
        }
    }

    static let fields: [Field] = [
        Field("heartbeat", \.heartbeat, .milliseconds(10) ... .seconds(10)),
        Field("suspect", \.suspect, .milliseconds(20) ... .seconds(60)),
        Field("down", \.down, .milliseconds(20) ... .seconds(120)),
        Field("replication_timeout", \.replicationTimeout, .milliseconds(10) ... .seconds(60)),
        Field("leadership", \.leadership, .milliseconds(30) ... .seconds(120)),
        Field("owner_lease", \.ownerLease, .milliseconds(10) ... .seconds(120)),
        Field("restart_grace", \.restartGrace, .milliseconds(20) ... .seconds(600)),
        Field("rebalance_after", \.rebalanceAfter, .zero ... .seconds(86400)),
        Field("journal_sync", \.journalSync, .milliseconds(1) ... .seconds(10)),
        Field("request_deadline", \.requestDeadline, .milliseconds(100) ... .seconds(120)),
        Field("websocket_ttl", \.websocketTTL, .seconds(10) ... .seconds(3600)),
        Field("login_window", \.loginWindow, .seconds(1) ... .seconds(3600)),
        Field("login_ban", \.loginBan, .seconds(1) ... .seconds(86400)),
        Field("notify_interval", \.notifyInterval, .milliseconds(1) ... .seconds(60)),
        Field("drain", \.drain, .zero ... .seconds(300)),
    ]

    /// What does not fit: single periods out of range, then relations that do not hold. Empty when all is
    /// well.
    public var violations: [SettingViolation] {
        rangeViolations + relationViolations
    }

    private var rangeViolations: [SettingViolation] {
        Self.fields.filter { !$0.range.contains(self[keyPath: $0.path]) }.map { field in
            let (least, most) = (Quantity.text(field.range.lowerBound), Quantity.text(field.range.upperBound))
            return SettingViolation(
                setting: field.key, wrong: "\(field.key) is \(Quantity.text(self[keyPath: field.path]))",
                expected: "from \(least) to \(most)")
        }
    }

    private var relationViolations: [SettingViolation] {
        [
            atLeast(
                "suspect", suspect, heartbeat * 2, "twice the heartbeat: one lost heartbeat is not silence"),
            atLeast("down", down, suspect, "suspect: a node is suspect before it is down"),
            atMost(
                "owner_lease", ownerLease, down - heartbeat,
                "down less a heartbeat: a lone owner stops before another is promoted"),
            atLeast(
                "owner_lease", ownerLease, heartbeat * 2,
                "twice the heartbeat: one lost heartbeat ends no lone owner's lease"),
            atLeast(
                "leadership", leadership, heartbeat * 3,
                "three heartbeats: one slow renewal loses no leadership"),
            atMost(
                "replication_timeout", replicationTimeout, requestDeadline / 2,
                "half of request_deadline: a request outlives the removal of a standby"),
            atMost(
                "journal_sync", journalSync, replicationTimeout,
                "replication_timeout: a standby that waits for its disk is not late"),
            atLeast(
                "restart_grace", restartGrace, down,
                "down: the nodes that are coming have that long to be heard"),
            atLeast(
                "request_deadline", requestDeadline, down * 2, "twice down: a request outlives a failover"),
            atLeast(
                "websocket_ttl", websocketTTL, requestDeadline * 3,
                "three times request_deadline: a renewal may fail twice"),
        ].compactMap(\.self)
    }

    private func atLeast(
        _ key: String, _ value: Duration, _ bound: Duration, _ why: String
    ) -> SettingViolation? {
        guard value < bound else { return nil }
        return SettingViolation(
            setting: key, wrong: "\(key) is \(Quantity.text(value))",
            expected: "at least \(Quantity.text(bound)), \(why)")
    }

    private func atMost(_ key: String, _ value: Duration, _ bound: Duration, _ why: String)
        -> SettingViolation?
    {
        guard value > bound else { return nil }
        return SettingViolation(
            setting: key, wrong: "\(key) is \(Quantity.text(value))",
            expected: "at most \(Quantity.text(bound)), \(why)")
    }
}
