import RegistrarEvents

/// Whether every domain can be served where the topology wants it served.
extension TopologyCheck {
    func checkPlacement() {
        let servers = nodes.filter { $0.value.role == .sr }
        guard !servers.isEmpty else {
            problems.report(line: lines.sites, "no node has role sr", expected: "at least one sr")
            return
        }
        let groups = ServingGroups(servers.map(\.value))
        checkBranches(servers)
        checkAgreement(servers)
        checkRemainder(servers)
        let members = Dictionary(grouping: servers.map(\.value), by: \.group)
        var used: Set<DomainName> = []
        for domain in domains {
            if let branch = groups.branch(of: domain.value.name) { used.insert(branch) }
            let group = groups.group(of: domain.value.name)
            check(domain, servedBy: members[group] ?? [], of: group)
        }
        checkUse(of: servers, used)
    }

    /// Each branch belongs to one group.
    private func checkBranches(_ servers: [TopologyReader.Located<NodeSpec>]) {
        var first: [DomainName: (group: String, line: Int)] = [:]
        for node in servers {
            guard let group = node.value.group else { continue }
            for branch in node.value.includeDomains {
                if let known = first[branch], known.group != group {
                    problems.report(
                        line: node.line,
                        "branch \(branch) of group \(group) is already that of group \(known.group), line "
                            + "\(known.line)",
                        expected: "each branch in one group")
                } else if first[branch] == nil {
                    first[branch] = (group, node.line)
                }
            }
        }
    }

    /// One node of a group may name the branches for all; those that name any name the same.
    private func checkAgreement(_ servers: [TopologyReader.Located<NodeSpec>]) {
        var first: [String: TopologyReader.Located<NodeSpec>] = [:]
        for node in servers where !node.value.includeDomains.isEmpty {
            guard let group = node.value.group else { continue }
            guard let known = first[group] else {
                first[group] = node
                continue
            }
            if Set(known.value.includeDomains) != Set(node.value.includeDomains) {
                problems.report(
                    line: node.line,
                    "include_domains of group \(group) at \(node.value.name) and at \(known.value.name), line "
                        + "\(known.line), differ",
                    expected: "the same at all nodes of the group, or at one of them alone")
            }
        }
    }

    /// What no group names has to belong to somebody, and to one only.
    private func checkRemainder(_ servers: [TopologyReader.Located<NodeSpec>]) {
        let naming = Set(servers.filter { !$0.value.includeDomains.isEmpty }.compactMap(\.value.group))
        var holder: (name: String, line: Int)?
        var told: Set<String> = []
        for node in servers where node.value.group.map({ !naming.contains($0) }) ?? true {
            let name = node.value.group.map { "group \($0)" } ?? "node \(node.value.name) without group"
            let identity = node.value.group ?? ""
            if holder == nil {
                holder = (name, node.line)
                told = [identity]
            } else if let holder, told.insert(identity).inserted {
                problems.report(
                    line: node.line,
                    "\(name) and \(holder.name), line \(holder.line), would both serve what no group names",
                    expected: "include_domains for every group but one, and none but those where nodes have no group")
            }
        }
    }

    /// Comparing names takes time: many branches with many domains go without.
    private static let hintedBranches = 16
    private static let hintedDomains = 1_000

    /// A branch without domains is most likely a slip of the pen.
    private func checkUse(of servers: [TopologyReader.Located<NodeSpec>], _ used: Set<DomainName>) {
        var told: Set<DomainName> = []
        for node in servers where node.value.group != nil {
            for branch in node.value.includeDomains where !used.contains(branch) && told.insert(branch).inserted {
                let isCheap = told.count <= Self.hintedBranches && domains.count <= Self.hintedDomains
                let hint =
                    isCheap ? NearestName.of(branch.rawValue, among: domains.map(\.value.name.rawValue)) : nil
                problems.report(
                    line: node.line, "no domain belongs to branch \(branch) of \(node.value.name)",
                    expected: "a branch with a domain that no nearer branch has"
                        + (hint.map { " (did you mean \($0)?)" } ?? ""))
            }
        }
    }

    /// Who is to count for a quorum has to be there to count.
    func checkQuorums() {
        let asking = topology.sites.filter(\.needsQuorum)
        for node in nodes where node.value.role == .arbiter {
            guard !asking.contains(where: { $0.name == node.value.site }) else { continue }
            problems.report(
                line: node.line,
                "\(node.value.name) is an arbiter at site \(node.value.site), which asks for no quorum",
                expected: "quorum: true at the site, or no arbiter")
        }
        for site in asking {
            for server in site.servers where server.nodes.isEmpty {
                problems.report(
                    line: lines.sites,
                    "server \(server.name) of site \(site.name) has no node, so it never counts for "
                        + "the quorum", expected: "an arbiter there, or no such server")
            }
        }
    }

    // MARK: Each domain

    private func check(
        _ domain: TopologyReader.Located<DomainSpec>, servedBy nodes: [NodeSpec], of group: String?
    ) {
        let spec = domain.value
        guard !nodes.isEmpty else {
            problems.report(
                line: domain.line, "nobody serves \(spec.name): every sr node is of a group, and none names it",
                expected: "it in include_domains of a group, a group without include_domains, or a node without group")
            return
        }
        if spec.replicas > nodes.count {
            problems.report(
                line: domain.line, "\(spec.name) has replicas \(spec.replicas)",
                expected: "at most \(nodes.count), the number of sr nodes" + (group.map { " of group \($0)" } ?? ""))
        }
        for name in spec.pin where !nodes.contains(where: { $0.name == name }) {
            reject(pin: name, of: domain, servedBy: nodes, group)
        }
        guard spec.spread == .site else { return }
        if spec.replicas < 2 {
            problems.report(
                line: domain.line, "\(spec.name) has spread site and replicas \(spec.replicas)",
                expected: "at least 2 replicas, so that there is a standby to be elsewhere")
        }
        if let site = nodes.first?.site, nodes.allSatisfy({ $0.site == site }) {
            problems.report(
                line: domain.line, "\(spec.name) has spread site, and all that may serve it is at site \(site)",
                expected: "sr nodes" + (group.map { " of group \($0)" } ?? "") + " at two sites at least")
        }
    }

    private func reject(
        pin name: NodeName, of domain: TopologyReader.Located<DomainSpec>, servedBy nodes: [NodeSpec], _ group: String?
    ) {
        let spec = domain.value
        // What is not shown need not be put in words.
        let isShown = problems.count < ProblemList.maximum
        let hint = isShown ? NearestName.of(name.rawValue, among: nodes.map(\.name.rawValue)) : nil
        let expected =
            "one of the sr nodes that serve it: \(nodes.prefix(8).map(\.name.rawValue).joined(separator: ", "))"
            + (hint.map { " (did you mean \($0)?)" } ?? "")
        let wrong =
            switch self.nodes.first(where: { $0.value.name == name })?.value {
            case nil: "there is no node \(name), which \(spec.name) is pinned to"
            case let node? where node.role != .sr:
                "\(spec.name) is pinned to \(name), which is a \(node.role.name) node"
            case _?:
                "\(spec.name) is pinned to \(name), but served by "
                    + (group.map { "group \($0)" } ?? "the nodes without group")
            }
        problems.report(line: domain.line, wrong, expected: expected)
    }
}
