import RegistrarEvents

/// The subscriptions that get changes of states as they come, arranged so that a change finds those that ask for it.
struct StatesAudience: Sendable {
    /// Those for all accounts of a view, in the order of arrival: few views, and thousands who share one batch.
    private(set) var broad: [EventTypes: [SubscriberID]] = [:]
    private var byAccount: [String: [(id: SubscriberID, types: EventTypes)]] = [:]

    /// The views that anybody asks for all of, in order.
    var views: [EventTypes] { broad.keys.sorted { $0.rawValue < $1.rawValue } }

    mutating func insert(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard let objects = matcher.objects else { return broad[matcher.types, default: []].append(id) }
        for object in objects { byAccount[object, default: []].append((id, matcher.types)) }
    }

    /// - Parameter matcher: the one it was inserted with.
    mutating func remove(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard let objects = matcher.objects else {
            broad[matcher.types]?.removeAll { $0 == id }
            if broad[matcher.types]?.isEmpty == true { broad[matcher.types] = nil }
            return
        }
        for object in objects {
            byAccount[object]?.removeAll { $0.id == id }
            if byAccount[object]?.isEmpty == true { byAccount[object] = nil }
        }
    }

    /// Who, among those for single accounts, asks for this one's states.
    func interested(in account: AccountID) -> [SubscriberID] {
        (byAccount[account.name] ?? []).filter { $0.types.contains(EventTypes(statesOf: account.kind)) }.map(\.id)
    }
}
