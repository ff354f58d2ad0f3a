public import Filtering
public import RegistrarEvents

/// What a subscription asks for: types of `registrarevents`, or views whose changes it is told of; never both. `clear`
/// is not among them: it voids what every subscriber of the class knows, so all of them get it.
public struct EventTypes: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let userRegistered = EventTypes(rawValue: 1)
    public static let userUnregistered = EventTypes(rawValue: 2)
    public static let sipuserRegistered = EventTypes(rawValue: 4)
    public static let sipuserUnregistered = EventTypes(rawValue: 8)
    /// All of `registrarevents`.
    public static let all: EventTypes = [userRegistered, userUnregistered, sipuserRegistered, sipuserUnregistered]

    public static let userStates = EventTypes(rawValue: 16)
    public static let sipuserStates = EventTypes(rawValue: 32)

    /// The view of such accounts' states.
    public init(statesOf kind: AccountKind) {
        switch kind {
        case .user: self = .userStates
        case .sipuser: self = .sipuserStates
        }
    }

    /// Whether it is views that are asked for.
    public var isOfStates: Bool { !isDisjoint(with: [.userStates, .sipuserStates]) }

    /// Reads one entry of a subscription's `events`: `registrarevents.TYPE`, `registrarevents.*` or `*`.
    /// - Returns: nil when there is no such class or type.
    public init?(event: String) {
        switch event {
        case "*", "registrarevents.*": self = .all
        case "registrarevents.user_registered": self = .userRegistered
        case "registrarevents.user_unregistered": self = .userUnregistered
        case "registrarevents.sipuser_registered": self = .sipuserRegistered
        case "registrarevents.sipuser_unregistered": self = .sipuserUnregistered
        case "registrarevents.clear": self = []
        default: return nil
        }
    }

    /// The type of a change to a contact of this kind; nil for `clear`.
    init?(_ change: LogEntry.Change, _ kind: AccountKind) {
        switch (change, kind) {
        case (.registered, .user): self = .userRegistered
        case (.registered, .sipuser): self = .sipuserRegistered
        case (.unregistered, .user): self = .userUnregistered
        case (.unregistered, .sipuser): self = .sipuserUnregistered
        case (.clear, _): return nil
        }
    }
}

/// What a subscription asks for, within its domain.
public struct SubscriptionMatcher: Hashable, Sendable {
    public var types: EventTypes
    /// Only these account ids, in order and each once; nil for all.
    public var objects: [String]? { accounts?.map(\.string) }
    let accounts: [ExactText]?

    /// Only events of which this holds; nil for all. `clear` is not asked.
    public var filter: Filter<EventProperty>?
    /// Only these members of `data`; nil for all. Nothing is left out of `clear`.
    public var mask: Mask<EventProperty>?
    /// Only what changes the list.
    public var changes: Bool

    /// Most account ids of one subscription.
    public static let maximumObjects = 1_000

    /// - Parameter objects: account ids; nil or none for all.
    public init(
        _ types: EventTypes, objects: [String]? = nil, filter: Filter<EventProperty>? = nil,
        mask: Mask<EventProperty>? = nil, changes: Bool = false
    ) {
        self.types = types
        accounts = objects.flatMap { $0.isEmpty ? nil : Set($0.map(ExactText.init)).sorted() }
        self.filter = filter
        self.mask = mask
        self.changes = changes
    }

    public static let everything = SubscriptionMatcher(.all)

    /// The same, of these accounts only.
    public func limited(to accounts: [String]) -> SubscriptionMatcher {
        SubscriptionMatcher(types, objects: accounts, filter: filter, mask: mask, changes: changes)
    }

    /// Whether it asks for all contacts of a list, with all their data.
    var isUnrestricted: Bool { types == .all && accounts == nil && filter == nil && mask == nil }

    /// Whether an event of this type about this account is asked for, unless the filter says no.
    func covers(_ type: EventTypes, account: String) -> Bool {
        types.contains(type) && covers(account: account)
    }

    func covers(account: String) -> Bool { accounts.map { Self.contains($0, ExactText(account)) } ?? true }

    func matches(_ event: EventView) -> Bool {
        covers(event.type, account: event.account) && (filter?.matches(event) ?? true)
    }

    var isOfStates: Bool { types.isOfStates }

    /// Whether changes of this account's state are asked for.
    func matches(stateOf account: AccountID) -> Bool {
        covers(EventTypes(statesOf: account.kind), account: account.name)
    }

    /// Binary search: the ids are sorted.
    private static func contains(_ sorted: [ExactText], _ name: ExactText) -> Bool {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < name { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low] == name
    }
}
