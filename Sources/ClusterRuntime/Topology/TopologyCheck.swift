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
        let limits: Int
    }

    func run() {
        checkDomainNames()
        checkReports()
        checkNodeNames()
        checkPorts()
        checkLoopback()
        if nodesAreComplete {
            checkNodeCount()
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

    /// Bytes of one domain in a node's report of what it holds, beside its name, at most.
    private static let reportBytes = 64

    /// A node reports all domains that it holds in one message.
    private func checkReports() {
        let size = domains.reduce(Limits.frameOverhead) { $0 + $1.value.name.rawValue.utf8.count + Self.reportBytes }
        guard size > topology.limits.frameBytes else { return }
        problems.report(
            line: lines.limits, "limits.frame_bytes is \(topology.limits.frameBytes)",
            expected: "at least \(size), so that a node can report \(domains.count) domains in one frame")
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

    /// nanomsg has 512 sockets a process (NN_MAX_SOCKETS); a node needs one a peer and some for itself.
    static let maximumNodes = 500

    private func checkNodeCount() {
        guard nodes.count > Self.maximumNodes else { return }
        problems.report(
            line: lines.sites, "\(nodes.count) nodes",
            expected: "at most \(Self.maximumNodes) in all: a node has a socket for each of the others")
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
