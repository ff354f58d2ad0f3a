extension TopologyReader {
    /// Most sites, servers of a site and nodes of a server.
    static let maximumSites = 64
    static let maximumServers = 256
    static let maximumNodes = 256

    /// What the `sites` section holds. A node that could not be read whole is missing from it.
    struct Sites {
        var sites: [SiteSpec] = []
        var nodes: [Located<NodeSpec>] = []
    }

    func sites(_ value: YAMLValue?) -> Sites {
        var result = Sites()
        var names = UniqueNames(of: "site")
        for item in value?.items(atMost: Self.maximumSites) ?? [] {
            guard let fields = item.fields(["name", "servers", "quorum"]) else { continue }
            let site = name(fields.required("name", "the site's name")) ?? ""
            names.add(site, at: item)
            let servers = servers(fields.required("servers", "a list of servers"), site: site, into: &result)
            let needsQuorum = fields["quorum"]?.flag() ?? false
            result.sites.append(SiteSpec(name: site, servers: servers, needsQuorum: needsQuorum))
        }
        return result
    }

    private func servers(_ value: YAMLValue?, site: String, into result: inout Sites) -> [ServerSpec] {
        var servers: [ServerSpec] = []
        var names = UniqueNames(of: "server")
        for item in value?.items(atMost: Self.maximumServers) ?? [] {
            guard let fields = item.fields(["name", "address", "nodes"]) else { continue }
            let server = name(fields.required("name", "the server's name")) ?? ""
            names.add(server, at: item)
            let address = address(fields.required("address", "the server's host name or IP address")) ?? ""
            let nodes = (fields.required("nodes", "a list of nodes")?.items(atMost: Self.maximumNodes) ?? [])
                .compactMap { node($0, site: site, server: server, address: address) }
            result.nodes += nodes
            servers.append(ServerSpec(name: server, address: address, nodes: nodes.map(\.value)))
        }
        return servers
    }

    private func address(_ value: YAMLValue?) -> String? {
        guard let value, let text = value.text("an address") else { return nil }
        if NetworkAddress.isValid(text) { return text }
        value.reject("found \(quoted(text))", expected: "a host name or an IP address, without port")
        return nil
    }

    private func node(
        _ value: YAMLValue, site: String, server: String, address: String
    ) -> Located<NodeSpec>? {
        let known = [
            "name", "role", "order", "weight", "group", "include_domains", "cluster", "admin", "websocket", "sip",
        ]
        guard let fields = value.fields(known) else { return nil }
        let name = name(fields.required("name", "the node's name"))
        let role = fields.required("role", NodeRole.allCases.map(\.name).joined(separator: ", "))?
            .choice(NodeRole.allCases.map { ($0.name, $0) })
        let order = fields["order"]?.integer(in: NodeSpec.rankRange)
        let weight = fields["weight"]?.integer(in: NodeSpec.rankRange)
        let serving = role.flatMap { self.serving(of: $0, fields) }
        let cluster = port(fields.required("cluster", "the port for other nodes"))
        let admin = port(fields.required("admin", "the port of the admin address"))
        let websocket = role.flatMap { webSocketListen(fields, role: $0) }
        let sip = role.flatMap { sipListen(fields, role: $0) }
        guard let name, let role, let cluster, let admin else { return nil }
        let spec = NodeSpec(
            name: NodeName(name), role: role, order: order ?? NodeSpec.defaultOrder,
            weight: weight ?? NodeSpec.defaultWeight, group: serving?.group, includeDomains: serving?.branches ?? [],
            site: site, server: server, address: address, clusterPort: cluster, adminPort: admin, websocket: websocket,
            sip: sip)
        return Located(value: spec, line: value.line)
    }

    func port(_ value: YAMLValue?) -> Int? { value?.integer(in: 1...65535) }
}

/// Reports the second use of a name.
private struct UniqueNames {
    private let kind: String
    private var lines: [String: Int] = [:]

    init(of kind: String) { self.kind = kind }

    mutating func add(_ name: String, at value: YAMLValue) {
        guard !name.isEmpty else { return }
        if let first = lines[name] {
            value.reject("\(kind) \(name) is already on line \(first)", expected: "a name of its own")
        } else {
            lines[name] = value.line
        }
    }
}
