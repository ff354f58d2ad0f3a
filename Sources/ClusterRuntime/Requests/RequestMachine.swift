import DequeModule
public import RegistrarEvents

/// Brings requests to the owners of their domains, and decides when to ask again.
///
/// Each request is *waiting* (to be sent when its domain's lane is open) or *sent* (to the owner of an epoch, to be
/// repeated unless a reply comes), until it is finished, exactly once. A domain's lane is open, or closed until an
/// instant or until a new owner is known.
///
/// Invariants:
/// - At most `maximumPending` requests are unfinished, and 1,024 of one account; none longer than its deadline and one
///   tick.
/// - Requests of a domain are sent in the order of their ids: while the lane is closed newer ones wait behind older
///   ones. A request is not sent again once a newer one on the same contact has come, or on the whole account, so a
///   repeated registration cannot undo the unregistration that followed it.
/// - The last attempt is made so long before the deadline that none is carried out after it.
/// - Every attempt names the epoch of the newest assignment known, and an owner of another epoch refuses it.
///
/// What it does not know: whether a request without a reply was carried out.
public struct RequestMachine: Sendable {
    /// What happens to the machine.
    public enum Event: Sendable {
        /// A new request. Ids only grow, and those of an earlier life of the node are lower.
        case perform(id: UInt64, Request.Operation, on: DomainName, deadline: Duration)
        case replied([Reply], from: NodeID)
        case assigned([Assignment])
        /// Time has passed. To be sent about every `tickPeriod` while requests are pending.
        case tick
    }

    /// What the shell is to do, in order.
    public enum Directive: Hashable, Sendable {
        /// - Parameter attempt: 1 for the first.
        case send(Request, to: NodeName, attempt: Int)
        case finish(id: UInt64, Reply.Result)
    }

    /// How often time is looked at.
    public static let tickPeriod: Duration = .milliseconds(25)
    /// How long a reply is waited for: at first, and at most. Each attempt waits twice as long as the one before.
    static let firstTimeout: Duration = .milliseconds(250)
    static let longestTimeout: Duration = .seconds(1)
    /// How long a lane is closed when the node asked does not own the domain (and no newer assignment comes).
    static let ownerWait: Duration = .milliseconds(100)
    /// How long a lane is closed when its owner may not or cannot act now; doubled from refusal to refusal.
    static let firstBackoff: Duration = .milliseconds(50)
    static let longestBackoff: Duration = .milliseconds(500)

    /// How long an attempt may be under way: a receiver ignores it afterwards. So nothing takes effect after the
    /// deadline, when whoever asked for it has been told that it failed.
    public static func underWay(of deadline: Duration) -> Duration { deadline / 4 }

    private let maximumPending: Int
    var pending: [UInt64: Pending] = [:]
    /// The unfinished requests that change contacts of one account, by id. Phones that all start again, each with
    /// `Contact: *`, leave thousands of them where a domain has no owner, so none may be looked for among all.
    var accounts: [AccountOfDomain: Requests] = [:]
    /// Unfinished requests that change a whole domain; hardly ever any. By id.
    var wholeDomains: [UInt64] = []
    /// None is ever removed, and one is added only by a domain's first assignment.
    var lanes: [DomainName: Lane] = [:]
    /// The lanes that are closed until an instant. Few of the domains there are, so ticks need not look at all.
    var closed: Set<DomainName> = []
    var jitter: SplitMix64

    struct Pending: Sendable {
        let domain: DomainName
        let operation: Request.Operation
        /// Whose contacts it changes, if only one account's.
        let account: AccountOfDomain?
        let deadline: MonotonicInstant
        /// From then on it is not sent any more, but an answer is still waited for.
        let lastAttempt: MonotonicInstant
        var attempts = 0
        /// Whom it was sent to; nil while it waits.
        var sentTo: NodeName?
        var repeatAt: MonotonicInstant
        /// Whether a newer request on the same contacts forbids sending this one again.
        var superseded = false
        /// The request on the same contact that came before and was pending at that time.
        var predecessor: UInt64?
    }

    /// The way to a domain's owner.
    struct Lane: Sendable {
        var assignment: Assignment
        /// Nothing is sent until then; nil when the lane is open.
        var closedUntil: MonotonicInstant?
        var backoff = RequestMachine.firstBackoff
        /// Its unfinished requests, by id.
        var unfinished: Deque<UInt64> = []
    }

    struct AccountOfDomain: Hashable, Sendable {
        let domain: DomainName
        /// What the packed keys of its contacts begin with.
        let prefix: ArraySlice<UInt8>

        /// By the prefix's bytes at once.
        func hash(into hasher: inout Hasher) {
            hasher.combine(domain)
            prefix.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    /// The ids of one account's requests, in their order. There is hardly ever more than one, for which nothing is
    /// allocated.
    struct Requests: Sendable {
        private(set) var first: UInt64
        private(set) var others: [UInt64] = []

        init(_ id: UInt64) { first = id }

        var count: Int { 1 + others.count }

        mutating func append(_ id: UInt64) { others.append(id) }

        /// - Returns: whether others are left.
        mutating func remove(_ id: UInt64) -> Bool {
            guard id == first else {
                others.removeAll { $0 == id }
                return true
            }
            guard !others.isEmpty else { return false }
            first = others.removeFirst()
            return true
        }
    }

    /// - Parameters:
    ///   - seed: of the jitter that keeps many nodes from asking again at once.
    ///   - maximumPending: requests that may be unfinished; more are refused as overload.
    public init(seed: UInt64, maximumPending: Int = defaultMaximumPending) {
        precondition(maximumPending > 0, "a request machine for \(maximumPending) requests")
        self.maximumPending = maximumPending
        jitter = SplitMix64(seed: seed)
    }

    public static let defaultMaximumPending = 65_536
    /// Unfinished requests on the contacts of one account; more are refused as overload. Each looks at all of them.
    static let maximumOfAccount = 1_024

    /// How many requests are unfinished.
    public var pendingCount: Int { pending.count }

    public mutating func handle(_ event: Event, at now: Moment) -> [Directive] {
        var directives: [Directive] = []
        let time = now.monotonic
        switch event {
        case .perform(let id, let operation, let domain, let deadline):
            perform(id, operation, on: domain, within: deadline, at: time, &directives)
        case .replied(let replies, let node):
            directives.reserveCapacity(replies.count)
            for reply in replies { replied(reply, from: node, at: time, &directives) }
        case .assigned(let assignments):
            for assignment in assignments { assigned(assignment, at: time, &directives) }
        case .tick: tick(at: time, &directives)
        }
        return directives
    }

    // MARK: New requests

    private mutating func perform(
        _ id: UInt64, _ operation: Request.Operation, on domain: DomainName, within limit: Duration,
        at now: MonotonicInstant, _ out: inout [Directive]
    ) {
        guard let lane = lanes.index(forKey: domain) else { return out.append(.finish(id: id, .refused(.notOwner))) }
        guard pending.count < maximumPending else { return out.append(.finish(id: id, .refused(.overloaded))) }
        let account = operation.accountPrefix.map { AccountOfDomain(domain: domain, prefix: $0) }
        guard account.flatMap({ accounts[$0]?.count }) ?? 0 < Self.maximumOfAccount else {
            return out.append(.finish(id: id, .refused(.overloaded)))
        }
        var request = Pending(
            domain: domain, operation: operation, account: account, deadline: now + limit,
            lastAttempt: now + limit - Self.underWay(of: limit), repeatAt: now)
        supersede(by: id, &request)
        let former = pending.updateValue(request, forKey: id)
        precondition(former == nil, "request id \(id) was used twice")
        lanes.values[lane].unfinished.append(id)
        if lanes.values[lane].isOpen { send(id, at: now, &out) }
    }

    /// Sees to it that nothing older that might undo the request is sent again.
    private mutating func supersede(by id: UInt64, _ request: inout Pending) {
        guard let account = request.account else {
            guard case .clear = request.operation else { return }
            for older in lanes[request.domain]?.unfinished ?? [] where pending[older]?.account != nil {
                pending[older]?.superseded = true
            }
            return wholeDomains.append(id)
        }
        for older in wholeDomains where pending[older]?.domain == request.domain {
            pending[older]?.superseded = true
        }
        guard let index = accounts.index(forKey: account) else { return accounts[account] = Requests(id) }
        supersede(accounts.values[index].first, by: &request)
        for older in accounts.values[index].others { supersede(older, by: &request) }
        accounts.values[index].append(id)
    }

    /// - Parameter older: a request that changes contacts of the same account.
    private mutating func supersede(_ older: UInt64, by request: inout Pending) {
        guard let index = pending.index(forKey: older) else { return }
        if let key = request.operation.key, let other = pending.values[index].operation.key {
            guard key == other else { return }
            request.predecessor = older
        }
        pending.values[index].superseded = true
    }
}

extension RequestMachine.Lane {
    var isOpen: Bool { closedUntil == nil && assignment.owner != nil }

    /// A request is finished. Most are in their order, so it is near the front.
    mutating func remove(_ id: UInt64) {
        var (low, high) = (0, unfinished.count)
        if unfinished.first == id { high = 0 }
        while low < high {
            let middle = (low + high) / 2
            if unfinished[middle] < id { low = middle + 1 } else { high = middle }
        }
        guard low < unfinished.count, unfinished[low] == id else { return }
        unfinished.remove(at: low)
    }
}

extension Request.Operation {
    /// The packed key of the one contact that the operation changes.
    var key: ArraySlice<UInt8>? {
        switch self {
        case .register(let contact, _): contact.keyBytes
        case .unregister(let key, _): key[...]
        case .bind(let binding): binding.changes.count == 1 ? binding.changes[0].key : nil
        case .deleteAccount, .clear, .list: nil
        }
    }

    /// What the packed keys of all that it changes begin with, if that is one account's.
    var accountPrefix: ArraySlice<UInt8>? {
        switch self {
        case .register(let contact, _): contact.bytes[..<contact.accountLength]
        case .unregister(let key, _): AccountID.packedPrefix(ofKey: key)
        case .bind(let binding): binding.accountPrefix
        case .deleteAccount(let account): account.packedPrefix[...]
        case .clear, .list: nil
        }
    }
}
