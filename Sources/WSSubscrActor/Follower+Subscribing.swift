import ClusterRuntime
import RegistrarEvents

/// How subscriptions begin, change and are renewed.
extension Follower {
    /// - Precondition: everything has been pushed.
    mutating func subscribe(_ request: SubscribeRequest, at now: Moment) -> [Directive] {
        let previous = subscriptions[request.id]
        guard let matcher = request.matcher ?? previous?.matcher else {
            return [answer(request.id, .refused(.unknown))]
        }
        // What a subscription holds of events is of no use for states; sockets see to it that nobody asks for that.
        guard previous.map({ $0.matcher.isOfStates == matcher.isOfStates }) ?? true else {
            return [answer(request.id, .refused(.unknown))]
        }
        guard previous?.matcher == matcher || audience.hasRoom(for: matcher, filters: settings.filters) else {
            return refuseFilter(of: request.id, previous)
        }
        var subscription = previous ?? Subscription(matcher: matcher, deadline: now.monotonic, state: .live)
        subscription.deadline = now.monotonic + request.expires
        let start = request.start ?? (exchangesLists(previous, matcher) ? .snapshot : nil)
        let wasLive = previous.map(\.isLive) ?? false
        if wasLive { audience.remove(request.id, subscription.matcher) }
        subscription.matcher = matcher
        if case .waiting(let planned, let answers, let since) = subscription.state {
            // One that was live before is renewed at once: only new ones depend on the list.
            let isRenewal = answers == 0 && start == nil
            subscription.state = .waiting(
                start ?? planned, answers: isRenewal ? 0 : answers + 1,
                since: answers == 0 ? now.monotonic : since)
            subscriptions[request.id] = subscription
            return isRenewal ? [answer(request.id, .accepted(pushed(to: matcher)))] : []
        }
        guard let start else {
            if subscription.isLive { audience.insert(request.id, matcher) }
            subscriptions[request.id] = subscription
            return [answer(request.id, .accepted(position(of: subscription)))]
        }
        guard isServing(matcher) else { return wait(request.id, subscription, start, at: now) }
        return begin(request.id, subscription, start, answers: 1, at: now)
    }

    /// A subscription that there is goes on as it was; one that still waits to begin is given up, with all that was
    /// asked for it.
    private mutating func refuseFilter(of id: SubscriberID, _ previous: Subscription?) -> [Directive] {
        let refusal = answer(id, .refused(.tooManyFilters(limit: settings.filters)))
        let end = Directive.deliver(Delivery(to: [id], .ended))
        guard case .waiting(_, let answers, _)? = previous?.state, answers > 0 else {
            return previous == nil ? [refusal, end] : [refusal]
        }
        remove(id)
        return Array(repeating: refusal, count: answers + 1) + [end]
    }

    /// Whether a subscription that now wants net changes, or no longer does, has to begin with the list: until a replay
    /// has ended the two kinds hold different ones.
    private func exchangesLists(_ previous: Subscription?, _ matcher: SubscriptionMatcher) -> Bool {
        guard let previous, !previous.isWaiting, previous.matcher.changes != matcher.changes else { return false }
        return !previous.isLive || isReplaying
    }

    private func position(of subscription: Subscription) -> Position {
        switch subscription.state {
        case .waiting, .live: pushed(to: subscription.matcher)
        case .snapshot(let list, _, _): list.position
        case .catchingUp(let place): place.position
        case .statesSnapshot(let list, _, _): list.position
        case .catchingUpWithStates(let position): position
        }
    }

    private mutating func wait(
        _ id: SubscriberID, _ subscription: Subscription, _ start: SubscribeRequest.Start, at now: Moment
    ) -> [Directive] {
        guard waitingCount < settings.waitingSubscriptions else {
            subscriptions[id] = nil
            return [answer(id, .refused(.overloaded)), .deliver(Delivery(to: [id], .ended))]
        }
        waitingCount += 1
        subscriptions[id] = subscription
        subscriptions[id]?.state = .waiting(start, answers: 1, since: now.monotonic)
        return []
    }

    /// The list is whole now.
    mutating func serveWaiting(at now: Moment) -> [Directive] {
        var directives: [Directive] = []
        for id in subscriptions.keys.sorted() {
            guard let subscription = subscriptions[id], case .waiting(let start, let answers, _) = subscription.state,
                isServing(subscription.matcher)
            else { continue }
            waitingCount -= 1
            directives += begin(id, subscription, start, answers: answers, at: now)
        }
        return directives
    }

    /// Puts a subscription on its way, and answers the requests that wait for it; none wait for one that was thrown
    /// back to waiting by a resynchronisation.
    private mutating func begin(
        _ id: SubscriberID, _ subscription: Subscription, _ start: SubscribeRequest.Start, answers: Int, at now: Moment
    ) -> [Directive] {
        var subscription = subscription
        switch start {
        case _ where subscription.matcher.isOfStates:
            subscription.state = statesStart(start, subscription.matcher, isFirst: answers > 0, at: now)
        case .after(let position):
            let place = recent.place(resuming: position, changes: subscription.matcher.changes)
            subscription.state =
                place.map { .catchingUp($0) }
                ?? .snapshot(takeSnapshot(for: subscription.matcher, at: now), next: 0, opening: .resync)
        case .snapshot:
            let list = takeSnapshot(for: subscription.matcher, at: now)
            subscription.state = .snapshot(list, next: 0, opening: answers > 0 ? .snapshot : .resync)
        }
        subscriptions[id] = subscription
        let answers = Array(repeating: answer(id, .accepted(position(of: subscription))), count: answers)
        return answers + (subscription.isSliceOut ? [] : pull(id, at: now))
    }

    /// The list was replaced: everyone begins anew.
    mutating func restartAll(at now: Moment) -> [Directive] {
        audience.removeAll()
        var directives: [Directive] = []
        for id in subscriptions.keys.sorted() {
            guard let subscription = subscriptions[id], !subscription.isWaiting else { continue }
            directives += resynchronise(id, subscription, at: now)
        }
        return directives
    }

    /// Has the live subscriptions of some kind begin anew.
    mutating func resynchroniseLive(
        at now: Moment, where isConcerned: (SubscriptionMatcher) -> Bool
    ) -> [Directive] {
        let ids = subscriptions.keys.filter { id in
            subscriptions[id].map { $0.isLive && isConcerned($0.matcher) } ?? false
        }
        return ids.sorted().flatMap { id -> [Directive] in
            guard let subscription = subscriptions[id] else { return [] }
            audience.remove(id, subscription.matcher)
            return resynchronise(id, subscription, at: now)
        }
    }

    /// Sends a subscription, which is not in the audience, `clear(resync)` and everything live.
    mutating func resynchronise(_ id: SubscriberID, _ subscription: Subscription, at now: Moment) -> [Directive] {
        var subscription = subscription
        guard isServing(subscription.matcher) else {
            waitingCount += 1
            subscription.state = .waiting(.snapshot, answers: 0, since: now.monotonic)
            subscriptions[id] = subscription
            return []
        }
        subscription.state =
            subscription.matcher.isOfStates
            ? statesStart(.snapshot, subscription.matcher, isFirst: false, at: now)
            : .snapshot(takeSnapshot(for: subscription.matcher, at: now), next: 0, opening: .resync)
        subscriptions[id] = subscription
        return subscription.isSliceOut ? [] : pull(id, at: now)
    }

    // MARK: Snapshots

    /// What is live now, or was a moment ago; or earlier, if the recent events reach back to there and slow readers
    /// hold enough lists already.
    private mutating func takeSnapshot(for matcher: SubscriptionMatcher, at now: Moment) -> ListSnapshot {
        let replica = receiver.replica
        let use: ListSnapshot.Use =
            !isReplaying ? .everyone : matcher.changes ? .followingChanges : .followingTheLog
        if let objects = matcher.objects, use != .followingTheLog {
            return ListSnapshot(
                domain: domain, place: recent.end, use: use, taken: now, contacts: contacts(of: objects, at: now))
        }
        if let shared, now.monotonic - shared.taken < settings.snapshotSharing || lists.areEnough,
            shared.use.serves(changes: matcher.changes),
            recent.index(of: shared.place, changes: matcher.changes) != nil
        {
            return shared
        }
        var contacts: [LiveContact] = []
        contacts.reserveCapacity(replica.table.count)
        replica.forEach(at: now, includingUnrestated: use != .followingTheLog) {
            contacts.append(LiveContact(contact: $0, ttl: $1))
        }
        let list = ListSnapshot(domain: domain, place: recent.end, use: use, taken: now, contacts: contacts)
        shared = list
        lists.add(list)
        return list
    }

    /// Whether something has yet to be restated.
    private var isReplaying: Bool { receiver.replica.table.currentCount != receiver.replica.table.count }

    private func contacts(of accounts: [String], at now: Moment) -> [LiveContact] {
        let replica = receiver.replica
        return accounts.flatMap { name in
            AccountKind.allCases.flatMap { replica.table.contacts(of: AccountID($0, name)) }
        }.map { LiveContact(contact: $0.contact, ttl: replica.remaining($0.deadline, at: now)) }
    }
}

extension Subscription {
    var isLive: Bool {
        if case .live = state { return true }
        return false
    }

    var isWaiting: Bool {
        if case .waiting = state { return true }
        return false
    }
}
