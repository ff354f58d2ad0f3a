import ArgumentParser
import ClusterClients
import ClusterRuntime

struct BansCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bans",
        abstract: "List the addresses that are turned away for failed logins, or let one try again.",
        discussion: """
            Each node that clients connect to counts for itself. An IPv6 address stands for its network of 64 bits. \
            Exits with 1 when no node turns the address away.

            Example: rollcall bans topology/local.yaml
                     rollcall bans topology/local.yaml --lift 192.0.2.7
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "The address that may try again.")
    var lift: String?
    @OptionGroup var json: JSONOption

    private struct Listed: Encodable {
        let bans: [HeldBan]
        let silent: [String]
    }

    private struct Lifted: Encodable {
        let address: String
        let lifted: [String]
        let silent: [String]
    }

    func run() async throws {
        let loaded = try topology.load()
        try await loaded.withClient { client in
            if let lift { try await self.lift(lift, loaded, client) } else { try await list(loaded, client) }
        }
    }

    private func list(_ loaded: Topology, _ client: ClusterClient) async throws {
        let (bans, silent) = await client.bans()
        try requireAnswers(silent, of: loaded)
        if json.isOn { return try Console.json(Listed(bans: bans, silent: silent)) }
        var table = Table("NODE", "ADDRESS", "FAILURES", "SECONDS LEFT")
        for ban in bans { table.row(ban.node ?? "", ban.address, String(ban.failures), String(ban.seconds)) }
        Console.line(table.isEmpty ? "No address is turned away." : table.text)
        tell(silent)
    }

    private func lift(_ address: String, _ loaded: Topology, _ client: ClusterClient) async throws {
        let (lifted, silent) = await client.liftBan(of: address)
        try requireAnswers(silent, of: loaded)
        if json.isOn {
            try Console.json(Lifted(address: address, lifted: lifted, silent: silent))
        } else {
            let nodes = lifted.joined(separator: ", ")
            Console.line(
                lifted.isEmpty ? "No node turns \(address) away." : "\(address) may try again at \(nodes).")
            tell(silent)
        }
        guard !lifted.isEmpty, silent.isEmpty else { throw CommandFailure.no() }
    }

    private func requireAnswers(_ silent: [String], of loaded: Topology) throws {
        let asked = loaded.nodes(of: .wssubscr).count + loaded.nodes(of: .sg).count
        guard silent.count < max(1, asked) else {
            throw CommandFailure.unreachable(
                "no node of \(loaded.file) says whom it turns away; is the cluster running? "
                    + "rollcall status \(loaded.file)")
        }
    }

    private func tell(_ silent: [String]) {
        if !silent.isEmpty { Console.error("did not answer: \(silent.joined(separator: ", "))") }
    }
}
