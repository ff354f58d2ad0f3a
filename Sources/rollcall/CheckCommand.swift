import ArgumentParser
import ClusterRuntime

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate a topology file.",
        discussion: """
            Prints everything that is wrong with it, one problem a line as FILE:LINE: what is wrong; what was \
            expected. Exits with 2 then. What is right, and yet hardly meant so, is remarked on. Nothing is started \
            and nothing is changed.

            Example: rollcall check topology/local.yaml
            """)

    @OptionGroup var topology: TopologyArgument
    @OptionGroup var json: JSONOption

    private struct Document: Encodable {
        struct Problem: Encodable {
            let file: String
            let line: Int
            let wrong: String
            let expected: String
        }
        let ok: Bool
        let problems: [Problem]
    }

    func run() async throws {
        do throws(TopologyError) {
            let loaded = try Topology.load(path: topology.file)
            for remark in loaded.remarks { Console.error("\(topology.file): \(remark)") }
            guard json.isOn else {
                let roles = NodeRole.allCases.compactMap { role in
                    let count = loaded.nodes(of: role).count
                    return role == .arbiter && count == 0 ? nil : "\(count) \(role.name)"
                }
                let domains = loaded.domains.count == 1 ? "1 domain" : "\(loaded.domains.count) domains"
                let nodes = loaded.nodes.count == 1 ? "1 node" : "\(loaded.nodes.count) nodes"
                Console.line(
                    "\(topology.file) is valid: cluster \(loaded.cluster), \(domains), \(nodes) "
                        + "(\(roles.joined(separator: ", "))).")
                return
            }
        } catch {
            guard json.isOn else { throw error }
            let problems = error.problems.map { problem in
                Document.Problem(
                    file: problem.file, line: problem.line, wrong: problem.wrong, expected: problem.expected)
            }
            try Console.json(Document(ok: false, problems: problems))
            throw CommandFailure.badInput("")
        }
        try Console.json(Document(ok: true, problems: []))
    }
}
