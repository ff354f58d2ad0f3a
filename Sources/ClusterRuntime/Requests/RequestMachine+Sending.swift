import DequeModule
import RegistrarEvents

/// Attempts: sending, the replies, and what changes of owner and time do.
extension RequestMachine {
    // MARK: Sending

    /// Sends a request to its owner. Its lane is open.
    mutating func send(_ id: UInt64, at now: MonotonicInstant, _ out: inout [Directive]) {
        guard var request = pending[id], let assignment = lanes[request.domain]?.assignment,
            let owner = assignment.owner
        else { preconditionFailure("request \(id) was sent without an owner") }
        guard now < request.lastAttempt else { return }
        let timeout = min(Self.firstTimeout * (1 << min(request.attempts, 8)), Self.longestTimeout)
        request.attempts += 1
        request.sentTo = owner.name
        request.repeatAt = now + jittered(timeout)
        pending[id] = request
        let message = Request(
            id: id, domain: request.domain, epoch: assignment.epoch, operation: request.operation)
        out.append(.send(message, to: owner.name, attempt: request.attempts))
    }

    /// Opens a lane and sends everything in it that waits.
    mutating func open(_ domain: DomainName, at now: MonotonicInstant, _ out: inout [Directive]) {
        closed.remove(domain)
        lanes[domain]?.closedUntil = nil
        guard let lane = lanes[domain], lane.isOpen else { return }
        for id in lane.unfinished {
            guard let request = pending[id], request.sentTo == nil, !request.superseded || request.attempts == 0
            else { continue }
            send(id, at: now, &out)
        }
    }

    mutating func close(_ domain: DomainName, for wait: Duration, at now: MonotonicInstant) {
        let until = now + jittered(wait)
        lanes[domain]?.closedUntil = until
        closed.insert(domain)
    }

    /// Up to a fifth more or less.
    mutating func jittered(_ duration: Duration) -> Duration {
        let nanoseconds = duration.nanoseconds
        return .nanoseconds(nanoseconds + Int64.random(in: -nanoseconds / 5...nanoseconds / 5, using: &jitter))
    }

    // MARK: Replies

    mutating func replied(
        _ reply: Reply, from node: NodeID, at now: MonotonicInstant, _ out: inout [Directive]
    ) {
        guard let request = pending[reply.id] else { return }
        guard case .refused(let refusal) = reply.result else {
            if let lane = lanes.index(forKey: request.domain), lanes.values[lane].backoff != Self.firstBackoff {
                lanes.values[lane].backoff = Self.firstBackoff
            }
            // Replies come in order, so those of the requests before this one are lost, and these are moot.
            finishPredecessors(of: request, &out)
            return finish(reply.id, reply.result, &out)
        }
        // What an earlier owner refused has been, or will be, asked of the present one.
        guard request.sentTo == node.name else { return }
        guard refusal.isTransient else { return finish(reply.id, reply.result, &out) }
        pending[reply.id]?.sentTo = nil
        // Refusals of what was sent before the lane was closed say nothing new.
        guard let lane = lanes[request.domain], lane.isOpen else { return }
        if refusal == .notOwner {
            close(request.domain, for: Self.ownerWait, at: now)
        } else {
            close(request.domain, for: lane.backoff, at: now)
            lanes[request.domain]?.backoff = min(lane.backoff * 2, Self.longestBackoff)
        }
    }

    private mutating func finishPredecessors(of request: Pending, _ out: inout [Directive]) {
        var next = request.predecessor
        while let id = next {
            next = pending[id]?.predecessor
            finish(id, .refused(.unavailable), &out)
        }
    }

    private mutating func finish(_ id: UInt64, _ result: Reply.Result, _ out: inout [Directive]) {
        guard let request = pending.removeValue(forKey: id) else { return }
        if let lane = lanes.index(forKey: request.domain) { lanes.values[lane].remove(id) }
        if let account = request.account, let index = accounts.index(forKey: account) {
            if !accounts.values[index].remove(id) { accounts.remove(at: index) }
        } else if !wholeDomains.isEmpty {
            wholeDomains.removeAll { $0 == id }
        }
        out.append(.finish(id: id, result))
    }

    // MARK: Changes and time

    mutating func assigned(_ assignment: Assignment, at now: MonotonicInstant, _ out: inout [Directive]) {
        let domain = assignment.domain
        guard let lane = lanes[domain] else {
            lanes[domain] = Lane(assignment: assignment)
            return
        }
        guard assignment.revision > lane.assignment.revision else { return }
        lanes[domain]?.assignment = assignment
        guard (assignment.epoch, assignment.owner) != (lane.assignment.epoch, lane.assignment.owner) else { return }
        // Whatever was sent was sent to another owner, or in another epoch: it is asked again.
        for id in lane.unfinished { pending[id]?.sentTo = nil }
        lanes[domain]?.backoff = Self.firstBackoff
        open(domain, at: now, &out)
    }

    mutating func tick(at now: MonotonicInstant, _ out: inout [Directive]) {
        let due = pending.filter { now >= min($0.value.deadline, $0.value.repeatAt) }
        for (id, request) in due.sorted(by: { $0.key < $1.key }) {
            if now >= request.deadline {
                finish(id, .refused(.unavailable), &out)
            } else if request.superseded || now >= request.lastAttempt {
                // It is not sent again: nothing is to be done before the deadline.
                pending[id]?.repeatAt = request.deadline
            } else if request.sentTo != nil {
                pending[id]?.sentTo = nil
                if lanes[request.domain]?.isOpen == true { send(id, at: now, &out) }
            }
        }
        guard !closed.isEmpty else { return }
        let opening = closed.filter { domain in lanes[domain]?.closedUntil.map { now >= $0 } ?? true }
        for domain in opening.sorted() { open(domain, at: now, &out) }
    }
}
