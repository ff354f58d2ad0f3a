import RegistrarEvents
import Yams

/// Where domains are to be served: `group` and `include_domains` of `sr` nodes, `pin` of domains.
extension TopologyReader {
    /// Most branches that one node may name.
    private static let maximumBranches = 10_000

    func serving(of role: NodeRole, _ fields: YAMLFields) -> (group: String?, branches: [DomainName])? {
        guard role == .sr else {
            for key in ["group", "include_domains"] {
                fields[key]?.reject("not for role \(role.name)", expected: "it at sr nodes alone")
            }
            return nil
        }
        let group = name(fields["group"])
        guard let value = fields["include_domains"] else { return (group, []) }
        if fields["group"] == nil {
            value.reject("branches without a group", expected: "group: NAME as well, which serves them")
        }
        let items = value.items(atMost: Self.maximumBranches)
        if items.isEmpty { value.reject("no branch", expected: "at least one, such as [example], or no list") }
        var branches: [DomainName] = []
        var seen: Set<DomainName> = []
        for item in items {
            guard let branch = domainName(item) else { continue }
            guard seen.insert(branch).inserted else {
                item.reject("\(branch) twice", expected: "each branch once")
                continue
            }
            branches.append(branch)
        }
        return (group, branches)
    }

    /// One node, or a list with the most wanted first.
    func pin(_ value: YAMLValue?) -> [NodeName] {
        guard let value else { return [] }
        if case .scalar = value.node { return name(value).map { [NodeName($0)] } ?? [] }
        let items = value.items(atMost: DomainSpec.maximumPins)
        let names = items.compactMap { name($0).map { NodeName($0) } }
        if Set(names).count < names.count { value.reject("one node twice", expected: "each node once") }
        if items.isEmpty { value.reject("no node", expected: "a node, or a list such as [sr1, sr2]") }
        return names
    }
}
