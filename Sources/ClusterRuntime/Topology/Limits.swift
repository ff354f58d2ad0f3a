/// The limits of the cluster: how large anything that grows may become. At a limit the answer is a clear
/// refusal, and it is counted.
///
/// Counts are plain numbers, sizes are in bytes. In the topology's `limits:` each has the name shown in
/// `Field`, such as `ring_bytes: 64MiB`.
public struct Limits: Hashable, Sendable {
    /// Largest frame on the wire between nodes, in bytes.
    public var frameBytes = 8 << 20
    /// Recent events an owner keeps of each domain, so that followers can resume.
    public var ringEntries = 65_536
    /// The same in bytes; whichever is reached first.
    public var ringBytes = 64 << 20
    /// Contacts of one domain, unless the domain says otherwise.
    public var contactsPerDomain = 2_000_000
    /// Devices (contacts) of one account, unless the domain says otherwise.
    public var devices = 10
    /// Subscriptions of one websocket connection.
    public var subscriptionsPerConnection = 32
    /// Largest message a websocket client may send, in bytes.
    public var websocketMessageBytes = 64 << 10
    /// Bytes that may wait for one slow websocket client before it is resynchronised.
    public var websocketBudgetBytes = 1 << 20
    /// Bytes that may wait for one peer node.
    public var outboxBytes = 64 << 20
    /// Domains that are filled at nodes which need not have them: standbys that rank before those there are, and next
    /// owners of domains that move to nodes with less than their share. 0: no owner is moved for its node's share.
    public var movingDomains = 32
    /// Requests a node holds back while a domain is being moved or promoted.
    public var parkedRequests = 10_000
    /// Websocket connections of one node.
    public var connectionsPerNode = 18_000
    /// Websocket connections that a node takes in a second, in the long run; of twice as many at once none is refused.
    public var handshakesPerSecond = 5_000
    /// Size at which a journal starts a new file, in bytes.
    public var journalSegmentBytes = 64 << 20
    /// Failed logins of one address within `Periods.loginWindow` before it is turned away for
    /// `Periods.loginBan`.
    public var loginFailures = 20
    /// Password checks that may wait for the hashing thread; each takes it some ten milliseconds.
    public var pendingLogins = 512
    /// Successful password checks a node remembers, so that reconnecting clients are not hashed again.
    public var provenPasswords = 65_536
    /// Accounts a node keeps at hand of those in a database, some 300 bytes each.
    public var cachedAccounts = 100_000
    /// Subscriptions of SIP watchers at one node, and to one account there.
    public var watchersPerNode = 10_000
    public var watchersPerAccount = 32

    public init() {}
}

extension Limits {
    /// Where a message that lists something is closed, in bytes: what is left goes into another one. An element may
    /// take it over the limit, by less than as much again; so the smallest frame that may be had holds twice as much.
    public static let listBytes = 256 << 10

    /// Bytes of a frame around its one message, generously: header, array length and tag.
    public static let frameOverhead = 128

    /// A limit's key in a topology file, where it is stored, the range it may have, and whether it is a size.
    struct Field: Sendable {
        enum Unit: Sendable { case count, bytes }

        let key: String
        let path: any WritableKeyPath<Limits, Int> & Sendable
        let range: ClosedRange<Int>
        let unit: Unit

        init(
            _ key: String, _ path: any WritableKeyPath<Limits, Int> & Sendable, _ range: ClosedRange<Int>,
            _ unit: Unit = .count
        ) {
            self.key = key
            self.path = path
            self.range = range
            self.unit = unit
        }
    }

    static let fields: [Field] = [
        Field("frame_bytes", \.frameBytes, 2 * listBytes...64 << 20, .bytes),
        Field("ring_entries", \.ringEntries, 16...16_777_216),
        Field("ring_bytes", \.ringBytes, 64 << 10...8 << 30, .bytes),
        Field("contacts_per_domain", \.contactsPerDomain, 1...100_000_000),
        Field("devices", \.devices, 1...10_000),
        Field("subscriptions_per_connection", \.subscriptionsPerConnection, 1...10_000),
        Field("websocket_message_bytes", \.websocketMessageBytes, 1 << 10...16 << 20, .bytes),
        Field("websocket_budget_bytes", \.websocketBudgetBytes, 4 << 10...1 << 30, .bytes),
        Field("outbox_bytes", \.outboxBytes, 64 << 10...8 << 30, .bytes),
        Field("moving_domains", \.movingDomains, 0...10_000),
        Field("parked_requests", \.parkedRequests, 0...10_000_000),
        Field("connections_per_node", \.connectionsPerNode, 1...1_000_000),
        Field("handshakes_per_second", \.handshakesPerSecond, 1...1_000_000),
        Field("journal_segment_bytes", \.journalSegmentBytes, 64 << 10...4 << 30, .bytes),
        Field("login_failures", \.loginFailures, 1...1_000_000),
        Field("pending_logins", \.pendingLogins, 1...1_000_000),
        Field("proven_passwords", \.provenPasswords, 0...10_000_000),
        Field("cached_accounts", \.cachedAccounts, 0...10_000_000),
        Field("watchers_per_node", \.watchersPerNode, 0...1_000_000),
        Field("watchers_per_account", \.watchersPerAccount, 1...10_000),
    ]

    /// What does not fit: single limits out of range, then relations that do not hold. Empty when all is
    /// well.
    public var violations: [SettingViolation] {
        Self.fields.filter { !$0.range.contains(self[keyPath: $0.path]) }.map { field in
            SettingViolation(
                setting: field.key, wrong: "\(field.key) is \(self[keyPath: field.path])",
                expected: "from \(field.range.lowerBound) to \(field.range.upperBound)")
        } + relationViolations
    }

    private var relationViolations: [SettingViolation] {
        [
            noMore("frame_bytes", frameBytes, than: "outbox_bytes", outboxBytes),
            noMore("frame_bytes", frameBytes, than: "journal_segment_bytes", journalSegmentBytes),
            noMore("websocket_message_bytes", websocketMessageBytes, than: "frame_bytes", frameBytes),
            noMore(
                "websocket_message_bytes", websocketMessageBytes,
                than: "websocket_budget_bytes", websocketBudgetBytes),
            noMore("devices", devices, than: "contacts_per_domain", contactsPerDomain),
        ].compactMap(\.self)
    }

    private func noMore(_ key: String, _ value: Int, than other: String, _ bound: Int) -> SettingViolation? {
        guard value > bound else { return nil }
        return SettingViolation(
            setting: key, wrong: "\(key) is \(value)", expected: "at most \(other), which is \(bound)")
    }
}
