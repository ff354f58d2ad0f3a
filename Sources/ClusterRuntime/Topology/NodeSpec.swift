public import RegistrarEvents

/// A node as the topology describes it: what it does, where it runs and where it listens.
public struct NodeSpec: Hashable, Sendable {
    public let name: NodeName
    public let role: NodeRole
    /// Who comes first among nodes of a role: the lowest. Routers campaign in this order.
    public let order: Int
    /// Share of the domains an `sr` node takes, relative to the others'.
    public let weight: Int
    /// The group of an `sr` node: those of one group stand in for one another, and for nobody else.
    public let group: String?
    /// The branches of the tree of domains that the group serves, as far as this node names them.
    public let includeDomains: [DomainName]
    public let site: String
    public let server: String
    /// Host name or IP address of the node's server; nodes bind it and reach each other by it.
    public let address: String
    /// TCP port of the node's inbox for other nodes.
    public let clusterPort: Int
    /// TCP port of the node's HTTP address: health, metrics, REST.
    public let adminPort: Int
    /// Where clients reach the node by websocket; only a `wssubscr` has it, and every one has it.
    public let websocket: WebSocketListen?
    /// Where SIP devices reach the node; only an `sg` has it, and every one has it.
    public let sip: SIPListen?

    /// Range of `order` and of `weight`.
    public static let rankRange = 1...1000
    public static let defaultOrder = 1
    public static let defaultWeight = 100

    public init(
        name: NodeName, role: NodeRole, order: Int = defaultOrder, weight: Int = defaultWeight,
        group: String? = nil, includeDomains: [DomainName] = [], site: String = "main", server: String,
        address: String = "127.0.0.1", clusterPort: Int,
        adminPort: Int, websocket: WebSocketListen? = nil, sip: SIPListen? = nil
    ) {
        self.name = name
        self.role = role
        self.order = order
        self.weight = weight
        self.group = group
        self.includeDomains = includeDomains
        self.site = site
        self.server = server
        self.address = address
        self.clusterPort = clusterPort
        self.adminPort = adminPort
        self.websocket = websocket
        self.sip = sip
    }

    /// The node's HTTP address as a URL, such as `http://127.0.0.1:8080`.
    public var adminURL: String { "http://\(NetworkAddress.host(address)):\(adminPort)" }

    /// Every port the node listens on, with the key that sets it.
    var ports: [ListeningPort] {
        [ListeningPort(key: "cluster", .tcp, clusterPort), ListeningPort(key: "admin", .tcp, adminPort)]
            + (websocket.map { [ListeningPort(key: "websocket.listen", .tcp, $0.port)] } ?? [])
            + (sip?.ports ?? [])
    }
}

/// A physical or virtual machine: failures take it down as a whole, so standbys go to another.
public struct ServerSpec: Hashable, Sendable {
    public let name: String
    public let address: String
    public let nodes: [NodeSpec]
}

/// A place with servers. Standbys prefer another server first, another site next.
public struct SiteSpec: Hashable, Sendable {
    public let name: String
    public let servers: [ServerSpec]
    /// Whether its nodes take nothing on unless more than half of its servers are there.
    public let needsQuorum: Bool
}
