import ArgumentParser
import ClusterClients
import ClusterRuntime
import RegistrarEvents

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare owner, standbys and followers of each domain: count and digest.",
        discussion: """
            Copies are compared at one position, so under live traffic it asks again for up to five seconds until each \
            has been seen at a position of its owner. Exits with 1 when two copies differ at the same position, when \
            one was never seen there, or when a node that has a copy in sync, by the active router, did not say what \
            it has (partial).

            Example: rollcall verify topology/local.yaml --domain demo.example
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "Only this domain.")
    var domain: DomainName?
    @OptionGroup var json: JSONOption

    static let patience: Duration = .seconds(5)

    private struct Document: Encodable {
        let ok: Bool
        let silent: [String]
        let domains: [CopyComparison]
    }

    func run() async throws {
        let loaded = try topology.load()
        if let domain { try loaded.requireDomain(domain) }
        let names = domain.map { [$0.rawValue] } ?? loaded.domains.map(\.name.rawValue)
        let (settled, silent) = try await loaded.withClient { client in
            try await client.compareCopies(of: names, within: Self.patience)
        }
        guard silent.count < loaded.nodes(of: .sr).count + loaded.nodes(of: .wssubscr).count else {
            throw CommandFailure.unreachable(
                "no node of \(loaded.file) says what it holds; is the cluster running? rollcall status \(loaded.file)")
        }
        let isOK = settled.allSatisfy { $0.result == .same }
        if json.isOn {
            try Console.json(Document(ok: isOK, silent: silent, domains: settled))
        } else {
            show(settled, silent)
        }
        guard isOK else { throw CommandFailure.no() }
    }

    private func show(_ comparisons: [CopyComparison], _ silent: [String]) {
        var table = Table("DOMAIN", "COPY", "NODE", "POSITION", "USERS", "SIPUSERS", "DIGEST", "RESULT")
        for comparison in comparisons {
            for copy in comparison.copies {
                table.row(
                    comparison.domain, copy.complete ? copy.role : "\(copy.role) (filling)", copy.node ?? "",
                    "\(copy.epoch):\(copy.seq)", String(copy.contacts.user), String(copy.contacts.sipuser), copy.digest,
                    comparison.result.rawValue)
            }
            if comparison.copies.isEmpty {
                table.row(comparison.domain, "none", "", "", "", "", "", comparison.result.rawValue)
            }
        }
        Console.line(table.text)
        if !silent.isEmpty { Console.error("did not answer: \(silent.joined(separator: ", "))") }
    }
}
