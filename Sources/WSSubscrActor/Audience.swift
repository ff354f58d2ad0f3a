import RegistrarEvents

/// The subscriptions that get events as they come, arranged so that an event finds those that ask for it.
///
/// Those for all accounts are grouped by what they ask for: thousands of subscribers that ask for the same are matched
/// once, and share one batch. Those for single accounts are found by the account.
struct Audience: Sendable {
    /// Subscribers that ask for the same, in the order of arrival.
    struct Group: Sendable {
        let matcher: SubscriptionMatcher
        var members: [SubscriberID]
    }

    private(set) var broad: [Group] = []
    /// Where each group is.
    private var places: [SubscriptionMatcher: Int] = [:]
    /// Those for single accounts, in the order of arrival, and by account.
    private(set) var narrow: [SubscriberID] = []
    private var byAccount: [String: [SubscriberID]] = [:]

    /// Those to states.
    private(set) var states = StatesAudience()

    mutating func insert(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard !matcher.isOfStates else { return states.insert(id, matcher) }
        if let objects = matcher.objects {
            narrow.append(id)
            for object in objects { byAccount[object, default: []].append(id) }
        } else if let place = places[matcher] {
            broad[place].members.append(id)
        } else {
            places[matcher] = broad.count
            broad.append(Group(matcher: matcher, members: [id]))
        }
    }

    /// - Parameter matcher: the one it was inserted with.
    mutating func remove(_ id: SubscriberID, _ matcher: SubscriptionMatcher) {
        guard !matcher.isOfStates else { return states.remove(id, matcher) }
        guard let objects = matcher.objects else {
            guard let place = places[matcher] else { preconditionFailure("\(id) is not in the audience") }
            broad[place].members.removeAll { $0 == id }
            if broad[place].members.isEmpty { removeGroup(at: place) }
            return
        }
        narrow.removeAll { $0 == id }
        for object in objects {
            byAccount[object]?.removeAll { $0 == id }
            if byAccount[object]?.isEmpty == true { byAccount[object] = nil }
        }
    }

    /// The last group takes the place of one that is empty.
    private mutating func removeGroup(at place: Int) {
        places[broad[place].matcher] = nil
        let last = broad.removeLast()
        guard place < broad.count else { return }
        broad[place] = last
        places[last.matcher] = place
    }

    mutating func removeAll() { self = Audience() }

    /// Who, among those for single accounts, asks for events about this account.
    func interested(in account: String) -> [SubscriberID] { byAccount[account] ?? [] }
}
