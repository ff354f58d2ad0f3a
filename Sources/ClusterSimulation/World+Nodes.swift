import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// The shells: they hand events to the machines and carry out what these decide, as the production shells do.
extension World {
    mutating func tick(_ name: NodeName) {
        perform(nodes[name]!.agent.handle(.tick, at: moment), at: name)
        switch nodes[name]!.role {
        case .router: route(.tick, at: name)
        case .sr:
            for domain in Self.domains { step(.tick, of: domain, at: name) }
            report(name)
        case .wssubscr:
            for domain in Self.domains { follow(.tick, of: domain, at: name) }
            resend(at: name)
        case .sg: preconditionFailure("the simulated cluster has no SIP gateway: \(name)")
        }
        checkLimits(name)
    }

    mutating func handle(_ message: Message, from sender: NodeID, at name: NodeName) {
        switch message {
        case .lead(let lead): perform(nodes[name]!.agent.handle(.lead(lead, from: sender), at: moment), at: name)
        case .assignments(let update):
            perform(nodes[name]!.agent.handle(.assignments(update, from: sender), at: moment), at: name)
        case .heartbeat, .copies, .replicaChange: route(.received(message, from: sender), at: name)
        case .handOver(let order): step(.handOver(order, from: sender.name), of: order.domain, at: name)
        case .request(let request):
            answersTooSoon(request, from: sender, at: name)
            guard step(.request(request, from: sender.name), of: request.domain, at: name) else {
                send(.reply(Reply(id: request.id, result: .refused(.notOwner))), from: name, to: sender.name)
                return
            }
        case .follow(let follow): step(.follow(follow, from: sender), of: follow.domain, at: name)
        case .reply(let reply): take(reply, from: sender, at: name)
        case .append(let append):
            step(.append(corrupted(append, at: name), from: sender), of: append.domain, at: name)
            follow(.append(append, from: sender), of: append.domain, at: name)
        case .chunk(let chunk):
            step(.chunk(chunk, from: sender), of: chunk.domain, at: name)
            follow(.chunk(chunk, from: sender), of: chunk.domain, at: name)
        }
    }

    private mutating func perform(_ directives: [NodeAgent.Directive], at name: NodeName) {
        for directive in directives {
            switch directive {
            case .send(let message, let peer): send(message, from: name, to: peer)
            case .assigned(let assignments): for assignment in assignments { assigned(assignment, at: name) }
            case .lease(let until):
                for domain in Self.domains { step(.lease(until: until), of: domain, at: name) }
            }
        }
    }

    private mutating func assigned(_ assignment: Assignment, at name: NodeName) {
        trace.note(now, "\(name) learns \(Trace.describe(assignment))")
        guard case .sr(var machines) = nodes[name]!.machines else {
            follow(.assigned(assignment), of: assignment.domain, at: name)
            return
        }
        let life = nodes[name]!.life
        let concerns = assignment.owner == life || assignment.standbys.contains { $0.node == life }
        if machines[assignment.domain] == nil, concerns {
            machines[assignment.domain] = DomainMachine(domain: assignment.domain, node: life, policy: policy)
            nodes[name]!.machines = .sr(machines)
        }
        step(.lease(until: nodes[name]!.agent.leaseUntil), of: assignment.domain, at: name)
        step(.assigned(assignment), of: assignment.domain, at: name)
    }

    // MARK: Routers

    mutating func route(_ event: RouterMachine.Event, at name: NodeName) {
        guard case .router(var machine) = nodes[name]!.machines else { return }
        let directives = machine.handle(event, at: moment)
        nodes[name]!.machines = .router(machine)
        nodes[name]!.agent.leadingTerm = machine.leadingTerm(at: moment)
        let life = machine.node
        for directive in directives {
            switch directive {
            case .send(let message, let peer): send(message, from: name, to: peer)
            case .campaign: ask(.campaign, from: life)
            case .load(let term): ask(.load(term: term), from: life)
            case .store(let changes, let wishes, let term):
                ask(.store(changes, wishes: wishes, term: term), from: life)
            case .answer(_, let outcome): trace.note(now, "\(name) answers an operator: \(outcome)")
            case .resign(let term): if !isCoordinatorAway { coordinator.resign(term: term) }
            case .log(let notice): trace.note(now, "\(name) \(notice)")
            }
        }
    }

    private mutating func ask(_ question: CoordinatorAnswer, from life: NodeID) {
        queue.add(.step(life.name, .coordinator(question, life: life)), at: now + random.duration(1...10))
    }

    // MARK: Registrars

    /// Hands an event to a domain's machine and ends the turn.
    /// - Returns: false when the node has nothing of the domain.
    @discardableResult
    mutating func step(_ event: DomainMachine.Event, of domain: DomainName, at name: NodeName) -> Bool {
        guard case .sr(var machines) = nodes[name]!.machines, var machine = machines[domain] else { return false }
        let directives = machine.handle(event, at: moment) + machine.handle(.turnEnded, at: moment)
        machines[domain] = machine
        nodes[name]!.machines = .sr(machines)
        for directive in directives {
            if case .becameOwner(_, .moved, _) = directive { moves += 1 }
            switch directive {
            case .store(let record):
                nodes[name]!.disk[domain, default: []].append(.init(moment: moment, record: record))
            case .send(let message, let peer): send(message, from: name, to: peer)
            case .askRouters(let change):
                for router in Self.routers { send(.replicaChange(change), from: name, to: router) }
            // No domain here has destinations.
            case .publish: break
            case .alarm(let text): history.violate("no alarm", "\(name): \(text)")
            case .becameOwner, .becameStandby, .deposed, .handingOver, .replayEnded:
                trace.note(now, "\(name) \(domain) \(directive)")
            }
        }
        return true
    }

    private mutating func report(_ name: NodeName) {
        guard case .sr(let machines) = nodes[name]!.machines, now - nodes[name]!.lastReport >= .seconds(1)
        else { return }
        nodes[name]!.lastReport = now
        let reports = Self.domains.compactMap { machines[$0]?.report }
        for router in Self.routers { send(.copies(CopyReports(reports: reports)), from: name, to: router) }
    }

    private mutating func checkLimits(_ name: NodeName) {
        guard case .sr(let machines) = nodes[name]!.machines else { return }
        for domain in Self.domains {
            guard let machine = machines[domain] else { continue }
            if machine.ringCount > policy.ringEntries {
                history.violate("limits", "\(name) \(domain) keeps \(machine.ringCount) entries")
            }
            if machine.uncommitted > policy.maximumUncommitted * 2 {
                history.violate("limits", "\(name) \(domain) has \(machine.uncommitted) uncommitted entries")
            }
            if machine.feedCount > Self.names.count * 2 {
                history.violate("limits", "\(name) \(domain) feeds \(machine.feedCount) replicas")
            }
        }
    }

    // MARK: Followers

    mutating func follow(_ event: ReplicaReceiver.Event, of domain: DomainName, at name: NodeName) {
        guard case .follower(var twins, let gateway) = nodes[name]!.machines, var twin = twins[domain] else { return }
        let directives = twin.receiver.handle(event, at: moment) + twin.receiver.handle(.turnEnded, at: moment)
        twin.changes.handle(event, at: moment)
        var outgoing: [(Message, NodeName)] = []
        for directive in directives {
            switch directive {
            case .send(let message, let peer): outgoing.append((message, peer))
            case .applied(let entries, _, let epoch):
                for entry in shortened(entries) { consume(entry, epoch, domain, &twin, at: name) }
            case .resynced(let position):
                if position < twin.position {
                    history.violate("positions", "\(name) \(domain) went back from \(twin.position) to \(position)")
                }
                twin.position = position
                twin.set = Self.list(of: twin.receiver.replica, at: moment)
            case .accounts, .replayed: break
            case .alarm(let text): history.violate("no alarm", "\(name): \(text)")
            case .store: history.violate("no alarm", "\(name): a follower stores nothing")
            }
        }
        twins[domain] = twin
        nodes[name]!.machines = .follower(twins, gateway)
        for (message, peer) in outgoing { send(message, from: name, to: peer) }
    }

    /// A consumer takes an event: the next position, or number 1 of a later epoch, which is a clear.
    private mutating func consume(
        _ entry: LogEntry, _ epoch: UInt64, _ domain: DomainName, _ twin: inout FollowerTwin, at name: NodeName
    ) {
        let isNext = epoch == twin.position.epoch && entry.seq == twin.position.seq + 1
        let begins = epoch > twin.position.epoch && entry.seq == 1
        if !isNext && !begins {
            history.violate("positions", "\(name) \(domain): \(epoch):\(entry.seq) came after \(twin.position)")
        }
        twin.position = Position(epoch: epoch, seq: entry.seq)
        history.delivered(entry, epoch: epoch, of: domain, to: name, at: now)
        switch entry.change {
        case .registered(let contact, _, _): if let key = Self.key(contact) { twin.set[key] = contact }
        case .unregistered(let contact, _): if let key = Self.key(contact) { twin.set[key] = nil }
        case .clear:
            if entry.seq != 1 { history.violate("positions", "\(domain): a clear at \(epoch):\(entry.seq)") }
            twin.set = [:]
        }
    }

    static func key(_ contact: PackedContact) -> ContactKey? {
        try? contact.key()  // every contact here was packed here
    }

    static func list(of replica: DomainReplica, at now: Moment) -> [ContactKey: PackedContact] {
        var list: [ContactKey: PackedContact] = [:]
        replica.forEachLive(at: now) { contact, _ in if let key = key(contact) { list[key] = contact } }
        return list
    }
}
