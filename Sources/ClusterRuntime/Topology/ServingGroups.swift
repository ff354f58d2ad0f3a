import RegistrarEvents

/// Which group of `sr` nodes serves which domain.
///
/// A group names branches of the tree of domains (`include_domains`). A domain belongs to the group that names the
/// nearest branch it is in; one that no group names belongs to the group without branches, or else to the nodes
/// without group. Source: the platform's role groups.
struct ServingGroups {
    /// Which group names a branch; the first one in the order of the file where several do.
    private(set) var owners: [DomainName: String] = [:]
    /// The group that names no branch; the first one in the order of the file where there are several.
    private(set) var remainder: String?

    init(_ nodes: [NodeSpec]) {
        var names: [String] = []
        for node in nodes where node.role == .sr {
            guard let group = node.group else { continue }
            if !names.contains(group) { names.append(group) }
            for branch in node.includeDomains where owners[branch] == nil { owners[branch] = group }
        }
        let naming = Set(owners.values)
        remainder = names.first { !naming.contains($0) }
    }

    /// The nearest branch, named by any group, that the domain is in.
    func branch(of domain: DomainName) -> DomainName? {
        guard !owners.isEmpty else { return nil }
        var rest = Substring(domain.rawValue)
        while !rest.isEmpty {
            if let name = DomainName(String(rest)), owners[name] != nil { return name }
            rest = rest.drop { $0 != "." }.dropFirst()
        }
        return nil
    }

    /// The group that serves the domain; nil for the nodes without group.
    func group(of domain: DomainName) -> String? { branch(of: domain).flatMap { owners[$0] } ?? remainder }
}
