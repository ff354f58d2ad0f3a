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
        emit(.campaign(above: max(known.term, abandoned, leadership?.term ?? 0)))
    }

    mutating func campaigned(_ result: Result<Campaign, CoordinatorError>, at now: Moment) {
        guard let issued = campaignIssued else { preconditionFailure("a campaign's result, but none is under way") }
        campaignIssued = nil
        switch result {
        case .success(.leading(let term)): granted(term, issued: issued, at: now)
        case .success(.standby(let leader)):
            hasFailedToLoad = false
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
            leadership?.beganEmpty = stored.assignments.isEmpty
            leadership?.book = book
            leadership?.baseline = book.revision
            leadership?.mustKnow = [:]
            leadership?.told = [:]
            leadership?.fills = [:]
            for assignment in stored.assignments { noteFills(of: assignment, at: now.monotonic) }
            leadership?.contradicted = copies.contradictions(of: book)
            leadership?.wishes = stored.wishes
            leadership?.due = .everything
            hasFailedToLoad = false
            coordinatorAnswered()
            guard adopt(stored: stored.topology, at: now) else {
                return leave("the active topology cannot be read by this version", at: now)
            }
            resolveActivation()
            forgetDrained()
            refreshPlanner()
            push(at: now.monotonic)
        case .failure(let error):
            note(error, at: now)
            hasFailedToLoad = true
            // Another router may be of a version that can read it. Otherwise the next tick tries again.
            if case .damaged = error { leave("what the coordinator holds cannot be read by this version", at: now) }
        }
    }

    /// Others are to try who may be able to do what this router cannot.
    private mutating func leave(_ why: String, at now: Moment) {
        guard let term = leadership?.term else { return }
        stepDown(why, at: now)
        emit(.resign(term: term))
        restsUntil = now.monotonic + max(periods.leadership, periods.restartGrace)
        nextCampaign = restsUntil
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
        guard !hasFailedToLoad else { return }
        if coordinator.state == .unreachable { emit(.log(.coordinatorAnswers)) }
        coordinator = ClusterStatus.Coordinator(state: .reachable)
    }
}
