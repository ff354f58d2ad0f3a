import RegistrarEvents

/// The rules that span sections of a topology: uniqueness, counts, and what only a loopback cluster may do.
struct TopologyCheck {
    let topology: Topology
    let domains: [TopologyReader.Located<DomainSpec>]
    let nodes: [TopologyReader.Located<NodeSpec>]
    let problems: ProblemList
    /// Whether every node could be read. When not, rules that count nodes would only confuse.
    let nodesAreComplete: Bool
    let lines: Lines

    /// Where the sections are.
    struct Lines {
        let sites: Int
        let secret: Int
        let admin: Int
    }

    func run() {
        checkDomainNames()
        checkNodeNames()
        checkPorts()
        checkLoopback()
        if nodesAreComplete {
            checkRouters()
            checkPlacement()
            checkQuorums()
        }
    }

    private func checkDomainNames() {
        var first: [String: Int] = [:]
        for domain in domains {
            let name = domain.value.name.rawValue
            if let line = first[name] {
                problems.report(
                    line: domain.line, "domain \(name) is already on line \(line)",
                    expected: "each domain once")
            } else {
                first[name] = domain.line
            }
        }
    }

    private func checkNodeNames() {
        var first: [NodeName: Int] = [:]
        for node in nodes {
            if let line = first[node.value.name] {
                problems.report(
                    line: node.line, "node \(node.value.name) is already on line \(line)",
                    expected: "a name of its own")
            } else {
                first[node.value.name] = node.line
            }
        }
    }

    private func checkPorts() {
        struct Endpoint: Hashable {
            let address: String
            let transport: ListeningPort.Transport
            let port: Int
        }
        var first: [Endpoint: String] = [:]
        for node in nodes {
            let address = NetworkAddress.normalised(node.value.address)
            for listening in node.value.ports {
                let endpoint = Endpoint(address: address, transport: listening.transport, port: listening.port)
                if let holder = first[endpoint] {
                    problems.report(
                        line: node.line,
                        "\(listening.key) port \(listening.port) of \(node.value.name) is taken by \(holder)",
                        expected: "each port once at \(node.value.address)")
                } else {
                    first[endpoint] = "\(listening.key) of \(node.value.name), line \(node.line)"
                }
            }
        }
    }

    private func checkLoopback() {
        for node in nodes where node.value.sip?.isOpen == true && !NetworkAddress.isLoopback(node.value.address) {
            problems.report(
                line: node.line, "sip.open of \(node.value.name) is true although it is at \(node.value.address)",
                expected: "registration without digest on loopback alone")
        }
        let servers = topology.sites.flatMap(\.servers)
        let outside = servers.first { !$0.address.isEmpty && !NetworkAddress.isLoopback($0.address) }
        guard let outside else { return }
        let reason = "server \(outside.name) is at \(outside.address)"
        if topology.adminIsOpen {
            problems.report(
                line: lines.admin, "admin.open is true although \(reason)",
                expected: "open admin addresses on loopback alone")
        }
        // A secret that could not be read also stands as `none`, but was reported then.
        if topology.secret == .none, !problems.reported(line: lines.secret) {
            problems.report(
                line: lines.secret, "secret is none although \(reason)",
                expected: "{ file: PATH }; none is for loopback addresses alone")
        }
    }

    private func checkRouters() {
        let routers = nodes.filter { $0.value.role == .router }
        guard let first = routers.first else {
            problems.report(line: lines.sites, "no node has role router", expected: "at least one router")
            return
        }
        // The embedded coordinator is a file, and only processes of one machine share it.
        guard case .embedded = topology.coordinator else { return }
        let here = NetworkAddress.normalised(first.value.address)
        for router in routers where NetworkAddress.normalised(router.value.address) != here {
            problems.report(
                line: router.line,
                "router \(router.value.name) is at \(router.value.address), \(first.value.name) at "
                    + first.value.address,
                expected: "all routers at one address with the embedded coordinator")
        }
    }
}
