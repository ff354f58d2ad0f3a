import Yams

/// Nodes that are to go together with everybody who could take over from them, such as a whole group.
///
/// They cannot be drained: nobody may serve what they do. A topology between the old and the new one lets them go
/// nevertheless. It is the new one with these nodes, which belong there to a group that stays, and come last in it: so
/// what they have is served by others as the new one says, or ends, and then they can be drained like any other.
extension Topology {
    /// This topology with nodes of an earlier one.
    /// - Throws: what stands against that, such as a port that another node uses by now.
    public func keeping(_ leaving: [NodeSpec]) throws(TopologyError) -> Topology {
        guard var root = Self.tree(of: source), case .sequence(var sites)? = root["sites"] else {
            preconditionFailure("\(file) was read, and has no sites")
        }
        for node in leaving {
            let site = Self.place(of: node.site, in: &sites, ["servers": Node([Node]())])
            guard case .sequence(var servers)? = sites[site]["servers"] else { continue }
            let server = Self.place(
                of: node.server, in: &servers, ["address": Node(node.address), "nodes": Node([Node]())])
            guard case .sequence(var nodes)? = servers[server]["nodes"] else { continue }
            nodes.append(entry(for: node))
            servers[server]["nodes"] = .sequence(nodes)
            sites[site]["servers"] = .sequence(servers)
        }
        root["sites"] = .sequence(sites)
        do {
            return try Topology.parse(try serialize(node: root, allowUnicode: true), path: file)
        } catch let error as TopologyError {
            throw error
        } catch {
            preconditionFailure("\(file) cannot be written as it was read: \(error)")
        }
    }

    /// It was read by the same parser before.
    private static func tree(of source: String) -> Node? { try? compose(yaml: source, .basic) }

    /// Where the element of this name is; it is made if there is none.
    private static func place(
        of name: String, in list: inout Node.Sequence, _ rest: KeyValuePairs<String, Node>
    ) -> Int {
        if let place = list.firstIndex(where: { $0["name"]?.scalar?.string == name }) { return place }
        list.append(Node([(Node("name"), Node(name))] + rest.map { (Node($0.key), $0.value) }))
        return list.count - 1
    }

    private func entry(for node: NodeSpec) -> Node {
        let kept = nodes(of: .sr)
        let group = kept.contains { $0.group == node.group } ? node.group : kept.first?.group
        let fields: [(String, String?)] = [
            ("name", node.name.rawValue), ("role", node.role.name), ("order", "\(NodeSpec.rankRange.upperBound)"),
            ("weight", "\(node.weight)"), ("group", group), ("cluster", "\(node.clusterPort)"),
            ("admin", "\(node.adminPort)"),
        ]
        return Node(fields.compactMap { key, value in value.map { (Node(key), Node($0)) } })
    }
}
