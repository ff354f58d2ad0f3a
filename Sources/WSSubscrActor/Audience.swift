import RegistrarEvents

/// The subscriptions that get events as they come, arranged so that an event finds those that ask for it.
///
/// Those for all accounts are grouped by what they ask for: thousands of subscribers that ask for the same are matched
/// once, and share one batch. Those for single accounts are found by the account.
struct Audience: Sendable {
    /// Subscribers that ask for the same.
    struct Group: Sendable {
        let matcher: SubscriptionMatcher
        var members = MemberList()
    }

    private(set) var broad: [Group] = []
    /// How many of them have a filter.
    private var filtered = 0
    /// Where each group is.
    private var places: [SubscriptionMatcher: Int] = [:]
    /// Those for single accounts, all of them and by account.
    private(set) var narrow = MemberList()
    private var byAccount: [ExactText: MemberList] = [:]

    /// Those to states.
    private(set) var states = StatesAudience()

    /// Whether no more than so many filters would be in use with a subscription to this. Those of subscriptions that
    /// are not live yet do not count.
    func hasRoom(for matcher: SubscriptionMatcher, filters: Int) -> Bool {
        let isSingle = matcher.isOfStates || matcher.accounts != nil || matcher.filter == nil
        return isSingle || filtered < filters || places[matcher] != nil
    }

    mutating func insert(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard !matcher.isOfStates else { return states.insert(id, matcher) }
        guard let accounts = matcher.accounts else {
            let place = places[matcher] ?? broad.count
            if place == broad.count {
                places[matcher] = place
                broad.append(Group(matcher: matcher))
                if matcher.filter != nil { filtered += 1 }
            }
            return broad[place].members.insert(id)
        }
        narrow.insert(id)
        for account in accounts { byAccount[account, default: MemberList()].insert(id) }
    }

    /// - Parameter matcher: the one it was inserted with.
    mutating func remove(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard !matcher.isOfStates else { return states.remove(id, matcher) }
        guard let accounts = matcher.accounts else {
            guard let place = places[matcher] else { preconditionFailure("\(id) is not in the audience") }
            broad[place].members.remove(id)
            if broad[place].members.isEmpty { removeGroup(at: place) }
            return
        }
        narrow.remove(id)
        for account in accounts {
            byAccount[account]?.remove(id)
            if byAccount[account]?.isEmpty == true { byAccount[account] = nil }
        }
    }

    /// The last group takes the place of one that is empty.
    private mutating func removeGroup(at place: Int) {
        places[broad[place].matcher] = nil
        if broad[place].matcher.filter != nil { filtered -= 1 }
        let last = broad.removeLast()
        guard place < broad.count else { return }
        broad[place] = last
        places[last.matcher] = place
    }

    mutating func removeAll() { self = Audience() }

    /// Who, among those for single accounts, asks for events about this account.
    func interested(in account: String) -> [SubscriberID] { byAccount[ExactText(account)]?.ids ?? [] }
}
