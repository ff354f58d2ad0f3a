import RegistrarEvents

/// The subscriptions that get events as they come, arranged so that an event finds those that ask for it.
///
/// Those for all accounts are kept by their types: there are few combinations, and thousands of subscribers to each
/// share one batch. Those for single accounts are found by the account.
struct Audience: Sendable {
    /// By `EventTypes.rawValue`; each in the order of arrival.
    private(set) var broad: [[SubscriberID]] = Array(repeating: [], count: EventTypes.combinations)
    /// Those for single accounts, in the order of arrival, and by account.
    private(set) var narrow: [SubscriberID] = []
    private var byAccount: [String: [(id: SubscriberID, types: EventTypes)]] = [:]

    mutating func insert(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard let objects = matcher.objects else {
            broad[Int(matcher.types.rawValue)].append(id)
            return
        }
        narrow.append(id)
        for object in objects { byAccount[object, default: []].append((id, matcher.types)) }
    }

    /// - Parameter matcher: the one it was inserted with.
    mutating func remove(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard let objects = matcher.objects else {
            broad[Int(matcher.types.rawValue)].removeAll { $0 == id }
            return
        }
        narrow.removeAll { $0 == id }
        for object in objects {
            byAccount[object]?.removeAll { $0.id == id }
            if byAccount[object]?.isEmpty == true { byAccount[object] = nil }
        }
    }

    mutating func removeAll() { self = Audience() }

    /// Who, among those for single accounts, asks for an event of this type about this account.
    func interested(in type: EventTypes, account: String) -> [SubscriberID] {
        (byAccount[account] ?? []).filter { $0.types.contains(type) }.map(\.id)
    }
}
