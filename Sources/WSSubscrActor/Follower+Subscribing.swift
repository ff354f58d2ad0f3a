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
        var subscription = previous ?? Subscription(matcher: matcher, deadline: now.monotonic, state: .live)
        subscription.deadline = now.monotonic + request.expires
        let wasLive = previous.map(\.isLive) ?? false
        if wasLive { audience.remove(request.id, subscription.matcher) }
        subscription.matcher = matcher
        if case .waiting(let start, let answers, let since) = subscription.state {
            // One that was live before is renewed at once: only new ones depend on the list.
            let isRenewal = answers == 0 && request.start == nil
            subscription.state = .waiting(
                request.start ?? start, answers: isRenewal ? 0 : answers + 1,
                since: answers == 0 ? now.monotonic : since)
            subscriptions[request.id] = subscription
            return isRenewal ? [answer(request.id, .accepted(pushed))] : []
        }
        guard let start = request.start else {
            if subscription.isLive { audience.insert(request.id, matcher) }
            subscriptions[request.id] = subscription
            return [answer(request.id, .accepted(position(of: subscription)))]
        }
        guard isServing else { return wait(request.id, subscription, start, at: now) }
        return begin(request.id, subscription, start, answers: 1, at: now)
    }

    private func position(of subscription: Subscription) -> Position {
        switch subscription.state {
        case .waiting, .live: pushed
        case .snapshot(let list, _, _): list.position
        case .catchingUp(let position): position
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
            guard let subscription = subscriptions[id], case .waiting(let start, let answers, _) = subscription.state
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
        case .after(let position) where recent.index(after: position) != nil:
            subscription.state = .catchingUp(after: position)
        case .after:
            subscription.state = .snapshot(takeSnapshot(for: subscription.matcher, at: now), next: 0, opening: .resync)
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

    /// Sends a subscription, which is not in the audience, `clear(resync)` and everything live.
    mutating func resynchronise(_ id: SubscriberID, _ subscription: Subscription, at now: Moment) -> [Directive] {
        var subscription = subscription
        guard isServing else {
            waitingCount += 1
            subscription.state = .waiting(.snapshot, answers: 0, since: now.monotonic)
            subscriptions[id] = subscription
            return []
        }
        subscription.state = .snapshot(takeSnapshot(for: subscription.matcher, at: now), next: 0, opening: .resync)
        subscriptions[id] = subscription
        return subscription.isSliceOut ? [] : pull(id, at: now)
    }

    // MARK: Snapshots

    /// What is live now, or was a moment ago.
    private mutating func takeSnapshot(for matcher: SubscriptionMatcher, at now: Moment) -> ListSnapshot {
        let replica = receiver.replica
        if let objects = matcher.objects, replica.table.currentCount == replica.table.count {
            return ListSnapshot(
                domain: domain, position: recent.last, taken: now, contacts: contacts(of: objects, at: now))
        }
        if let shared, now.monotonic - shared.taken < settings.snapshotSharing,
            recent.index(after: shared.position) != nil
        {
            return shared
        }
        var contacts: [LiveContact] = []
        contacts.reserveCapacity(replica.table.currentCount)
        replica.forEachLive(at: now) { contacts.append(LiveContact(contact: $0, ttl: $1)) }
        let list = ListSnapshot(domain: domain, position: recent.last, taken: now, contacts: contacts)
        shared = list
        return list
    }

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
