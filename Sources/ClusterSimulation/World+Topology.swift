import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// Topologies that are activated in the middle of everything: domains are removed and come back, are pinned elsewhere,
/// have other limits; nodes are drained, removed, and added again.
extension World {
    /// What an operator changes.
    enum TopologyChange {
        /// The last domain goes, or comes back.
        case domain
        /// The first domain is pinned to these.
        case pin([NodeName])
        case devices(Int)
        /// The node goes, once it was drained.
        case remove(NodeName)
        /// All nodes that went come back.
        case addAll
    }

    /// A router's agent has heard of a newer topology.
    mutating func learned(_ active: ActiveTopology, at name: NodeName) {
        trace.note(now, "\(name) learns version \(active.version) of the topology: \(active.text)")
        let node = nodes[name]!
        guard let layout = Self.layout(of: active.text, nodes: layout.nodes, options) else { return }
        node.topology = active
        route(.learned(active, layout), at: name)
        for domain in layout.domains { step(.policy(policy(of: domain.name, at: node)), of: domain.name, at: name) }
    }

    /// By what a node goes as far as it has heard of a topology that has the domain.
    func policy(of domain: DomainName, at node: SimulatedNode) -> DomainPolicy {
        var known = policy
        guard let active = node.topology, ServedTopology(active.text)?.domains.contains(domain) == true else {
            return known
        }
        known.topology = active.version
        known.maximumDevices = ServedTopology(active.text)?.devices.map(UInt32.init) ?? policy.maximumDevices
        return known
    }

    // MARK: Plans

    /// Plans over the faulty time when the last domain is removed, or put back. Drawn from a generator of their own, so
    /// that histories without them, and those of the first kind, are as they were before there were any.
    mutating func planTopologies(until end: MonotonicInstant, seed: UInt64) {
        if var random = Self.topologyChance(seed: seed) {
            var time = now + .seconds(3)
            while time < end {
                queue.add(.topology(.domain), at: time)
                time += random.duration(1_000...6_000)
            }
        }
        planChanges(until: end, seed: seed)
    }

    /// What changes of the topology are drawn from; nil in histories without.
    static func topologyChance(seed: UInt64) -> SplitMix64? {
        var random = SplitMix64(seed: seed ^ 0x746f_706f_6c6f_6779)
        return random.chance(0.25) ? random : nil
    }

    /// The same for changes of pins, limits and nodes.
    static func changeChance(seed: UInt64) -> SplitMix64? {
        var random = SplitMix64(seed: seed ^ 0x6368_616e_6765_7321)
        return random.chance(0.3) ? random : nil
    }

    private mutating func planChanges(until end: MonotonicInstant, seed: UInt64) {
        guard var random = Self.changeChance(seed: seed) else { return }
        var time = now + .seconds(3)
        while time < end {
            let node = registrars[Int.random(in: 0..<registrars.count, using: &random)]
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                let free = registrars[options.groupSize...]
                let count = Int.random(in: 0...2, using: &random)
                queue.add(.topology(.pin(Array(free.shuffled(using: &random).prefix(count)))), at: time)
            case 4..<6: queue.add(.topology(.devices(Int.random(in: 1...4, using: &random))), at: time)
            case 6..<9:
                queue.add(.order(.drain(node)), at: time)
                queue.add(.topology(.remove(node)), at: time + random.duration(700...2_500))
            default: queue.add(.topology(.addAll), at: time)
            }
            time += random.duration(500...3_000)
        }
    }

    // MARK: Activating

    mutating func changeTopology(_ change: TopologyChange) {
        var next = activeTopology
        switch change {
        case .domain:
            next.domains = next.domains.count == domains.count ? domains.dropLast() : domains
            guard !next.domains.isEmpty else { return }
        case .pin(let names): next.pin = names.filter { !next.without.contains($0) }
        case .devices(let count): next.devices = count
        case .remove(let name):
            next.without = (next.without + [name]).sorted()
            next.pin = (next.pin ?? World.pin(options)).filter { $0 != name }
            guard canSpare(next.without) else { return }
        case .addAll: next.without = []
        }
        if next != activeTopology { activate(next) }
    }

    /// Whether every domain still has nodes enough for its copies, at both sites if it needs two.
    private func canSpare(_ gone: [NodeName]) -> Bool {
        guard Set(gone).count == gone.count else { return false }
        return domains.allSatisfy { domain in
            let group = Self.described(domain, options).group
            let left = layout.nodes.filter { $0.role == .sr && $0.group == group && !gone.contains($0.name) }
            let all = layout.nodes.filter { $0.role == .sr && $0.group == group }
            return left.count > options.replicas
                && (!options.spreads || Set(left.map(\.site)).count == Set(all.map(\.site)).count)
        }
    }

    /// What is in force, as the coordinator has it.
    var activeTopology: ServedTopology {
        coordinator.load().topology.flatMap { ServedTopology($0.text) } ?? ServedTopology(domains: domains)
    }

    /// Whether the cluster is to serve every domain, by every node.
    var isTopologyWhole: Bool { activeTopology.domains == domains && activeTopology.without.isEmpty }

    /// Puts back what is missing, as far as somebody leads; to be repeated until nothing is.
    mutating func restoreTopology() {
        guard !isTopologyWhole else { return }
        var whole = activeTopology
        (whole.domains, whole.without) = (domains, [])
        activate(whole)
    }

    /// Gives a topology to whichever router holds itself to lead.
    mutating func activate(_ served: ServedTopology) {
        for name in routers {
            guard let node = nodes[name], node.isRunning, !node.isPaused, !node.isFormer, let machine = node.router,
                machine.leadingTerm(at: moment(of: name)) > 0,
                let layout = Self.layout(of: served.text, nodes: layout.nodes, options)
            else { continue }
            orders += 1
            trace.note(now, "operator: the topology is \(served.text)")
            if isLoaded { record(.serve(served)) }
            let next = ActiveTopology(version: machine.topology.version + 1, text: served.text, since: 0)
            let former = activeTopology
            if !isSupervised, !served.without.isEmpty {
                isSupervised = true
                queue.add(.supervise, at: now + .seconds(1))
            }
            for domain in domains where !served.domains.contains(domain) || !former.domains.contains(domain) {
                history.mayHaveEnded(domain, at: now)
            }
            route(.activate(next, layout, id: orders), at: name)
            return
        }
    }

    /// What `rollcall up` does each second: it stops nodes that the topology has no more, and starts those that it has
    /// again, with the disks that they had.
    mutating func supervise() {
        queue.add(.supervise, at: now + .seconds(1))
        let gone = activeTopology.without
        for name in registrars {
            guard let node = nodes[name] else { continue }
            if gone.contains(name) {
                guard node.isRunning, !node.isPaused else { continue }
                trace.note(now, "stop \(name), which the topology has no more")
                node.isRunning = false
                ended[node.life] = now
                stopped.insert(name)
                nodesRemoved += 1
            } else if stopped.remove(name) != nil {
                restart(name, isFormer: node.isFormer)
            }
        }
    }

    // MARK: Layouts

    /// What a topology's text means; nil when it is none.
    static func layout(
        of text: String, nodes: [ClusterLayout.Node], _ options: SimulationOptions
    ) -> ClusterLayout? {
        guard let served = ServedTopology(text) else { return nil }
        return Self.layout(served, nodes, options)
    }

    static func layout(
        _ served: ServedTopology, _ nodes: [ClusterLayout.Node], _ options: SimulationOptions
    ) -> ClusterLayout {
        let nodes = nodes.filter { !served.without.contains($0.name) }
        let strict = nodes.filter { $0.site == "strict" }.map(\.server)
        let keepsPin = options.plantedBug == .keepsFormerPins
        let domains = served.domains.map { name in
            var domain = described(name, options)
            if let pin = served.pin, !keepsPin, name == allDomains.first { domain.pin = pin }
            domain.pin.removeAll { served.without.contains($0) }
            return domain
        }
        return ClusterLayout(
            nodes: nodes, domains: domains,
            sites: strict.isEmpty ? [] : [ClusterLayout.Site(name: "strict", servers: strict)],
            pace: ClusterLayout.Pace(rebalanceAfter: options.periods.rebalanceAfter))
    }

    /// What a history begins with for a domain.
    static func described(_ domain: DomainName, _ options: SimulationOptions) -> ClusterLayout.Domain {
        ClusterLayout.Domain(
            name: domain, replicas: options.replicas,
            group: options.groupSize > 0 && domain == allDomains.last ? "one" : nil,
            pin: domain == allDomains.first ? pin(options) : [], needsOtherSite: options.spreads)
    }

    static func pin(_ options: SimulationOptions) -> [NodeName] { options.pin.map { NodeName("s\($0 + 1)") } }

    // MARK: Where domains belong

    /// Why a domain is not served by whom the topology wants; nil when it is.
    func misplacement(of assignment: Assignment) -> String? {
        let served = activeTopology
        let domain = Self.described(assignment.domain, options)
        guard let owner = layout.nodes.first(where: { $0.name == assignment.owner?.name }) else { return nil }
        if owner.group != domain.group { return "\(domain.name) is not served by its group, but by \(owner.name)" }
        let isPinned = domain.name == Self.allDomains.first
        if isPinned, let pinned = (served.pin ?? domain.pin).first, pinned != owner.name {
            return "\(domain.name) is pinned to \(pinned), and served by \(owner.name)"
        }
        guard domain.needsOtherSite, options.replicas > 1 else { return nil }
        let places = layout.nodes.filter { $0.role == .sr && $0.group == domain.group }
        let standbys = places.filter { place in assignment.standbys.contains { $0.node.name == place.name } }
        guard places.contains(where: { $0.site != owner.site }), standbys.allSatisfy({ $0.site == owner.site }) else {
            return nil
        }
        return "\(domain.name) has no standby at another site than \(owner.name)'s"
    }

    /// Why a domain's owner does not go by the limits in force; nil when it does, or cannot have heard of them.
    func formerLimits(of domain: DomainName, at owner: DomainMachine) -> String? {
        let devices = activeTopology.devices.map(UInt32.init) ?? policy.maximumDevices
        let isFormer = nodes[owner.node.name]!.isFormer
        guard owner.policy.maximumDevices != devices, !isFormer else { return nil }
        return "\(domain) has \(owner.policy.maximumDevices) devices an account at \(owner.node), not \(devices)"
    }
}
