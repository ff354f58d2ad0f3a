import ClusterRuntime
import Destinations
import RegistrarEvents
import Router
import SRActor
import WSSubscrActor

/// The shells: they hand events to the machines and carry out what these decide, as the production shells do.
extension World {
    mutating func tick(_ name: NodeName) {
        perform(nodes[name]!.agent.handle(.tick, at: moment(of: name)), at: name)
        switch nodes[name]!.role {
        case .router:
            route(.tick, at: name)
            checkWatch(of: name)
        case .sr:
            for domain in domains where isDue(nodes[name]!.wakes[domain], at: name) {
                step(.tick, of: domain, at: name)
            }
            if isDue(nodes[name]!.lane?.machine.nextWake(), at: name) { handle(.tick, of: nodes[name]!.life) }
            report(name)
        case .wssubscr:
            for domain in domains where isDue(nodes[name]!.followers[domain]?.machine.nextTick, at: name) {
                follow(.tick, of: domain, at: name)
            }
            step(RequestMachine.Event.tick, of: nodes[name]!)
        case .sg: step(RequestMachine.Event.tick, of: nodes[name]!)
        case .arbiter: preconditionFailure("the simulated cluster has no such node: \(name)")
        }
        checkLimits(name)
    }

    /// Machines are woken when they want to be and at no other time, so that one that sleeps too long is found out.
    private func isDue(_ wake: MonotonicInstant?, at name: NodeName) -> Bool {
        wake.map { $0 <= moment(of: name).monotonic } ?? false
    }

    /// What an owner tells followers is what has come about.
    private mutating func heard(_ append: Append, at name: NodeName) {
        guard nodes[name]!.role == .wssubscr else { return }
        for entry in append.entries {
            history.delivered(entry, epoch: append.epoch, of: append.domain, to: name, at: now)
        }
    }

    mutating func handle(_ message: Message, from sender: NodeID, at name: NodeName) {
        switch message {
        case .lead(let lead):
            perform(nodes[name]!.agent.handle(.lead(lead, from: sender), at: moment(of: name)), at: name)
        case .assignments(let update):
            perform(nodes[name]!.agent.handle(.assignments(update, from: sender), at: moment(of: name)), at: name)
        case .heartbeat(let heartbeat):
            route(.received(message, from: sender), at: name)
            takeSign(heartbeat, from: sender, at: name)
        case .copies, .replicaChange: route(.received(message, from: sender), at: name)
        case .handOver(let order): step(.handOver(order, from: sender.name), of: order.domain, at: name)
        case .retire(let order): step(.retire(order, from: sender.name), of: order.domain, at: name)
        case .topology(let part):
            perform(nodes[name]!.agent.handle(.topology(part, from: sender), at: moment(of: name)), at: name)
        case .request(let request):
            answersTooSoon(request, from: sender, at: name)
            guard step(.request(halved(request), from: sender.name), of: request.domain, at: name) else {
                send(.reply(Reply(id: request.id, result: .refused(.notOwner))), from: name, to: sender.name)
                return
            }
        case .follow(let follow): step(.follow(follow, from: sender), of: follow.domain, at: name)
        case .reply(let reply): step(.replied([reply], from: sender), of: nodes[name]!, from: sender)
        case .append(let append):
            noteClaim(append, at: name)
            step(.append(corrupted(append), from: sender), of: append.domain, at: name)
            heard(append, at: name)
            follow(.append(repeated(append), from: sender), of: append.domain, at: name)
        case .chunk(let chunk):
            step(.chunk(incomplete(chunk), from: sender), of: chunk.domain, at: name)
            follow(.chunk(chunk, from: sender), of: chunk.domain, at: name)
        }
    }

    private mutating func perform(_ directives: [NodeAgent.Directive], at name: NodeName) {
        for directive in directives {
            switch directive {
            case .send(let message, let peer): send(message, from: name, to: peer)
            case .assigned(let assignments): for assignment in assignments { assigned(assignment, at: name) }
            case .lease(let until): nodes[name]?.lease.extend(to: until, at: moment(of: name).monotonic)
            case .topology(let active): learned(active, at: name)
            }
        }
    }

    private mutating func assigned(_ assignment: Assignment, at name: NodeName) {
        trace.note(now, "\(name) learns \(Trace.describe(assignment))")
        let node = nodes[name]!
        guard node.role == .sr else {
            step(.assigned([assignment]), of: node)
            follow(.assigned(assignment), of: assignment.domain, at: name)
            return
        }
        let life = node.life
        let concerns = assignment.owner == life || assignment.standbys.contains { $0.node == life }
        if node.domains[assignment.domain] == nil, concerns {
            node.domains[assignment.domain] = DomainMachine(
                domain: assignment.domain, node: life, policy: policy(of: assignment.domain, at: node))
        }
        hearsFormerOwner(before: assignment, at: name)
        node.told[assignment.domain] = assignment
        step(.assigned(assignment, heard: node.signs), of: assignment.domain, at: name)
    }

    // MARK: Routers

    mutating func route(_ event: RouterMachine.Event, at name: NodeName) {
        let node = nodes[name]!
        guard let directives = node.router?.handle(event, at: moment(of: name)) else { return }
        node.agent.leadingTerm = node.router?.leadingTerm(at: moment(of: name)) ?? 0
        let life = node.life
        for directive in directives {
            switch directive {
            case .send(let message, let peer): send(message, from: name, to: peer)
            case .campaign(let floor): ask(.campaign(above: floor), from: life)
            case .load(let term): ask(.load(term: term), from: life)
            case .store(let changes, let wishes, let floor, let term):
                ask(.store(changes, wishes: wishes, above: floor, term: term), from: life)
            case .activate(let topology, let term): ask(.activate(topology, term: term), from: life)
            case .answer(_, let outcome): trace.note(now, "\(name) answers an operator: \(outcome)")
            case .resign(let term):
                resign(name, term: term)
            case .log(let notice):
                if case .retired = notice { removals += 1 }
                trace.note(now, "\(name) \(notice)")
            }
        }
    }

    // MARK: Registrars

    /// Hands an event to a domain's machine, and ends the turn; or leaves it open for what else arrives.
    /// - Returns: false when the node has nothing of the domain.
    @discardableResult
    mutating func step(_ event: DomainMachine.Event, of domain: DomainName, at name: NodeName) -> Bool {
        let node = nodes[name]!
        let moment = moment(of: name)
        guard node.domains[domain] != nil else { return false }
        let isOpen = node.turns[domain] != nil
        var directives = node.turns[domain] ?? []
        func handle(_ event: DomainMachine.Event) {
            directives += node.domains[domain]?.handle(event, at: moment) ?? []
        }
        if !isOpen {
            handle(.lease(until: node.agent.leaseUntil))
            handle(.lapsed(node.lease.lapsed))
            handle(.journal(isWritable: !failedDisks.contains(name)))
        }
        handle(event)
        if isOpen {
            node.turns[domain] = directives
        } else if options.turnDelay > 0, turnChance.oneIn(2) {
            node.turns[domain] = directives
            queue.add(
                .step(name, .endTurn(domain, life: node.life)), at: now + turnChance.duration(0...options.turnDelay))
        } else {
            endTurn(directives, of: domain, at: name)
        }
        return true
    }

    /// Everything that has arrived has been handled: the disk takes it, and then it leaves the node.
    mutating func endTurn(_ begun: [DomainMachine.Directive], of domain: DomainName, at name: NodeName) {
        let node = nodes[name]!
        let moment = moment(of: name)
        var directives = begun
        func handle(_ event: DomainMachine.Event) {
            directives += node.domains[domain]?.handle(event, at: moment) ?? []
        }
        handle(.turnEnded)
        for case .store(let record) in directives { keep(record, of: domain, at: node) }
        handle(.journal(isWritable: !failedDisks.contains(name)))
        handle(.stored)
        node.wakes[domain] = node.domains[domain]?.nextWake(at: moment)
        noteSpared(domain, at: node, moment)
        for directive in directives { perform(directive, of: domain, at: node) }
        node.noteServing(domain)
        // Nothing of a domain that nobody serves any more is kept.
        if node.domains[domain]?.isRetired == true {
            node.domains[domain] = nil
            node.disk[domain] = nil
            node.wakes[domain] = nil
        }
    }

    /// For as long as a lone owner could take no renewal it ends nobody, and as long again, whoever is owner by then.
    private mutating func noteSpared(_ domain: DomainName, at node: SimulatedNode, _ moment: Moment) {
        guard let machine = node.domains[domain], machine.sparesUntil > moment.monotonic else { return }
        let rest = machine.sparesUntil - moment.monotonic
        if rest > .seconds(30) { history.violate("deadlines", "\(domain) ends nobody for \(rest)") }
        sparedUntil[domain] = max(sparedUntil[domain] ?? now, now + rest)
    }

    private mutating func perform(
        _ directive: DomainMachine.Directive, of domain: DomainName, at node: SimulatedNode
    ) {
        let name = node.name
        switch directive {
        case .store: break
        case .send(let message, let peer):
            if case .append(let append) = message { check(append.cursors, of: domain, in: append.epoch) }
            send(boastful(message, at: node), from: name, to: peer)
        case .askRouters(let change):
            for router in routers { send(.replicaChange(change), from: name, to: router) }
        case .publish(let publication): publish(publication, of: domain, at: node)
        case .alarm(let text): history.violate("no alarm", "\(name): \(text)")
        case .becameOwner(let epoch, let reason, _):
            if reason == .moved { moves += 1 }
            if reason == .storageCleared {
                // Everything has ended, though followers are told only now.
                history.mayHaveEnded(domain, at: now)
                if node.serving[domain] == epoch - 1 {
                    history.violate("nothing acknowledged is lost", "\(name) \(domain): cleared while it was served")
                }
            }
            grantOutage(of: domain, to: node.life, reason)
            trace.note(now, "\(name) \(Trace.describe(directive)) \(domain)")
            // What clients know of is there from the first moment on, whatever they ask for later.
            // In the same turn it may have learned that it is owner no more, or that everything is to end.
            if reason != .storageCleared, let machine = node.domains[domain], machine.isOwner, !machine.isRetiring {
                let replica = machine.replica
                history.compare(
                    Self.list(of: replica, at: moment(of: name), all: true), of: domain, before: epoch, at: now,
                    mayOutlive: true)
            }
        case .becameStandby, .deposed, .handingOver, .replayEnded, .retiring:
            trace.note(now, "\(name) \(Trace.describe(directive)) \(domain)")
            // From here on everything may end, long after the operator has asked for it.
            if case .retiring = directive { history.mayHaveEnded(domain, at: now) }
        }
    }

    private mutating func keep(_ record: JournalRecord, of domain: DomainName, at node: SimulatedNode) {
        guard !fullDisks.contains(node.name) else {
            failedDisks.insert(node.name)
            node.agent.isJournalWritable = false
            return
        }
        node.disk[domain, default: []].append(.init(moment: moment(of: node.name), record: record))
    }

    private mutating func report(_ name: NodeName) {
        let node = nodes[name]!
        guard now - node.lastReport >= .seconds(1) else { return }
        node.lastReport = now
        let reports = domains.compactMap { node.domains[$0]?.report }
        for router in routers { send(.copies(CopyReports(reports: reports)), from: name, to: router) }
    }

    private mutating func checkLimits(_ name: NodeName) {
        let node = nodes[name]!
        if let gateway = node.gateway, gateway.machine.pendingCount != gateway.calls.count {
            history.violate(
                "limits", "\(name) keeps \(gateway.machine.pendingCount) requests, of \(gateway.calls.count) under way")
        }
        for (domain, twin) in node.followers where twin.machine.report.recentEvents > options.recentEvents {
            history.violate("limits", "\(name) \(domain) keeps \(twin.machine.report.recentEvents) recent events")
        }
        checkLane(of: node)
        for domain in domains {
            guard let machine = node.domains[domain] else { continue }
            if machine.ringCount > policy.ringEntries {
                history.violate("limits", "\(name) \(domain) keeps \(machine.ringCount) entries")
            }
            // A request, an expiry or a replay may add some at once.
            let room = UInt64(machine.replica.table.count + 64)
            if machine.uncommitted > min(policy.maximumUncommitted, UInt64(policy.ringEntries / 2)) + room {
                history.violate("limits", "\(name) \(domain) has \(machine.uncommitted) uncommitted entries")
            }
            if machine.feedCount > names.count * 2 {
                history.violate("limits", "\(name) \(domain) feeds \(machine.feedCount) replicas")
            }
        }
    }

    /// Nobody expires because they could not reach the owner: from when its process ended or was stopped to the
    /// beginning of the next one's epoch nobody could.
    private mutating func grantOutage(of domain: DomainName, to life: NodeID, _ reason: ClearReason) {
        if reason == .failover, let former = owners[domain], let end = ended[former] {
            // What was on its way when it ended was heard later.
            let late = Duration.milliseconds(
                options.maximumDelay + 130 + (options.faults.contains(.slowNode) ? 800 : 0))
            history.grant(max(now - end - late, .zero), in: domain)
        }
        // A standby that was not heard for longer is taken out, and not promoted.
        if let stretch = nodes[life.name]?.domains[domain]?.replica.stretch {
            history.allow(min(stretch, .seconds(8)), in: domain)
        }
        owners[domain] = life
    }

    static func key(_ contact: PackedContact) -> ContactKey? {
        try? contact.key()  // every contact here was packed here
    }

    /// - Parameter all: whether what has yet to be restated is in it.
    static func list(
        of replica: DomainReplica, at now: Moment, all: Bool = false
    ) -> [ContactKey: PackedContact] {
        var list: [ContactKey: PackedContact] = [:]
        replica.forEach(at: now, includingUnrestated: all) { contact, _ in
            if let key = key(contact) { list[key] = contact }
        }
        return list
    }
}
