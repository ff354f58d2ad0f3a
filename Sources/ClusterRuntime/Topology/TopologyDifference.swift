public import RegistrarEvents

/// What a changed topology changes, what of that a running cluster takes up at once, what waits for a node's next
/// start, and what cannot be changed while the cluster runs.
///
/// Fields are compared one by one, whatever they are: one that a later version adds is found as well, and is taken to
/// wait for a restart.
public struct TopologyDifference: Sendable {
    /// A setting, by its key in the topology file, with what it was and what it is to be.
    public struct Change: Hashable, Sendable, CustomStringConvertible {
        public let key: String
        /// Empty where the values are too long, or not for everybody's eyes.
        public let values: String

        public var description: String { values.isEmpty ? "\(key) changed" : "\(key) \(values)" }
    }

    /// A domain or a node with the settings of it that change.
    public struct Changed<Name: Hashable & Sendable>: Hashable, Sendable {
        public let name: Name
        public let changes: [Change]
    }

    public private(set) var domainsAdded: [DomainSpec] = []
    public private(set) var domainsRemoved: [DomainName] = []
    public private(set) var domainsChanged: [Changed<DomainName>] = []
    public private(set) var nodesAdded: [NodeSpec] = []
    public private(set) var nodesRemoved: [NodeSpec] = []
    /// Those of the removed nodes that go together with everybody who could take over from them: whole groups that
    /// serve domains, or all nodes without group.
    public private(set) var leavingTogether: [NodeSpec] = []
    public private(set) var nodesChanged: [Changed<NodeName>] = []
    /// What is neither about one domain nor one node.
    public private(set) var settings: [Change] = []
    /// Nodes of both topologies that take up some of it at their next start only, in the order of the file.
    public private(set) var restarts: [NodeName] = []
    /// Why it cannot be activated while the cluster runs, a sentence each.
    public private(set) var refusals: [String] = []

    public var isEmpty: Bool {
        domainsAdded.isEmpty && domainsRemoved.isEmpty && domainsChanged.isEmpty && nodesAdded.isEmpty
            && nodesRemoved.isEmpty && nodesChanged.isEmpty && settings.isEmpty && refusals.isEmpty
    }

    public init(from old: Topology, to new: Topology) {
        compareDomains(old, new)
        compareNodes(old, new)
        compareSettings(old, new)
        refuse(old, new)
    }

    /// Whether domains may have to change owners for it.
    public var movesDomains: Bool {
        domainsChanged.contains { $0.changes.contains { $0.key == "pin" } }
            || nodesChanged.contains { $0.changes.contains { ["group", "include_domains"].contains($0.key) } }
    }

    // MARK: Domains

    private mutating func compareDomains(_ old: Topology, _ new: Topology) {
        let before = Dictionary(old.domains.map { ($0.name, $0) }) { first, _ in first }
        let after = Set(new.domains.map(\.name))
        domainsRemoved = old.domains.map(\.name).filter { !after.contains($0) }
        for domain in new.domains {
            guard let former = before[domain.name] else {
                domainsAdded.append(domain)
                continue
            }
            let changes = Self.changes(from: former, to: domain, Self.domainKeys)
            if !changes.isEmpty { domainsChanged.append(Changed(name: domain.name, changes: changes.map(\.1))) }
        }
    }

    private static let domainKeys = [
        "contacts": "limits.contacts", "devices": "limits.devices", "minimumExpires": "expires.min",
        "maximumExpires": "expires.max", "kafkaTopic": "kafka.topic",
    ]

    // MARK: Nodes

    private mutating func compareNodes(_ old: Topology, _ new: Topology) {
        let before = Dictionary(old.nodes.map { ($0.name, $0) }) { first, _ in first }
        let after = Set(new.nodes.map(\.name))
        nodesRemoved = old.nodes.filter { !after.contains($0.name) }
        let servers = old.nodes(of: .sr)
        let groups = ServingGroups(servers)
        let staying = Set(servers.filter { after.contains($0.name) }.map(\.group))
        let serving = Set(old.domains.map { groups.group(of: $0.name) })
        leavingTogether = nodesRemoved.filter {
            $0.role == .sr && serving.contains($0.group) && !staying.contains($0.group)
        }
        for node in new.nodes {
            guard let former = before[node.name] else {
                nodesAdded.append(node)
                continue
            }
            let changes = Self.changes(from: former, to: node, Self.nodeKeys)
            guard !changes.isEmpty else { continue }
            nodesChanged.append(Changed(name: node.name, changes: changes.map(\.1)))
            if changes.contains(where: { !Self.placement.contains($0.0) }) { restarts.append(node.name) }
            for (field, change) in changes where Self.fixed.contains(field) {
                refusals.append(
                    "node \(node.name): \(change); expected another name for another node: add that one, and remove "
                        + "this one")
            }
        }
    }

    private static let nodeKeys = ["clusterPort": "cluster", "adminPort": "admin"]
    /// What only routers go by.
    private static let placement: Set = ["order", "weight", "group", "includeDomains", "site", "server"]
    /// By what other nodes and commands know the node.
    private static let fixed: Set = ["role", "address", "clusterPort", "adminPort"]

    // MARK: Settings

    private mutating func compareSettings(_ old: Topology, _ new: Topology) {
        for field in Periods.fields {
            let (from, to) = (old.periods[keyPath: field.path], new.periods[keyPath: field.path])
            if from != to { settings.append(Self.change("periods.\(field.key)", from, to)) }
        }
        for field in Limits.fields {
            let (from, to) = (old.limits[keyPath: field.path], new.limits[keyPath: field.path])
            if from != to { settings.append(Self.change("limits.\(field.key)", from, to)) }
        }
        let handled = Set(
            ["source", "file", "domains", "sites", "periods", "limits", "cluster", "secret", "coordinator", "journal"])
        for (field, _) in Self.changes(from: old, to: new, [:]) where !handled.contains(field) {
            settings.append(Change(key: Self.sections[field] ?? Self.snake(field), values: ""))
        }
        defer { compareQuorums(old, new) }
        // Two are defaults of domains, which have them by now, and two are what routers plan by.
        let live: Set = [
            "limits.contacts_per_domain", "limits.devices", "limits.moving_domains", "periods.rebalance_after",
        ]
        guard settings.contains(where: { !live.contains($0.key) }) else { return }
        let both = Set(old.nodes.map(\.name))
        restarts = new.nodes.map(\.name).filter(both.contains)
    }

    /// Only routers go by them, so that nobody needs a restart for that.
    private mutating func compareQuorums(_ old: Topology, _ new: Topology) {
        for site in new.sites {
            guard let former = old.sites.first(where: { $0.name == site.name }),
                former.needsQuorum != site.needsQuorum
            else { continue }
            settings.append(Self.change("quorum of site \(site.name)", former.needsQuorum, site.needsQuorum))
        }
    }

    private static let sections = ["adminIsOpen": "admin.open", "tokens": "jwt"]

    // MARK: What cannot be changed

    private mutating func refuse(_ old: Topology, _ new: Topology) {
        if old.cluster != new.cluster {
            refusals.append(
                "cluster is \(new.cluster), and the running one is \(old.cluster); expected the same: it is another "
                    + "cluster")
        }
        let stop = "it can be changed only while no node runs"
        if old.secret != new.secret {
            refusals.append("secret changed; \(stop), since nodes would not understand one another")
        }
        if old.coordinator != new.coordinator {
            refusals.append("coordinator changed; \(stop), since routers would not agree on who leads")
        }
        if old.journal != new.journal { refusals.append("journal.path changed; \(stop), since nodes write there") }
        refuseLeases(old.periods, new.periods)
        refuseSilences(old.periods, new.periods)
        if new.source.utf8.count > ActiveTopology.maximumBytes {
            refusals.append(
                "the topology has \(new.source.utf8.count) bytes; expected at most \(ActiveTopology.maximumBytes) for "
                    + "one that is activated")
        }
    }

    /// While some nodes have been started again and others have not, a lone owner's lease must end before any router,
    /// whichever periods it goes by, calls that owner down.
    private mutating func refuseLeases(_ old: Periods, _ new: Periods) {
        var (older, newer) = (old, new)
        older.ownerLease = new.ownerLease
        newer.ownerLease = old.ownerLease
        for mixed in [older, newer] where mixed.ownerLease > mixed.down - mixed.heartbeat {
            refusals.append(
                "owner_lease \(Quantity.text(mixed.ownerLease)) and down \(Quantity.text(mixed.down)) would be in "
                    + "force together until every node was started again; expected owner_lease at most down less a "
                    + "heartbeat in every mixture: change them in two steps, each with a restart")
            return
        }
    }

    /// And a node that still goes by the old heartbeat must not be silent to a router that goes by the new periods, nor
    /// the other way round.
    private mutating func refuseSilences(_ old: Periods, _ new: Periods) {
        for (heartbeat, suspect) in [(old.heartbeat, new.suspect), (new.heartbeat, old.suspect)]
        where heartbeat * 2 > suspect {
            refusals.append(
                "heartbeat \(Quantity.text(heartbeat)) and suspect \(Quantity.text(suspect)) would be in force "
                    + "together until every node was started again; expected suspect to be at least twice the "
                    + "heartbeat in every mixture: change them in two steps, each with a restart")
            return
        }
    }

    // MARK: Comparing

    /// The fields in which two values differ, by their names here and with their keys in the file.
    private static func changes<Value>(
        from old: Value, to new: Value, _ keys: [String: String]
    ) -> [(String, Change)] {
        zip(Mirror(reflecting: old).children, Mirror(reflecting: new).children).compactMap { before, after in
            guard let label = after.label, !isEqual(before.value, after.value) else { return nil }
            return (label, change(keys[label] ?? snake(label), before.value, after.value))
        }
    }

    private static func isEqual(_ one: Any, _ other: Any) -> Bool {
        guard let one = one as? AnyHashable, let other = other as? AnyHashable else {
            return "\(one)" == "\(other)"
        }
        return one == other
    }

    private static func change(_ key: String, _ from: Any, _ to: Any) -> Change {
        guard let from = text(from), let to = text(to) else { return Change(key: key, values: "") }
        return Change(key: key, values: "\(from) -> \(to)")
    }

    /// Only of what is short and plain.
    private static func text(_ value: Any) -> String? {
        switch value {
        case let value as Duration: Quantity.text(value)
        case let value as Int: String(value)
        case let value as Bool: String(value)
        case let value as String: value
        case let value as NodeRole: value.name
        case let value as DomainSpec.Availability: value.rawValue
        case let value as DomainSpec.Spread: value.rawValue
        case let value as [NodeName]: list(value)
        case let value as [DomainName]: list(value)
        case let value as String?: value ?? "none"
        default: nil
        }
    }

    private static func list(_ names: [some CustomStringConvertible]) -> String? {
        guard names.count <= 8 else { return nil }
        return names.isEmpty ? "none" : "[\(names.map(\.description).joined(separator: ", "))]"
    }

    /// `clusterPort` as `cluster_port`.
    private static func snake(_ name: String) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }
    }
}

extension TopologyDifference {
    /// For people, a line each; what needs a restart last.
    public var lines: [String] {
        var lines: [String] = []
        for domain in domainsAdded { lines.append("+ domain \(domain.name), replicas \(domain.replicas)") }
        for domain in domainsRemoved { lines.append("- domain \(domain): its registrations end") }
        for domain in domainsChanged { lines.append("~ domain \(domain.name): \(Self.list(domain.changes))") }
        for node in nodesAdded {
            lines.append("+ \(node.role.name) node \(node.name) on \(node.server), \(node.address)")
        }
        for node in nodesRemoved {
            let isLast = leavingTogether.contains(node)
            let first = isLast ? ": others serve first what it does, as do all like it" : ": it is drained first"
            lines.append("- \(node.role.name) node \(node.name)\(node.role == .sr ? first : "")")
        }
        for node in nodesChanged { lines.append("~ node \(node.name): \(Self.list(node.changes))") }
        for setting in settings { lines.append("~ \(setting)") }
        if !restarts.isEmpty {
            lines.append("needs a restart of \(restarts.map(\.rawValue).joined(separator: ", "))")
        }
        return lines
    }

    private static func list(_ changes: [Change]) -> String { changes.map(\.description).joined(separator: ", ") }
}
