import ClusterRuntime
import RegistrarEvents
import Router
import SRActor

/// Topologies that are activated in the middle of everything: a domain is removed, and comes back.
///
/// Their text is the list of domains, such as `a.example b.example`; nodes stay as they are.
extension World {
    /// A router's agent has heard of a newer topology.
    mutating func learned(_ active: ActiveTopology, at name: NodeName) {
        trace.note(now, "\(name) learns version \(active.version) of the topology: \(active.text)")
        guard let layout = Self.layout(of: active.text, nodes: layout.nodes, options) else { return }
        route(.learned(active, layout), at: name)
        for domain in layout.domains {
            var known = policy
            known.topology = active.version
            step(.policy(known), of: domain.name, at: name)
        }
    }

    /// Plans over the faulty time when the last domain is removed, or put back. Drawn from a generator of their own, so
    /// that histories without them, and those of the first kind, are as they were before there were any.
    mutating func planTopologies(until end: MonotonicInstant, seed: UInt64) {
        guard var random = Self.topologyChance(seed: seed) else { return }
        var time = now + .seconds(3)
        while time < end {
            queue.add(.topology, at: time)
            time += random.duration(1_000...6_000)
        }
    }

    /// What changes of the topology are drawn from; nil in histories without.
    static func topologyChance(seed: UInt64) -> SplitMix64? {
        var random = SplitMix64(seed: seed ^ 0x746f_706f_6c6f_6779)
        return random.chance(0.25) ? random : nil
    }

    /// An operator removes the last domain, or puts it back.
    mutating func changeTopology() {
        let hasAll = coordinator.load().topology.map { $0.text == wholeText } ?? true
        activate(hasAll ? domains.dropLast().map(\.rawValue).joined(separator: " ") : wholeText)
    }

    /// Whether the cluster is to serve every domain in the end.
    var isTopologyWhole: Bool { coordinator.load().topology.map { $0.text == wholeText } ?? true }

    /// Puts back what is missing, as far as somebody leads; to be repeated until nothing is.
    mutating func restoreTopology() {
        if !isTopologyWhole { activate(wholeText) }
    }

    private var wholeText: String { domains.map(\.rawValue).joined(separator: " ") }

    /// Gives a topology to whichever router holds itself to lead.
    mutating func activate(_ text: String) {
        for name in routers {
            guard let node = nodes[name], node.isRunning, !node.isPaused, !node.isFormer, let machine = node.router,
                machine.leadingTerm(at: moment(of: name)) > 0,
                let layout = Self.layout(of: text, nodes: layout.nodes, options)
            else { continue }
            orders += 1
            trace.note(now, "operator: the topology is \(text)")
            if isLoaded { record(.serve(text.split(separator: " ").compactMap { DomainName(String($0)) })) }
            let next = ActiveTopology(version: machine.topology.version + 1, text: text, since: 0)
            let served = coordinator.load().topology?.text ?? wholeText
            for domain in domains where !Self.isNamed(domain, in: text) || !Self.isNamed(domain, in: served) {
                history.mayHaveEnded(domain)
            }
            route(.activate(next, layout, id: orders), at: name)
            return
        }
    }

    private static func isNamed(_ domain: DomainName, in text: String) -> Bool {
        text.split(separator: " ").contains { $0 == domain.rawValue }
    }

    /// What a topology's text means; nil when it is none.
    static func layout(
        of text: String, nodes: [ClusterLayout.Node], _ options: SimulationOptions
    ) -> ClusterLayout? {
        let names = text.split(separator: " ").map { DomainName(String($0)) }
        let domains = names.compactMap(\.self)
        guard domains.count == names.count, Set(domains).count == domains.count else { return nil }
        return Self.layout(domains, nodes, options)
    }

    static func layout(
        _ domains: [DomainName], _ nodes: [ClusterLayout.Node], _ options: SimulationOptions
    ) -> ClusterLayout {
        let strict = nodes.filter { $0.site == "strict" }.map(\.server)
        return ClusterLayout(
            nodes: nodes, domains: domains.map { described($0, options) },
            sites: strict.isEmpty ? [] : [ClusterLayout.Site(name: "strict", servers: strict)])
    }

    /// What every topology of the history says of a domain.
    static func described(_ domain: DomainName, _ options: SimulationOptions) -> ClusterLayout.Domain {
        ClusterLayout.Domain(
            name: domain, replicas: options.replicas,
            group: options.groupSize > 0 && domain == allDomains.last ? "one" : nil,
            pin: domain == allDomains.first ? options.pin.map { NodeName("s\($0 + 1)") } : [])
    }

    /// Why a domain is not served by whom the topology wants; nil when it is.
    func misplacement(of assignment: Assignment) -> String? {
        guard let domain = layout.domains.first(where: { $0.name == assignment.domain }),
            let owner = layout.nodes.first(where: { $0.name == assignment.owner?.name })
        else { return nil }
        if owner.group != domain.group { return "\(domain.name) is not served by its group, but by \(owner.name)" }
        guard let pinned = domain.pin.first, pinned != owner.name else { return nil }
        return "\(domain.name) is pinned to \(pinned), and served by \(owner.name)"
    }
}
