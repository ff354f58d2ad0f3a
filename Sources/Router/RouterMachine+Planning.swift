import ClusterRuntime
import RegistrarEvents

extension RouterMachine {
    /// Plans what is due, once everything planned before is stored; or stores the next piece of that.
    mutating func planIfNeeded(at now: Moment) {
        guard let leadership, leadership.book != nil, leadership.storing == nil, !isOutranked(leadership),
            !storeActivation()
        else { return }
        heedHistory()
        guard self.leadership?.outdated == 0 || hasHeardEveryone(at: now) else { return }
        if !leadership.isSettled, isSettled(at: now) {
            self.leadership?.isSettled = true
            self.leadership?.due = .everything
        }
        guard let due = self.leadership?.due else { return }
        switch due {
        case .everything:
            dropRestOfPlan()
            plan(nil, at: now)
        case .domains(let domains):
            if !leadership.rest.isEmpty {
                storeNextPiece(nil)
            } else if !domains.isEmpty {
                // What moves is chosen among all domains.
                plan(wishes.moves.isEmpty && leadership.successors.isEmpty ? domains : nil, at: now)
            }
        }
    }

    /// - Parameter domains: to look at; nil for all of them.
    private mutating func plan(_ domains: Set<DomainName>?, at now: Moment) {
        guard let leadership, let book = leadership.book else { return }
        let facts = facts(leadership, book, at: now)
        let plan = planner.plan(facts, of: domains)

        self.leadership?.due = .nothing
        self.leadership?.granted = leadership.requests
        self.leadership?.requests = [:]
        if let domains {
            self.leadership?.waiting.subtract(domains)
            for domain in domains {
                self.leadership?.lostSince[domain] = nil
                self.leadership?.waits[domain] = plan.waits[domain]
                self.leadership?.droppable[domain] = plan.droppable[domain]
            }
        } else {
            self.leadership?.waiting = []
            self.leadership?.lostSince = [:]
            self.leadership?.waits = plan.waits
            self.leadership?.droppable = plan.droppable
            self.leadership?.nextLook = nil
            note(facts.quorums)
            if leadership.outdated > 0, plan.restated == 0 { historyIsWhole(book) }
        }
        let looks = [self.leadership?.nextLook, plan.nextLook].compactMap(\.self)
        self.leadership?.nextLook = looks.min()
        self.leadership?.waiting.formUnion(plan.waiting)
        self.leadership?.waiting.formUnion(plan.droppable.keys)
        self.leadership?.isPostponing = plan.postponed > 0 || (domains != nil && leadership.isPostponing)
        for domain in plan.lost { self.leadership?.lostSince[domain] = leadership.lostSince[domain] ?? now }
        // What is not stored yet might be forgotten with this router, and is not acted upon.
        let changed = plan.wishes == leadership.wishes ? nil : plan.wishes
        if changed == nil { send(plan, at: now) }
        guard !plan.changes.isEmpty || changed != nil else {
            self.leadership?.losers = []
            return answerOrders(leadership.orders.count)
        }
        self.leadership?.rest = plan.changes[...]
        let losers = losers(by: plan.changes, book)
        self.leadership?.losers = losers
        storeNextPiece(changed)
    }

    /// What plans rest on.
    func facts(_ leadership: Leadership, _ book: AssignmentBook, at now: Moment) -> Planner.Facts {
        var facts = Planner.Facts(
            now: now, membership: membership, copies: copies, book: book, isSettled: leadership.isSettled)
        facts.hasHeardEveryone = hasHeardEveryone(at: now)
        facts.haveAllReported = haveAllReported(leadership)
        facts.outdated = leadership.outdated
        facts.epochFloor = epochFloor(leadership, at: now)
        facts.recordedEpochFloor = leadership.hasForgotten ? facts.epochFloor : 0
        facts.contradicted = leadership.contradicted
        facts.heedsClaims = isNew(leadership, at: now)
        facts.requests = leadership.requests
        facts.lostSince = leadership.lostSince
        facts.waits = leadership.waits
        facts.droppable = leadership.droppable
        facts.wishes = wishes
        facts.successors = leadership.successors
        facts.stuckFills = leadership.stuckFills
        return facts
    }

    /// Tells of quorums that were lost, or are there again.
    private mutating func note(_ quorums: [String: SiteQuorum]) {
        for (site, quorum) in quorums.sorted(by: { $0.key < $1.key }) {
            switch quorum.standing {
            case .lost where sitesWithoutQuorum.insert(site).inserted: emit(.log(.quorumLost(site: site, quorum)))
            case .held where sitesWithoutQuorum.remove(site) != nil: emit(.log(.quorumHeld(site: site, quorum)))
            case .lost, .held, .unknown: break
            }
        }
        sitesWithoutQuorum.formIntersection(quorums.keys)
    }

    private func losers(by changes: [AssignmentChange], _ book: AssignmentBook) -> Set<NodeID> {
        var losers: Set<NodeID> = []
        for change in changes {
            if let owner = book[change.assignment.domain]?.owner, owner != change.assignment.owner {
                losers.insert(owner)
            }
        }
        return losers
    }

    /// - Parameter wishes: those that the plan was made for, unless they are stored.
    private mutating func storeNextPiece(_ wishes: MovementWishes?) {
        guard let leadership else { return }
        let piece = Array(leadership.rest.prefix(AssignmentChange.storeLimit))
        // Whoever gave an order meanwhile is not answered for a plan that was made before.
        let orders = wishes == nil && leadership.rest.startIndex > 0 ? 0 : leadership.orders.count
        self.leadership?.rest = leadership.rest.dropFirst(piece.count)
        self.leadership?.storing = Store(changes: piece, wishes: wishes, orders: orders)
        emit(.store(piece, wishes: wishes, above: known.revision, term: leadership.term))
    }

    /// What is planned and not stored is forgotten, and what owners asked for is theirs to be granted again.
    mutating func dropRestOfPlan() {
        guard let leadership, !leadership.rest.isEmpty else { return }
        self.leadership?.rest = []
        for change in leadership.rest {
            guard let asked = leadership.granted[change.assignment.domain] else { continue }
            let more = leadership.requests[change.assignment.domain] ?? []
            self.leadership?.requests[change.assignment.domain] = Array((asked + more).prefix(Self.requestLimit))
        }
    }

    /// When copies that were being made are made, more are begun.
    /// - Parameter free: so many at least, since each time all domains are looked at.
    mutating func planAgainIfPostponed(free: Int) {
        guard let leadership, leadership.isPostponing, leadership.rest.isEmpty, let book = leadership.book
        else { return }
        let progressing = book.catchingUp - leadership.stuckFills.values.reduce(0, +)
        if layout.pace.fills - progressing >= max(1, free) { self.leadership?.due = .everything }
    }

    /// Looks each second whether a node that has been there for long has much less than its share.
    mutating func planAgainIfLopsided(at now: Moment) {
        guard let leadership, let book = leadership.book, leadership.successors.isEmpty, leadership.rest.isEmpty,
            now.monotonic - leadership.lastWeighing >= Self.weighingInterval
        else { return }
        self.leadership?.lastWeighing = now.monotonic
        if planner.isLopsided(facts(leadership, book, at: now)) { self.leadership?.due = .everything }
    }

    private static let weighingInterval = Duration.seconds(1)

    /// Placing domains while nodes are still starting would give the first ones too much.
    private func isSettled(at now: Moment) -> Bool {
        guard let began = leadership?.began else { return false }
        if now.monotonic - began >= max(Self.settlingTime, periods.down) { return true }
        return membership.members.allSatisfy {
            $0.node.role != .sr || $0.standing == .up && copies.hasReported($0.life)
        }
    }

    mutating func stored(_ result: Result<StoreOutcome, CoordinatorError>, term: UInt64, at now: Moment) {
        guard leadership?.term == term, let store = leadership?.storing else { return }
        leadership?.storing = nil
        switch result {
        case .success(.stored(let assignments)):
            coordinatorAnswered()
            took(assignments, at: now)
            tookRetired(assignments)
            if let wishes = store.wishes, let former = leadership?.wishes {
                note(wishes, after: former)
                leadership?.wishes = wishes
                // Now that they are stored, they may be acted upon.
                leadership?.due = .everything
            }
            if leadership?.outdated != 0, leadership?.rest.isEmpty == true { leadership?.due = .everything }
            answerOrders(store.orders)
            planAgainIfPostponed(free: layout.pace.fills / 2)
            push(at: now.monotonic)
        case .success(.conflict):
            coordinatorAnswered()
            load()
        case .success(.deposed):
            coordinatorAnswered()
            stepDown("the coordinator knows a later term", at: now)
        case .failure(let error):
            note(error, at: now)
            stepDown("the outcome of a store is unknown", at: now)
            emit(.resign(term: term))
        }
    }

    private mutating func took(_ assignments: [Assignment], at now: Moment) {
        var notices: [RouterNotice] = []
        for assignment in assignments {
            let before = leadership?.book?.take(assignment)
            leadership?.contradicted.remove(assignment.domain)
            noteFills(of: assignment, at: now.monotonic)
            // A plan that it was part of may have more to say of it.
            leadership?.due.add(assignment.domain)
            if let loser = before?.owner, loser != assignment.owner {
                leadership?.mustKnow[loser] = assignment.revision
            }
            guard before?.epoch != assignment.epoch else { continue }
            let detected = detection(of: assignment) ?? now
            let change = OwnerChange(
                epoch: assignment.epoch, cause: assignment.cause.name, previous: before?.owner?.description,
                next: assignment.owner?.description, detectedAt: detected.wall, storedAt: now.wall,
                tookMilliseconds: (now.monotonic - detected.monotonic).milliseconds)
            let earlier = history[assignment.domain] ?? []
            history[assignment.domain] = earlier.suffix(Self.historyLimit - 1) + [change]
            leadership?.lostSince[assignment.domain] = nil
            notices.append(.ownerChanged(assignment.domain, change))
        }
        if notices.count > Self.noticeLimit { notices = [.ownersChanged(count: notices.count)] }
        for notice in notices { emit(.log(notice)) }
    }

    /// Since when the change was due: the loss of the owner, or the order to hand over.
    private func detection(of assignment: Assignment) -> Moment? {
        assignment.cause == .moved
            ? leadership?.movements[assignment.domain]?.since : leadership?.lostSince[assignment.domain]
    }
}
