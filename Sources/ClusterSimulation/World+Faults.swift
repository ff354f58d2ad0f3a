import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// What goes wrong, and how it is put right again.
extension World {
    enum Fault {
        /// The process ends; `withDisk` is false when its disk is lost as well.
        case crash([NodeName], withDisk: Bool)
        case pause(NodeName)
        case cut([Link])
        case coordinatorOutage
    }

    /// Plans faults over the faulty time.
    mutating func planFaults(until end: MonotonicInstant) {
        var time = now + .seconds(3)
        while time < end {
            if let fault = options.faults.isEmpty
                ? nil : options.faults.sorted(by: Self.inOrder).randomElement(using: &random)
            {
                queue.add(.fault(drawn(fault)), at: time)
            }
            time += random.duration(200...2_500)
        }
    }

    private static func inOrder(_ left: SimulationOptions.Fault, _ right: SimulationOptions.Fault) -> Bool {
        "\(left)" < "\(right)"
    }

    private mutating func drawn(_ fault: SimulationOptions.Fault) -> Fault {
        let victims = Self.registrars + Self.registrars + Self.followers
        let victim = victims[Int.random(in: 0..<victims.count, using: &random)]
        switch fault {
        case .crash: return .crash([victim], withDisk: random.chance(0.7))
        case .crashOfAll: return .crash(Self.registrars, withDisk: true)
        case .pause: return .pause(random.oneIn(4) ? Self.routers[0] : victim)
        case .partition:
            let others = Self.names.filter { $0 != victim }
            let cut = random.oneIn(3) ? [others[Int.random(in: 0..<others.count, using: &random)]] : others
            return .cut(cut.flatMap { [Link(from: victim, to: $0), Link(from: $0, to: victim)] })
        case .oneWayPartition:
            let others = Self.names.filter { $0 != victim }
            return .cut(others.map { random.oneIn(2) ? Link(from: victim, to: $0) : Link(from: $0, to: victim) })
        case .routerCrash: return .crash([Self.routers[Int.random(in: 0...1, using: &random)]], withDisk: true)
        case .coordinatorOutage: return .coordinatorOutage
        }
    }

    /// Whether the fault takes away a registrar. Such faults come one at a time, so that what is promised of the
    /// failure of any one node can be held against the cluster.
    private func hitsRegistrar(_ fault: Fault) -> Bool {
        switch fault {
        case .crash(let names, _): names.contains { Self.registrars.contains($0) }
        case .pause(let name): Self.registrars.contains(name)
        case .cut(let links): links.contains { Self.registrars.contains($0.from) || Self.registrars.contains($0.to) }
        case .coordinatorOutage: false
        }
    }

    mutating func begin(_ fault: Fault) {
        let length = random.duration(100...3_000)
        if hitsRegistrar(fault) {
            guard now >= nextServerFault else { return }
            nextServerFault = now + length + .milliseconds(1_500)
        }
        switch fault {
        case .crash(let names, let withDisk):
            let running = names.filter { nodes[$0]!.isRunning && !nodes[$0]!.isPaused }
            guard !running.isEmpty, withDisk || isSafeToLoseDisk(of: running[0]) else { return }
            for name in running { crash(name, withDisk: withDisk) }
            trace.note(now, "crash \(running) withDisk=\(withDisk)")
            queue.add(.heal(.crash(running, withDisk: withDisk)), at: now + length)
        case .pause(let name):
            guard nodes[name]!.isRunning, !nodes[name]!.isPaused else { return }
            nodes[name]!.isPaused = true
            trace.note(now, "pause \(name)")
            queue.add(.heal(fault), at: now + length)
        case .cut(let links):
            blocked.formUnion(links)
            trace.note(now, "cut \(links.map { "\($0.from)->\($0.to)" })")
            queue.add(.heal(fault), at: now + length)
        case .coordinatorOutage:
            guard !isCoordinatorAway else { return }
            isCoordinatorAway = true
            trace.note(now, "coordinator away")
            queue.add(.heal(fault), at: now + length)
        }
        activeFaults += 1
    }

    /// A disk may be lost only while another member holds all that this one holds: one failure, not two.
    private func isSafeToLoseDisk(of name: NodeName) -> Bool {
        coordinator.load().assignments.allSatisfy { assignment in
            let members = ([assignment.owner].compactMap { $0 } + assignment.inSync)
            guard members.contains(where: { $0.name == name }) else { return true }
            return members.contains { member in
                member.name != name && nodes[member.name]?.life == member && nodes[member.name]!.isRunning
                    && !nodes[member.name]!.isPaused
            }
        }
    }

    private mutating func crash(_ name: NodeName, withDisk: Bool) {
        abandonRequests(of: name)
        nodes[name]!.isRunning = false
        if !withDisk { nodes[name]!.disk = [:] }
        // Routers learn of a process that is gone by a refused connection; sometimes they miss it.
        for router in Self.routers where router != name && random.chance(0.7) {
            guard !blocked.contains(Link(from: router, to: name)) else { continue }
            if nodes[router]!.isRunning, !nodes[router]!.isPaused { route(.refused(name), at: router) }
        }
    }

    mutating func heal(_ fault: Fault) {
        activeFaults -= 1
        switch fault {
        case .crash(let names, _):
            for name in names where !nodes[name]!.isRunning {
                let reuses = options.plantedBug == .reusesIncarnation
                let incarnation = nodes[name]!.incarnation + (reuses ? 0 : 1)
                boot(name, incarnation: incarnation, disk: nodes[name]!.disk)
            }
        case .pause(let name):
            nodes[name]!.isPaused = false
            trace.note(now, "resume \(name)")
            let backlog = nodes[name]!.backlog
            nodes[name]!.backlog = []
            for step in backlog { queue.add(.step(name, step), at: now) }
        case .cut(let links): blocked.subtract(links)
        case .coordinatorOutage: isCoordinatorAway = false
        }
        trace.note(now, "heal \(fault)")
    }

    // MARK: Planted bugs

    mutating func answersTooSoon(_ request: Request, from sender: NodeID, at name: NodeName) {
        guard options.plantedBug == .answersBeforeStandby, case .register(_, let ttl) = request.operation,
            case .sr(let machines) = nodes[name]!.machines, let machine = machines[request.domain], machine.isOwner,
            machine.report.position.epoch == request.epoch
        else { return }
        let position = Position(epoch: request.epoch, seq: machine.report.position.seq + 1)
        send(.reply(Reply(id: request.id, result: .registered(position, ttl: ttl))), from: name, to: sender.name)
    }

    mutating func shortened(_ entries: [LogEntry]) -> ArraySlice<LogEntry> {
        options.plantedBug == .skipsAnEntry && random.oneIn(50) ? entries.dropFirst() : entries[...]
    }

    mutating func corrupted(_ append: Append, at name: NodeName) -> Append {
        guard options.plantedBug == .forgetsAContact, random.oneIn(10),
            let last = append.entries.last, case .registered(let contact, _, _) = last.change
        else { return append }
        var forgetful = append
        forgetful.entries[forgetful.entries.count - 1] = LogEntry(
            seq: last.seq, timestamp: last.timestamp, change: .unregistered(contact, .deleteContact))
        return forgetful
    }
}
