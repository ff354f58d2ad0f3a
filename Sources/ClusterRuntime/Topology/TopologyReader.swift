import Foundation
import RegistrarEvents

/// Reads a topology section by section. A section that is wrong is reported and replaced by its default, so
/// that the rest is checked as well; the caller throws the result away when anything was reported.
struct TopologyReader {
    let problems: ProblemList

    /// Read values with their lines, for the checks across sections.
    struct Located<Value> {
        let value: Value
        let line: Int
    }

    func read(_ root: YAMLValue) -> Topology? {
        let known = [
            "cluster", "secret", "coordinator", "periods", "limits", "journal", "directory", "admin", "jwt",
            "domains", "destinations", "sites",
        ]
        guard let top = root.fields(known) else { return nil }
        let limits = limits(top["limits"])
        let domains = domains(top.required("domains", "a list of domains"), limits: limits)
        let before = problems.count
        let sites = sites(top.required("sites", "a list of sites with their servers and nodes"))
        let sitesAreComplete = problems.count == before
        let cluster = name(top.required("cluster", "the cluster's name")) ?? ""
        let topology = Topology(
            cluster: cluster,
            file: problems.file,
            secret: secret(top.required("secret", "{ file: PATH }, or none")),
            coordinator: coordinator(top.required("coordinator", "{ kind: embedded, path: PATH }"), cluster: cluster),
            periods: periods(top["periods"]),
            limits: limits,
            journal: journal(top["journal"]),
            directory: directory(top.required("directory", "{ kind: file, path: PATH }")),
            adminIsOpen: adminIsOpen(top["admin"]),
            tokens: tokens(top["jwt"]),
            domains: domains.map(\.value),
            destinations: destinations(top["destinations"], domains: domains.map(\.value.name)),
            sites: sites.sites)
        TopologyCheck(
            topology: topology, domains: domains, nodes: sites.nodes, problems: problems,
            nodesAreComplete: sitesAreComplete,
            lines: .init(
                sites: top["sites"]?.line ?? root.line, secret: top["secret"]?.line ?? root.line,
                admin: top["admin"]?.line ?? root.line, limits: top["limits"]?.line ?? root.line)
        ).run()
        return topology
    }

    /// A path of the file, relative to the file's directory.
    func path(_ value: YAMLValue?) -> String? {
        value?.text("a path").map(resolve)
    }

    func resolve(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        let base = (problems.file as NSString).deletingLastPathComponent
        return base.isEmpty ? path : (base as NSString).appendingPathComponent(path)
    }

    /// A name of a cluster, site, server or node. Names become parts of paths and labels, hence the narrow
    /// alphabet.
    func name(_ value: YAMLValue?) -> String? {
        let expected =
            "a name of letters, digits, `-`, `_` and `.`, starting with a letter or digit, "
            + "at most \(NodeName.maximumLength) long"
        guard let value, let text = value.text(expected) else { return nil }
        let fits =
            text.utf8.count <= NodeName.maximumLength && text.first?.isNameStart == true
            && text.allSatisfy { $0.isNameStart || "-_.".contains($0) }
        guard fits else {
            value.reject("found \(quoted(text))", expected: expected)
            return nil
        }
        return text
    }
}

extension Character {
    fileprivate var isNameStart: Bool { isASCII && (isLetter || isNumber) }
}
