import RegistrarEvents

/// The subscriptions that get changes of states as they come, arranged so that a change finds those that ask for it.
struct StatesAudience: Sendable {
    /// Those for all accounts of a view: few views, and thousands who share one batch.
    private(set) var broad: [EventTypes: MemberList] = [:]
    private var byAccount: [ExactText: [EventTypes: MemberList]] = [:]

    /// The views that anybody asks for all of, in order.
    var views: [EventTypes] { broad.keys.sorted { $0.rawValue < $1.rawValue } }

    mutating func insert(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard let accounts = matcher.accounts else {
            return broad[matcher.types, default: MemberList()].insert(id)
        }
        for account in accounts { byAccount[account, default: [:]][matcher.types, default: MemberList()].insert(id) }
    }

    /// - Parameter matcher: the one it was inserted with.
    mutating func remove(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard let accounts = matcher.accounts else {
            broad[matcher.types]?.remove(id)
            if broad[matcher.types]?.isEmpty == true { broad[matcher.types] = nil }
            return
        }
        for account in accounts {
            byAccount[account]?[matcher.types]?.remove(id)
            if byAccount[account]?[matcher.types]?.isEmpty == true { byAccount[account]?[matcher.types] = nil }
            if byAccount[account]?.isEmpty == true { byAccount[account] = nil }
        }
    }

    /// Who, among those for single accounts, asks for this one's states.
    func interested(in account: AccountID) -> [SubscriberID] {
        let view = EventTypes(statesOf: account.kind)
        return (byAccount[ExactText(account.name)] ?? [:]).filter { $0.key.contains(view) }
            .sorted { $0.key.rawValue < $1.key.rawValue }.flatMap(\.value.ids)
    }
}
