import ClusterRuntime
public import RegistrarEvents

/// How changes of accounts' states reach the subscriptions to them.
///
/// They go by the events' positions and at their pace, but are told net: nothing while a replay goes on, and at its
/// end what has come about since the `clear`. So a failover that changed nothing is not noticed.
///
/// Invariant: a live subscription has been given everything up to `pushedStates`, and each change once.
extension Follower {
    /// A contact of each account of a kind that is online; nil while the list is not whole. Takes milliseconds for a
    /// million of them.
    public func onlineAccounts(_ kind: AccountKind) -> [PackedContact]? {
        guard isServing else { return nil }
        var contacts: [PackedContact] = []
        receiver.replica.table.forEachAccount { if $0.kind == kind { contacts.append($0) } }
        return contacts
    }

    /// Whether a subscription can begin with the list; those to states wait for the end of a replay.
    func isServing(_ matcher: SubscriptionMatcher) -> Bool {
        isServing && (!matcher.isOfStates || receiver.replica.isReplayed)
    }

    /// Where live subscriptions with such a matcher stand.
    func pushed(to matcher: SubscriptionMatcher) -> Position { matcher.isOfStates ? pushedStates : pushed.position }

    /// The list was not whole for a while, and now is: what changed meanwhile is not known.
    mutating func restartStates(at now: Moment) -> [Directive] {
        skipStates()
        return resynchroniseStates(at: now)
    }

    /// What changed up to now is not told to anyone.
    mutating func skipStates() {
        states.restart(at: recent.last)
        pushedStates = recent.last
        sharedStates = nil
    }

    // MARK: Pushing

    /// Gives live subscriptions what changed since the last push.
    mutating func pushStates(at now: Moment) -> [Directive] {
        guard receiver.replica.isReplayed, pushedStates < recent.last else { return [] }
        let before = pushedStates
        pushedStates = recent.last
        guard let start = states.index(after: before) else { return resynchroniseStates(at: now) }
        guard start < states.count else { return [] }
        var directives: [Directive] = []
        for view in audience.states.views {
            let matcher = SubscriptionMatcher(view)
            for batch in states.batches(from: start, after: before, matching: matcher, bytes: settings.sliceBytes) {
                let members = audience.states.broad[view]?.ids ?? []
                directives.append(.deliver(Delivery(to: members, .events(batch, .pushed))))
            }
        }
        return directives + pushSingleStates(from: start, after: before)
    }

    /// Pushes to the subscriptions for single accounts.
    private mutating func pushSingleStates(from start: Int, after before: Position) -> [Directive] {
        var places: [SubscriberID: Int] = [:]
        var pending: [(id: SubscriberID, tails: [[UInt8]])] = []
        for index in start..<states.count {
            guard let account = states.account(at: index) else { continue }
            let interested = audience.states.interested(in: account)
            guard !interested.isEmpty, let tail = states.tail(at: index) else { continue }
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
            let batch = EventBatch(after: before, through: pushedStates, tails: tails)
            return .deliver(Delivery(to: [id], .events(batch, .pushed)))
        }
    }

    /// Live subscriptions have missed what is not listed. The others find out when they want to go on.
    private mutating func resynchroniseStates(at now: Moment) -> [Directive] {
        resynchroniseLive(at: now) { $0.isOfStates }
    }

    // MARK: Pulling

    /// Where a subscription to states begins.
    mutating func statesStart(
        _ start: SubscribeRequest.Start, _ matcher: SubscriptionMatcher, isFirst: Bool, at now: Moment
    ) -> Subscription.State {
        switch start {
        case .after(let position) where states.canResume(after: position): .catchingUpWithStates(after: position)
        case .after: .statesSnapshot(takeStates(for: matcher, at: now), next: 0, opening: .resync)
        case .snapshot:
            .statesSnapshot(takeStates(for: matcher, at: now), next: 0, opening: isFirst ? .snapshot : .resync)
        }
    }

    /// The next slice of who was online.
    func statesSlice(
        of list: StatesSnapshot, from next: Int, opening: ClearReason?, _ matcher: SubscriptionMatcher
    ) -> (batch: EventBatch, then: Subscription.State) {
        let slice = list.slice(from: next, matching: matcher, bytes: settings.sliceBytes)
        let tails = (opening.map { [list.clear($0)] } ?? []) + slice.tails
        let batch = EventBatch(after: list.position, through: list.position, tails: tails)
        guard slice.next < list.contacts.count else { return (batch, .catchingUpWithStates(after: list.position)) }
        return (batch, .statesSnapshot(list, next: slice.next, opening: nil))
    }

    /// The next slice of the changes that have been pushed; nil when they can no longer all be listed.
    mutating func statesSlice(
        after position: Position, _ matcher: SubscriptionMatcher
    ) -> (batch: EventBatch, then: Subscription.State)? {
        guard let start = states.index(after: position), let end = states.index(after: pushedStates) else { return nil }
        let slice = states.slice(
            from: start, upTo: max(start, end), matching: matcher, examining: settings.sliceEvents,
            bytes: settings.sliceBytes)
        let through = slice.next < end ? states.position(at: slice.next - 1) : pushedStates
        let batch = EventBatch(after: position, through: through, tails: slice.tails)
        return (batch, .catchingUpWithStates(after: through))
    }

    /// Who is online now, or was a moment ago.
    private mutating func takeStates(for matcher: SubscriptionMatcher, at now: Moment) -> StatesSnapshot {
        let table = receiver.replica.table
        if let objects = matcher.objects {
            let contacts = objects.flatMap { name in
                AccountKind.allCases.compactMap { table.contacts(of: AccountID($0, name)).first?.contact }
            }
            return StatesSnapshot(domain: domain, position: pushedStates, taken: now, contacts: contacts)
        }
        if let list = sharedStates, now.monotonic - list.taken < settings.snapshotSharing || lists.areEnough,
            states.index(after: list.position) != nil
        {
            return list
        }
        var contacts: [PackedContact] = []
        contacts.reserveCapacity(table.accountCount)
        table.forEachAccount { contacts.append($0) }
        let list = StatesSnapshot(domain: domain, position: pushedStates, taken: now, contacts: contacts)
        sharedStates = list
        lists.add(list)
        return list
    }
}
