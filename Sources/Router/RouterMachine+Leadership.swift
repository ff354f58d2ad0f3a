import ClusterRuntime
import RegistrarEvents

extension RouterMachine {
    mutating func endLeadershipIfLeaseIsOver(at now: Moment) {
        guard let leadership, now.monotonic >= leadership.until else { return }
        stepDown("the lease was not renewed in time", at: now)
        emit(.resign(term: leadership.term))
    }

    mutating func campaignIfDue(at now: Moment) {
        guard campaignIssued == nil, isMember || leadership != nil, now.monotonic >= nextCampaign else { return }
        campaignIssued = now.monotonic
        // A term that is heeded is to be kept.
        let isHeeded = leadership.map { !isOutranked($0) } ?? false
        emit(.campaign(above: isHeeded ? 0 : max(known.term, abandoned)))
    }

    mutating func campaigned(_ result: Result<Campaign, CoordinatorError>, at now: Moment) {
        guard let issued = campaignIssued else { preconditionFailure("a campaign's result, but none is under way") }
        campaignIssued = nil
        switch result {
        case .success(.leading(let term)): granted(term, issued: issued, at: now)
        case .success(.standby(let leader)):
            nextCampaign = issued + periods.leadership / 4
            stepDown("another router leads", at: now)
            if leaderSeen != .some(leader) {
                leaderSeen = .some(leader)
                emit(.log(.standingBy(leader: leader)))
            }
        case .failure(let error):
            nextCampaign = now.monotonic + periods.heartbeat
            note(error, at: now)
            return
        }
        coordinatorAnswered()
    }

    private mutating func granted(_ term: UInt64, issued: MonotonicInstant, at now: Moment) {
        let until = issued + periods.leadership
        if leadership?.term == term {
            nextCampaign = issued + periods.leadership / 3
            leadership?.until = until
            return
        }
        stepDown("the coordinator began term \(term)", at: now)
        guard term > abandoned, now.monotonic < until else {
            // Left for good: only a new term is free of what the old one may still have under way.
            emit(.resign(term: term))
            letOthersTry(at: now)
            return
        }
        nextCampaign = issued + periods.leadership / 3
        leaderSeen = nil
        leadership = Leadership(term: term, began: now.monotonic, until: until)
        membership.listen(from: now.monotonic)
        emit(.log(.leading(term: term)))
        judgeSilence(at: now)
        load()
    }

    mutating func stepDown(_ why: String, at now: Moment) {
        guard let leadership else { return }
        abandoned = max(abandoned, leadership.term)
        self.leadership = nil
        for waiting in leadership.orders { emit(.answer(waiting.id, .notLeading)) }
        if let id = leadership.activation?.id { emit(.answer(id, .notLeading)) }
        letOthersTry(at: now)
        emit(.log(.steppedDown(term: leadership.term, why: why)))
    }

    mutating func load() {
        guard let term = leadership?.term else { return }
        dropRestOfPlan()
        leadership?.book = nil
        leadership?.isLoading = true
        emit(.load(term: term))
    }

    mutating func loaded(_ result: Result<StoredAssignments, CoordinatorError>, term: UInt64, at now: Moment) {
        guard leadership?.term == term else { return }
        leadership?.isLoading = false
        switch result {
        case .success(let stored):
            let book = AssignmentBook(stored)
            leadership?.book = book
            leadership?.baseline = book.revision
            leadership?.mustKnow = [:]
            leadership?.told = [:]
            leadership?.contradicted = copies.contradictions(of: book)
            leadership?.wishes = stored.wishes
            leadership?.due = .everything
            coordinatorAnswered()
            guard adopt(stored: stored.topology, at: now) else {
                stepDown("the active topology cannot be read by this version", at: now)
                return emit(.resign(term: term))
            }
            refreshPlanner()
            push(at: now.monotonic)
        case .failure(let error):
            // The next tick tries again.
            note(error, at: now)
        }
    }

    private mutating func letOthersTry(at now: Moment) {
        restsUntil = now.monotonic + periods.heartbeat
        nextCampaign = max(nextCampaign, restsUntil)
    }

    /// Routers that are told at the same time campaign in their order.
    mutating func leadershipIsVacant(at now: Moment) {
        guard leadership == nil else { return }
        nextCampaign = max(restsUntil, min(nextCampaign, now.monotonic + periods.heartbeat / 4 * turn))
        campaignIfDue(at: now)
    }

    mutating func note(_ error: CoordinatorError, at now: Moment) {
        if coordinator.state != .unreachable { emit(.log(.coordinatorFailed(error))) }
        coordinator = ClusterStatus.Coordinator(
            state: .unreachable, unreachableSince: coordinator.unreachableSince ?? now.wall, error: error.reason)
    }

    mutating func coordinatorAnswered() {
        if coordinator.state == .unreachable { emit(.log(.coordinatorAnswers)) }
        coordinator = ClusterStatus.Coordinator(state: .reachable)
    }
}
