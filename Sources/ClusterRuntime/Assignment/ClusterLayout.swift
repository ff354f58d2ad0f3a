public import RegistrarEvents

/// What the router needs of a topology: which nodes there are and where, and which domains they are to serve.
public struct ClusterLayout: Hashable, Sendable {
    /// Every node of every role, by name.
    public let nodes: [Node]
    /// By name.
    public let domains: [Domain]
    /// How fast domains may change places.
    public let pace: Pace
    /// Those that ask for a quorum, by name.
    public let sites: [Site]

    /// A site whose nodes take nothing on unless more than half of its servers are there.
    public struct Site: Hashable, Sendable {
        public var name: String
        public var servers: [String]

        public init(name: String, servers: [String]) {
            self.name = name
            self.servers = servers
        }
    }

    public struct Node: Hashable, Sendable {
        public var name: NodeName
        public var role: NodeRole
        public var site: String
        public var server: String
        /// Nodes with a lower one are chosen first.
        public var order: Int
        /// Share of the domains relative to other nodes of the same order; at least 1.
        public var weight: Int
        /// Which domains it may serve: those of the same group; nil for those of none.
        public var group: String?

        public init(
            name: NodeName, role: NodeRole, site: String, server: String, order: Int = NodeSpec.defaultOrder,
            weight: Int = NodeSpec.defaultWeight, group: String? = nil
        ) {
            self.name = name
            self.role = role
            self.site = site
            self.server = server
            self.order = order
            self.weight = weight
            self.group = group
        }
    }

    public struct Domain: Hashable, Sendable {
        public var name: DomainName
        /// Copies in all, the owner's included.
        public var replicas: Int
        /// The nodes that may serve it are those of this group; nil for those without group.
        public var group: String?
        /// The nodes that are to own it, the most wanted first.
        public var pin: [NodeName]
        /// Whether a standby has to be at another site than the owner, as soon as that is possible.
        public var needsOtherSite: Bool
        /// Whether it is served only until its registrations have ended, by whoever has it.
        public var isClosing: Bool

        public init(
            name: DomainName, replicas: Int, group: String? = nil, pin: [NodeName] = [], needsOtherSite: Bool = false,
            isClosing: Bool = false
        ) {
            self.name = name
            self.replicas = replicas
            self.group = group
            self.pin = pin
            self.needsOtherSite = needsOtherSite
            self.isClosing = isClosing
        }
    }

    /// How many domains move at a time when nothing forces them to, and when they begin to.
    public struct Pace: Hashable, Sendable {
        /// `Limits.movingDomains`.
        public var movingDomains: Int
        /// Copies that are made at a time of those which domains could do without.
        public var fills: Int
        /// `Periods.rebalanceAfter`.
        public var rebalanceAfter: Duration

        public init(
            movingDomains: Int = Limits().movingDomains, rebalanceAfter: Duration = Periods().rebalanceAfter
        ) {
            self.movingDomains = movingDomains
            fills = max(1, movingDomains)
            self.rebalanceAfter = rebalanceAfter
        }

        /// Everything that ought to move does at one time.
        public var atOnce: Pace {
            var pace = self
            pace.fills = .max
            if movingDomains > 0 { pace.movingDomains = .max }
            return pace
        }
    }

    /// Takes nodes and domains in any order. Names must be unique.
    public init(nodes: [Node], domains: [Domain], sites: [Site] = [], pace: Pace = Pace()) {
        precondition(Set(nodes.map(\.name)).count == nodes.count, "two nodes with one name")
        precondition(Set(domains.map(\.name)).count == domains.count, "two domains with one name")
        self.nodes = nodes.sorted { $0.name < $1.name }
        self.domains = domains.sorted { $0.name < $1.name }
        self.pace = pace
        self.sites = sites.sorted { $0.name < $1.name }
    }

    public init(_ topology: Topology) {
        let groups = ServingGroups(topology.nodes)
        self.init(
            nodes: topology.nodes.map {
                Node(
                    name: $0.name, role: $0.role, site: $0.site, server: $0.server, order: $0.order, weight: $0.weight,
                    group: $0.group)
            },
            domains: topology.domains.map {
                Domain(
                    name: $0.name, replicas: $0.replicas, group: groups.group(of: $0.name), pin: $0.pin,
                    needsOtherSite: $0.spread == .site)
            },
            sites: topology.sites.filter(\.needsQuorum).map { Site(name: $0.name, servers: $0.servers.map(\.name)) },
            pace: Pace(
                movingDomains: topology.limits.movingDomains, rebalanceAfter: topology.periods.rebalanceAfter))
    }

    /// The same with domains that are served only until their registrations have ended.
    public func closing(_ closing: [Domain]) -> ClusterLayout {
        ClusterLayout(nodes: nodes, domains: domains + closing, sites: sites, pace: pace)
    }

    /// The same with another pace.
    public func paced(_ pace: Pace) -> ClusterLayout {
        ClusterLayout(nodes: nodes, domains: domains, sites: sites, pace: pace)
    }

    /// The nodes of a role, by name.
    public func nodes(of role: NodeRole) -> [Node] { nodes.filter { $0.role == role } }

    /// The routers in the order in which they campaign.
    public var routers: [NodeName] {
        nodes(of: .router).sorted { ($0.order, $0.name) < ($1.order, $1.name) }.map(\.name)
    }
}
