import ArgumentParser
import ClusterClients
import ClusterRuntime
import Foundation
import RegistrarEvents

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say who owns a domain, since when and why, and how its last failovers went.",
        discussion: """
            Nodes are listed in the domain's rank: the order in which they are chosen when nobody has a copy. TOOK is \
            the time from finding the owner lost, or ordering the hand-over, to the new owner being stored. Routers \
            know the changes that they decided since they were started.

            Example: rollcall explain topology/local.yaml demo.example
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The domain.")
    var domain: DomainName
    @OptionGroup var json: JSONOption

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireDomain(domain)
        let explanation = try await loaded.withClient { client in
            guard let explanation = await client.explanation(of: domain) else {
                throw CommandFailure.unreachable(
                    "no active router of \(loaded.file) answers; is the cluster running? rollcall status "
                        + "\(loaded.file)\n\(await loaded.whyNoRouterLeads(client))")
            }
            return explanation
        }
        if json.isOn { try Console.json(explanation) } else { Console.line(ExplanationText(explanation).text) }
    }
}

/// An explanation as sentences and tables.
struct ExplanationText {
    private let explanation: DomainExplanation

    init(_ explanation: DomainExplanation) { self.explanation = explanation }

    var text: String {
        ([head] + explanation.reasons.map { "  - \($0)" } + ["", candidates, "", changes]).joined(separator: "\n")
    }

    private var head: String {
        guard let owner = explanation.owner, let cause = explanation.cause else {
            return "\(explanation.name): nobody owns it"
        }
        return "\(explanation.name): \(owner) owns epoch \(explanation.epoch) since "
            + "\(Self.time(explanation.since)) (\(cause))"
    }

    private var candidates: String {
        var table = Table("RANK", "NODE", "SITE", "SERVER", "ORDER", "WEIGHT", "STATUS", "OWNS", "PART")
        for (rank, node) in explanation.candidates.enumerated() {
            let standby = explanation.standbys.first { $0.name == node.name }
            let part =
                switch node.part {
                case .owner: "owner"
                case .standby: standby?.inSync == true ? "standby, in sync" : "standby, catching up"
                case .none: ""
                }
            table.row(
                String(rank + 1), node.name, node.site, node.server, String(node.order), String(node.weight),
                node.status.rawValue + (node.journalWritable == false ? ", journal not writable" : ""),
                String(node.owns), part)
        }
        return table.text
    }

    private var changes: String {
        guard !explanation.changes.isEmpty else { return "No change of owner since the routers were started." }
        var table = Table("EPOCH", "CAUSE", "FROM", "TO", "STORED", "TOOK")
        for change in explanation.changes {
            table.row(
                String(change.epoch), change.cause, change.previous ?? "nobody", change.next ?? "nobody",
                Self.time(change.storedAt), "\(change.tookMilliseconds) ms")
        }
        return table.text
    }

    private static func time(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1_000).ISO8601Format(.init(includingFractionalSeconds: true))
    }
}
