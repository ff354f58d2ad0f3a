import ClusterRuntime
import RegistrarEvents

/// How events reach subscriptions: pushed to the live ones, pulled by the others.
extension Follower {
    // MARK: Pushing

    /// Gives live subscriptions what came since the last push.
    mutating func push(at now: Moment) -> [Directive] {
        guard pushed < recent.last else { return [] }
        guard let start = recent.index(after: pushed) else { return overrun(at: now) }
        var directives: [Directive] = []
        for (types, members) in audience.broad.enumerated() where !members.isEmpty {
            let matcher = SubscriptionMatcher(EventTypes(rawValue: UInt8(types)))
            for batch in batches(from: start, matching: matcher) {
                directives.append(.deliver(Delivery(to: members, .events(batch, .pushed))))
            }
        }
        directives += pushNarrow(from: start)
        for index in start..<recent.count where recent.isUnreadable(at: index) {
            directives.append(.alarm("event \(recent.position(at: index)) of \(domain) holds no readable contact"))
        }
        pushed = recent.last
        return directives
    }

    /// More came at once than is kept: what live subscriptions missed is gone.
    private mutating func overrun(at now: Moment) -> [Directive] {
        let live = subscriptions.keys.filter { subscriptions[$0]?.isLive == true }.sorted()
        audience.removeAll()
        pushed = recent.last
        return live.flatMap { id in subscriptions[id].map { resynchronise(id, $0, at: now) } ?? [] }
    }

    /// The recent events from `start` on for a matcher without accounts, in batches of about a slice.
    private mutating func batches(from start: Int, matching matcher: SubscriptionMatcher) -> [EventBatch] {
        var batches: [EventBatch] = []
        var index = start
        var after = pushed
        while index < recent.count {
            let slice = slice(from: index, matching: matcher, examining: .max)
            index = slice.next
            let through = recent.position(at: index - 1)
            if !slice.tails.isEmpty {
                batches.append(EventBatch(after: after, through: through, tails: slice.tails))
                after = through
            }
        }
        return batches
    }

    /// Pushes to the subscriptions for single accounts.
    private mutating func pushNarrow(from start: Int) -> [Directive] {
        guard !audience.narrow.isEmpty else { return [] }
        var places: [SubscriberID: Int] = [:]
        var pending: [(id: SubscriberID, tails: [[UInt8]])] = []
        for index in start..<recent.count {
            let interested: [SubscriberID]
            if recent.isClear(at: index) {
                interested = audience.narrow
            } else if let subject = recent.subject(at: index) {
                interested = audience.interested(in: subject.type, account: subject.account)
            } else {
                continue
            }
            guard !interested.isEmpty, let tail = recent.tail(at: index) else { continue }
            for id in interested {
                if let place = places[id] {
                    pending[place].tails.append(tail)
                } else {
                    places[id] = pending.count
                    pending.append((id, [tail]))
                }
            }
        }
        return pending.map { id, tails in
            let batch = EventBatch(after: pushed, through: recent.last, tails: tails)
            return .deliver(Delivery(to: [id], .events(batch, .pushed)))
        }
    }

    // MARK: Pulling

    /// - Precondition: everything has been pushed.
    mutating func ready(_ id: SubscriberID, lostAfter: Position?, at now: Moment) -> [Directive] {
        guard var subscription = subscriptions[id] else { return [] }
        subscription.isSliceOut = false
        if let lostAfter, subscription.isLive {
            audience.remove(id, subscription.matcher)
            guard isShortest(after: lostAfter, subscription.matcher) else {
                return resynchronise(id, subscription, at: now)
            }
            subscription.state = .catchingUp(after: lostAfter)
        }
        subscriptions[id] = subscription
        return pull(id, at: now)
    }

    /// Whether the recent events after a position can be listed, and are not more than the list itself.
    private func isShortest(after position: Position, _ matcher: SubscriptionMatcher) -> Bool {
        guard let start = recent.index(after: position) else { return false }
        return matcher.objects != nil || recent.count - start <= receiver.replica.table.count + Self.worthCatchingUp
    }

    /// Catching up with so many events is better than a snapshot, however short the list.
    private static let worthCatchingUp = 1_000

    /// Sends the next slice, and makes the subscription live with the last one.
    mutating func pull(_ id: SubscriberID, at now: Moment) -> [Directive] {
        guard let subscription = subscriptions[id] else { return [] }
        switch subscription.state {
        case .waiting, .live: return []
        case .snapshot(let list, let next, let opening):
            let slice = slices.slice(
                of: list, from: next, matching: subscription.matcher, bytes: settings.sliceBytes)
            let tails = (opening.map { [list.clear($0)] } ?? []) + slice.tails
            let batch = EventBatch(after: list.position, through: list.position, tails: tails)
            let state: Subscription.State =
                slice.next < list.contacts.count
                ? .snapshot(list, next: slice.next, opening: nil) : .catchingUp(after: list.position)
            return [deliver(batch, to: id, then: state)]
        case .catchingUp(let position):
            guard let start = recent.index(after: position) else { return resynchronise(id, subscription, at: now) }
            let slice = slice(from: start, matching: subscription.matcher, examining: settings.sliceEvents)
            let through = slice.next > start ? recent.position(at: slice.next - 1) : position
            let batch = EventBatch(after: position, through: through, tails: slice.tails)
            return [deliver(batch, to: id, then: .catchingUp(after: through))]
        }
    }

    private mutating func deliver(
        _ batch: EventBatch, to id: SubscriberID, then state: Subscription.State
    ) -> Directive {
        var state = state
        if case .catchingUp(after: pushed) = state, let matcher = subscriptions[id]?.matcher {
            state = .live
            audience.insert(id, matcher)
        }
        subscriptions[id]?.state = state
        let isMore = subscriptions[id]?.isLive == false
        subscriptions[id]?.isSliceOut = isMore
        return .deliver(Delivery(to: [id], .events(batch, .pulled(more: isMore))))
    }

    /// Recent events from `start` on that a matcher asks for, about a slice of them.
    private mutating func slice(
        from start: Int, matching matcher: SubscriptionMatcher, examining limit: Int
    ) -> (tails: [[UInt8]], next: Int) {
        var tails: [[UInt8]] = []
        var size = 0
        var index = start
        while index < recent.count, size < settings.sliceBytes, index - start < limit {
            let isWanted =
                recent.isClear(at: index)
                || recent.subject(at: index).map { matcher.matches($0.type, account: $0.account) } ?? false
            if isWanted, let tail = recent.tail(at: index) {
                tails.append(tail)
                size += tail.count
            }
            index += 1
        }
        return (tails, index)
    }
}
