import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// What goes wrong, and how it is put right again.
extension World {
    enum Fault: Hashable {
        /// The processes end; `withDisk` is false when their disks are lost as well. `torn` of the last records of each
        /// domain are not on the disk; nil when chance is to say.
        case crash([NodeName], withDisk: Bool, torn: Int? = nil)
        case pause(NodeName)
        case cut([Link])
        case coordinatorOutage
        /// Messages to and from the node take so much longer, in milliseconds.
        case slow(NodeName, Int)
        case diskFull(NodeName)
        /// The destination takes nothing.
        case brokerOutage
        /// Watches of the coordinator break, and cannot be had.
        case watchOutage
        /// The process ends, and a program of this version, or of the wire version before, is started in its place.
        case exchange(NodeName, isFormer: Bool)
    }

    /// Plans faults over the faulty time.
    mutating func planFaults(until end: MonotonicInstant) {
        drawsFaults = true
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
        let victims = registrars + registrars + followers + gateways + routers
        let victim = victims[Int.random(in: 0..<victims.count, using: &random)]
        switch fault {
        case .crash: return .crash([victim], withDisk: random.chance(0.7))
        case .crashOfAll: return .crash(registrars, withDisk: true)
        case .pause: return .pause(victim)
        case .partition:
            let others = names.filter { $0 != victim }
            let cut = random.oneIn(3) ? [others[Int.random(in: 0..<others.count, using: &random)]] : others
            return .cut(cut.flatMap { [Link(from: victim, to: $0), Link(from: $0, to: victim)] })
        case .oneWayPartition:
            let others = names.filter { $0 != victim }
            return .cut(others.map { random.oneIn(2) ? Link(from: victim, to: $0) : Link(from: $0, to: victim) })
        case .routerCrash: return .crash([routers[Int.random(in: 0..<routers.count, using: &random)]], withDisk: true)
        case .coordinatorOutage: return .coordinatorOutage
        case .slowNode: return .slow(victim, Int.random(in: 20...400, using: &random))
        case .coordinatorCut:
            let router = routers[Int.random(in: 0..<routers.count, using: &random)]
            let links = [Link(from: router, to: Self.coordinatorEnd), Link(from: Self.coordinatorEnd, to: router)]
            return .cut(random.oneIn(2) ? links : [links[Int.random(in: 0...1, using: &random)]])
        case .diskFull: return .diskFull(registrars[Int.random(in: 0..<registrars.count, using: &random)])
        }
    }

    /// Whether the fault takes away a registrar. Such faults come one at a time, so that what is promised of the
    /// failure of any one node can be held against the cluster.
    private func hitsRegistrar(_ fault: Fault) -> Bool { registrars.contains { hits(fault, $0) } }

    private func hits(_ fault: Fault, _ node: NodeName) -> Bool {
        switch fault {
        case .crash(let names, _, _): names.contains(node)
        case .cut(let links): links.contains { $0.from == node || $0.to == node }
        case .coordinatorOutage, .brokerOutage, .watchOutage: false
        case .pause(let name), .slow(let name, _), .diskFull(let name), .exchange(let name, _): name == node
        }
    }

    /// A process may end while its disk does not take everything. That is the failure of one node still, and what it
    /// has acknowledged must be on the disk as it is.
    private func isMoreOfTheSame(_ fault: Fault) -> Bool {
        guard case .crash(let names, withDisk: true, _) = fault else { return false }
        return names.count == 1 && names.allSatisfy(failedDisks.contains)
    }

    /// Begins a fault that a seed has drawn, for as long as it draws now.
    mutating func begin(_ fault: Fault) { begin(fault, for: random.duration(100...3_000)) }

    /// - Returns: false when nothing has begun, since it is so already or must not be now.
    @discardableResult
    mutating func begin(_ fault: Fault, for length: Duration) -> Bool {
        if hitsRegistrar(fault) {
            guard now >= nextServerFault || isMoreOfTheSame(fault) else { return false }
            nextServerFault = now + length + .milliseconds(1_500)
        }
        var begun = fault
        switch fault {
        case .crash(let names, let withDisk, let torn):
            let running = names.filter { nodes[$0]!.isRunning && !nodes[$0]!.isPaused }
            // What a full disk did not take is lost with the process.
            let isWhole = withDisk && failedDisks.isDisjoint(with: running)
            guard !running.isEmpty, isWhole || running.allSatisfy(isSafeToLoseDisk) else { return false }
            trace.note(now, "\(World.Fault.crash(running, withDisk: withDisk, torn: torn))")
            var lost = 0
            for name in running { lost += crash(name, withDisk: withDisk, torn: torn, isAlone: running.count == 1) }
            begun = .crash(running, withDisk: withDisk, torn: lost)
        case .pause(let name):
            guard nodes[name]!.isRunning, !nodes[name]!.isPaused else { return false }
            nodes[name]!.isPaused = true
            ended[nodes[name]!.life] = now
            trace.note(now, "\(fault)")
        case .cut(let links):
            blocked.formUnion(links)
            if options.hasWatches {
                for router in routers where isMute(router) || isDeaf(router) { breakWatch(of: router) }
            }
            trace.note(now, "\(fault)")
        case .coordinatorOutage:
            guard !isCoordinatorAway else { return false }
            isCoordinatorAway = true
            trace.note(now, "\(fault)")
            if options.hasWatches, watchChance.oneIn(2) { breakWatches() }
        case .watchOutage:
            guard options.hasWatches, !leaderRecord.isAway else { return false }
            leaderRecord.isAway = true
            trace.note(now, "\(fault)")
            breakWatches()
        case .brokerOutage:
            guard !broker.isAway else { return false }
            broker.isAway = true
            trace.note(now, "\(fault)")
        case .slow(let name, let delay):
            guard slowness[name] == nil else { return false }
            slowness[name] = delay
            trace.note(now, "\(fault)")
        case .diskFull(let name):
            guard nodes[name]!.isRunning, fullDisks.insert(name).inserted else { return false }
            trace.note(now, "\(fault)")
            if drawsFaults, clocks.oneIn(2) {
                let crash = Fault.crash([name], withDisk: true, torn: 0)
                queue.add(.fault(crash), at: now + length - .milliseconds(1))
            }
        case .exchange(let name, let isFormer):
            let node = nodes[name]!
            guard node.isRunning, !node.isPaused, node.isFormer != isFormer,
                !failedDisks.contains(name) || isSafeToLoseDisk(of: name)
            else { return false }
            trace.note(now, "\(fault)")
            _ = crash(name, withDisk: true, torn: 0, isAlone: true)
            exchanges += 1
        }
        record(.fault(begun, for: length))
        queue.add(.heal(begun), at: now + length)
        activeFaults += 1
        return true
    }

    /// A disk may be lost only while another member holds all that this one holds: one failure, not two. Nor is it one
    /// when that member is about to be let go of, since an operator has drained it.
    private func isSafeToLoseDisk(of name: NodeName) -> Bool {
        // One of the version before does not tell that its disk is full.
        guard !(failedDisks.contains(name) && nodes[name]!.isFormer) else { return false }
        return coordinator.load().assignments.allSatisfy { assignment in
            let members = ([assignment.owner].compactMap { $0 } + assignment.inSync)
            guard members.contains(where: { $0.name == name }) else { return true }
            return members.contains { member in
                member.name != name && nodes[member.name]?.life == member && nodes[member.name]!.isRunning
                    && !nodes[member.name]!.isPaused && !drained.contains(member.name)
            }
        }
    }

    /// - Returns: how many of the journal's last records were lost with the process.
    private mutating func crash(_ name: NodeName, withDisk: Bool, torn: Int?, isAlone: Bool) -> Int {
        abandonCalls(of: name)
        disconnectAll(of: name)
        let mayTear = (torn.map { $0 > 0 } ?? options.tornJournals) && isAlone && isSafeToLoseDisk(of: name)
        nodes[name]!.isRunning = false
        ended[nodes[name]!.life] = now
        if !withDisk { nodes[name]!.disk = [:] }
        let lost = mayTear ? torn ?? Int.random(in: 0...5, using: &clocks) : 0
        tearJournal(of: name, by: lost)
        if !withDisk || lost > 0 || failedDisks.contains(name) { noteLoss(of: name) }
        if has(.losesTheJournalsEnd) { tearJournal(of: name, by: 30) }
        // Routers learn of a process that is gone by a refused connection; sometimes they miss it.
        for router in routers where router != name && random.chance(0.7) {
            guard !blocked.contains(Link(from: router, to: name)) else { continue }
            if nodes[router]!.isRunning, !nodes[router]!.isPaused { route(.refused(name), at: router) }
        }
        return lost
    }

    private mutating func noteLoss(of name: NodeName) {
        let arrivals = routers.compactMap { lastArrival[Link(from: name, to: $0)] }
        // Those that were reordered or doubled are not among them.
        guard let last = arrivals.max() else { return }
        lostAreHeardUntil = max(lostAreHeardUntil, last + .milliseconds(130))
    }

    /// What was written last is not on the disk: the machine has lost its power, and the journal is read up to there.
    private func tearJournal(of name: NodeName, by records: Int) {
        guard let node = nodes[name] else { return }
        for domain in domains {
            guard let count = node.disk[domain]?.count else { continue }
            node.disk[domain]?.removeLast(min(records, count))
        }
    }

    /// The disk takes records again: everything is written anew.
    private mutating func writeAnew(_ name: NodeName) {
        failedDisks.remove(name)
        nodes[name]?.agent.isJournalWritable = true
        guard fullDisks.remove(name) != nil, let node = nodes[name], node.isRunning else { return }
        for domain in domains {
            guard let replica = node.domains[domain]?.replica else { continue }
            var records: [SimulatedNode.Written] = []
            let moment = moment(of: name)
            replica.forEachCheckpointRecord(at: moment) { records.append(.init(moment: moment, record: $0)) }
            node.disk[domain] = records
            step(.journal(isWritable: true), of: domain, at: name)
        }
    }

    mutating func heal(_ fault: Fault) {
        activeFaults -= 1
        for name in registrars where hits(fault, name) { lastAway[name] = now }
        switch fault {
        case .crash(let names, _, _):
            for name in names { restart(name, isFormer: nodes[name]!.isFormer) }
        case .exchange(let name, let isFormer): restart(name, isFormer: isFormer)
        case .pause(let name):
            nodes[name]!.isPaused = false
            if let since = ended.removeValue(forKey: nodes[name]!.life) {
                longestPause[name] = max(longestPause[name] ?? .zero, now - since)
            }
            trace.note(now, "resume \(name)")
            let backlog = nodes[name]!.backlog
            nodes[name]!.backlog = []
            for step in backlog { queue.add(.step(name, step), at: now) }
        case .cut(let links): blocked.subtract(links)
        case .coordinatorOutage: isCoordinatorAway = false
        case .brokerOutage: broker.isAway = false
        case .watchOutage: leaderRecord.isAway = false
        case .slow(let name, _): slowness[name] = nil
        case .diskFull(let name): writeAnew(name)
        }
        trace.note(now, "over: \(fault)")
    }

    mutating func restart(_ name: NodeName, isFormer: Bool) {
        guard let node = nodes[name], !node.isRunning else { return }
        guard !activeTopology.without.contains(name) else {
            // Nobody starts it again.
            stopped.insert(name)
            return
        }
        let incarnation = node.incarnation + (has(.reusesIncarnation) ? 0 : 1)
        boot(name, node.role, incarnation: incarnation, isFormer: isFormer, disk: node.disk)
    }
}
