import ClusterRuntime
import RegistrarEvents

/// How events reach subscriptions: pushed to the live ones, pulled by the others.
extension Follower {
    // MARK: Pushing

    /// Gives live subscriptions what came since the last push.
    mutating func push(at now: Moment) -> [Directive] { pushStates(at: now) + pushEvents(at: now) }

    private mutating func pushEvents(at now: Moment) -> [Directive] {
        guard pushed != recent.end else { return [] }
        guard let start = recent.index(of: pushed, changes: false) else { return overrun(at: now) }
        var directives: [Directive] = []
        for group in audience.broad {
            for batch in batches(from: start, matching: group.matcher) {
                directives.append(.deliver(Delivery(to: group.members.ids, .events(batch, .pushed))))
            }
        }
        directives += pushNarrow(from: start)
        for index in start..<recent.count where recent.isUnreadable(at: index) {
            directives.append(.alarm("event \(recent.position(at: index)) of \(domain) holds no readable contact"))
        }
        pushed = recent.end
        recent.workbench = RecentEvents.Workbench()
        return directives
    }

    /// More came at once than is kept: what live subscriptions to events missed is gone.
    private mutating func overrun(at now: Moment) -> [Directive] {
        pushed = recent.end
        return resynchroniseLive(at: now) { !$0.isOfStates }
    }

    /// The recent events from `start` on for a group of subscribers, in batches of about a slice.
    private mutating func batches(from start: Int, matching matcher: SubscriptionMatcher) -> [EventBatch] {
        var batches: [EventBatch] = []
        var index = start
        var after = pushed.position
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
            let isClear = recent.event(at: index).entry.change.contact == nil
            let interested =
                isClear
                ? audience.narrow.ids : recent.subject(at: index).map { audience.interested(in: $0.account) } ?? []
            for id in interested {
                guard let matcher = subscriptions[id]?.matcher, let tail = recent.tail(at: index, for: matcher)
                else { continue }
                if let place = places[id] {
                    pending[place].tails.append(tail)
                } else {
                    places[id] = pending.count
                    pending.append((id, [tail]))
                }
            }
        }
        return pending.map { id, tails in
            let batch = EventBatch(after: pushed.position, through: recent.last, tails: tails)
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
            guard lostAfter >= subscription.liveSince else {
                // Said before the subscription began anew, by a socket that has been told later things since.
                forgetLists(before: pushed(to: subscription.matcher))
                return resynchronise(id, subscription, at: now)
            }
            guard !subscription.matcher.isOfStates else {
                subscriptions[id] = subscription
                subscriptions[id]?.state = .catchingUpWithStates(after: lostAfter)
                return pull(id, at: now)
            }
            guard let place = recent.place(after: lostAfter, changes: subscription.matcher.changes),
                isShortest(from: place, subscription.matcher)
            else {
                forgetLists(before: lostAfter)
                return resynchronise(id, subscription, at: now)
            }
            subscription.state = .catchingUp(place)
        }
        subscriptions[id] = subscription
        return pull(id, at: now)
    }

    /// Nobody is sent back to before what it was told.
    private mutating func forgetLists(before position: Position) {
        if let shared, shared.position < position { self.shared = nil }
        if let list = sharedStates, list.position < position { sharedStates = nil }
    }

    /// Whether the recent events after a place are not more than the list itself.
    private func isShortest(from place: RecentEvents.Place, _ matcher: SubscriptionMatcher) -> Bool {
        let events = recent.end.number - place.number
        return matcher.objects != nil || events <= receiver.replica.table.count + Self.worthCatchingUp
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
                ? .snapshot(list, next: slice.next, opening: nil) : .catchingUp(list.place)
            return [deliver(batch, to: id, then: state)]
        case .catchingUp(let place):
            guard let start = recent.index(of: place, changes: subscription.matcher.changes) else {
                return resynchronise(id, subscription, at: now)
            }
            let slice = slice(from: start, matching: subscription.matcher, examining: settings.sliceEvents)
            recent.workbench = RecentEvents.Workbench()
            let next = slice.next > start ? recent.place(before: slice.next) : place
            let batch = EventBatch(after: place.position, through: next.position, tails: slice.tails)
            return [deliver(batch, to: id, then: .catchingUp(next))]
        case .statesSnapshot(let list, let next, let opening):
            let slice = statesSlice(of: list, from: next, opening: opening, subscription.matcher)
            return [deliver(slice.batch, to: id, then: slice.then)]
        case .catchingUpWithStates(let position):
            guard let slice = statesSlice(after: position, subscription.matcher) else {
                return resynchronise(id, subscription, at: now)
            }
            return [deliver(slice.batch, to: id, then: slice.then)]
        }
    }

    private mutating func deliver(
        _ batch: EventBatch, to id: SubscriberID, then state: Subscription.State
    ) -> Directive {
        var state = state
        if case .catchingUp(let place) = state, place.number == pushed.number { state = .live }
        if case .catchingUpWithStates(after: pushedStates) = state { state = .live }
        if case .live = state, let matcher = subscriptions[id]?.matcher {
            audience.insert(id, matcher)
            let told = pushed(to: matcher)
            subscriptions[id]?.liveSince = told
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
            if let tail = recent.tail(at: index, for: matcher) {
                tails.append(tail)
                size += tail.count
            }
            index += 1
        }
        return (tails, index)
    }
}
