import RegistrarEvents

/// Which types of `registrarevents` a subscription asks for. `clear` is not among them: it voids what every subscriber
/// of the class knows, so all of them get it.
public struct EventTypes: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let userRegistered = EventTypes(rawValue: 1)
    public static let userUnregistered = EventTypes(rawValue: 2)
    public static let sipuserRegistered = EventTypes(rawValue: 4)
    public static let sipuserUnregistered = EventTypes(rawValue: 8)
    public static let all: EventTypes = [userRegistered, userUnregistered, sipuserRegistered, sipuserUnregistered]

    /// How many different sets there are.
    static let combinations = 16

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
    public let objects: [String]?

    /// Most account ids of one subscription.
    public static let maximumObjects = 1_000

    /// - Parameter objects: account ids; nil or none for all.
    public init(_ types: EventTypes, objects: [String]? = nil) {
        self.types = types
        self.objects = objects.flatMap { $0.isEmpty ? nil : Set($0).sorted() }
    }

    public static let everything = SubscriptionMatcher(.all)

    /// Whether an event of this type about this account is asked for.
    func matches(_ type: EventTypes, account: String) -> Bool {
        types.contains(type) && (objects.map { Self.contains($0, account) } ?? true)
    }

    /// Binary search: the ids are sorted.
    private static func contains(_ sorted: [String], _ name: String) -> Bool {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < name { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low] == name
    }
}
