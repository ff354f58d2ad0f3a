import ClusterRuntime
import RegistrarEvents

extension RouterMachine {
    mutating func planIfNeeded(at now: Moment) {
        guard let leadership, let book = leadership.book, leadership.storing == nil else { return }
        if !leadership.isSettled, isSettled(at: now, since: leadership.began) {
            self.leadership?.isSettled = true
            self.leadership?.needsPlan = true
        }
        guard self.leadership?.needsPlan == true else { return }
        var facts = Planner.Facts(
            now: now, membership: membership, copies: copies, book: book,
            isSettled: self.leadership?.isSettled == true)
        facts.requests = leadership.requests
        facts.lostSince = leadership.lostSince
        facts.wishes = wishes
        let plan = planner.plan(facts)

        self.leadership?.needsPlan = false
        self.leadership?.isWaiting = plan.waiting > 0 || !plan.movements.isEmpty
        // A full plan has left some for the next one; any other has looked at all there is to grant.
        let isFull = plan.changes.count == Planner.changeLimit
        let planned = Set(plan.changes.map(\.assignment.domain))
        self.leadership?.requests = isFull ? leadership.requests.filter { !planned.contains($0.key) } : [:]
        self.leadership?.lostSince = plan.lost.reduce(into: [:]) { $0[$1] = leadership.lostSince[$1] ?? now }
        // What is not stored yet might be forgotten with this router, and is not acted upon.
        let changed = plan.wishes == leadership.wishes ? nil : plan.wishes
        if changed == nil { send(plan.movements, at: now) }
        store(plan.changes, changed)
    }

    private mutating func store(_ changes: [AssignmentChange], _ wishes: MovementWishes?) {
        guard let leadership else { return }
        guard !changes.isEmpty || wishes != nil else { return answerOrders(leadership.orders.count) }
        self.leadership?.storing = Store(changes: changes, wishes: wishes, orders: leadership.orders.count)
        emit(.store(changes, wishes: wishes, term: leadership.term))
    }

    /// Placing domains while nodes are still starting would give the first ones too much.
    private func isSettled(at now: Moment, since began: MonotonicInstant) -> Bool {
        if now.monotonic - began >= max(Self.settlingTime, periods.down) { return true }
        return membership.members.allSatisfy {
            $0.node.role != .sr || $0.standing == .up && copies.hasReported($0.life)
        }
    }

    mutating func stored(_ result: Result<StoreOutcome, CoordinatorError>, term: UInt64, at now: Moment) {
        guard let leadership, leadership.term == term else { return }
        self.leadership?.storing = nil
        switch result {
        case .success(.stored(let assignments)):
            coordinatorAnswered()
            took(assignments, in: leadership, at: now)
            if let wishes = leadership.storing?.wishes, let book = self.leadership?.book {
                note(wishes, after: leadership.wishes, book)
                self.leadership?.wishes = wishes
            }
            answerOrders(leadership.storing?.orders ?? 0)
            push()
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

    private mutating func took(_ assignments: [Assignment], in leadership: Leadership, at now: Moment) {
        guard let book = leadership.book else { preconditionFailure("a store's result, but nothing was loaded") }
        self.leadership?.book?.take(assignments)
        // There may be more than one plan could hold.
        self.leadership?.needsPlan = true
        var notices: [RouterNotice] = []
        for assignment in assignments {
            let before = book[assignment.domain]
            if let loser = before?.owner, loser != assignment.owner {
                self.leadership?.mustKnow[loser] = assignment.revision
            }
            guard before?.epoch != assignment.epoch else { continue }
            let detected = detection(of: assignment, in: leadership) ?? now
            let change = OwnerChange(
                epoch: assignment.epoch, cause: assignment.cause.name, previous: before?.owner?.description,
                next: assignment.owner?.description, detectedAt: detected.wall, storedAt: now.wall,
                tookMilliseconds: (now.monotonic - detected.monotonic).milliseconds)
            let earlier = history[assignment.domain] ?? []
            history[assignment.domain] = earlier.suffix(Self.historyLimit - 1) + [change]
            self.leadership?.lostSince[assignment.domain] = nil
            notices.append(.ownerChanged(assignment.domain, change))
        }
        if notices.count > Self.noticeLimit { notices = [.ownersChanged(count: notices.count)] }
        for notice in notices { emit(.log(notice)) }
    }

    /// Since when the change was due: the loss of the owner, or the order to hand over.
    private func detection(of assignment: Assignment, in leadership: Leadership) -> Moment? {
        assignment.cause == .moved
            ? leadership.movements[assignment.domain]?.since : leadership.lostSince[assignment.domain]
    }
}
