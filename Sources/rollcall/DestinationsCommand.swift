import ArgumentParser
import ClusterClients
import ClusterRuntime

struct DestinationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destinations",
        abstract: "Show how far Kafka and plugins are: lag, spool, position, last error; or have one resumed.",
        discussion: """
            Each sr node delivers the events of the domains that it owns. Exits with 1 when a destination takes \
            nothing, or nothing of some domain for ten seconds, or has never taken some events.

            A webhook that has answered 410 (gone) is sent nothing more by that node. --resume has every node try it \
            again, and restate everything to it by `clear` and replay. Exits with 1 when no node has such a \
            destination, or not every node answered.

            Example: rollcall destinations topology/local.yaml
                     rollcall destinations topology/local.yaml --resume audit
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "The destination that is to be told of everything again.")
    var resume: String?
    @OptionGroup var json: JSONOption

    private struct Resumed: Encodable {
        let destination: String
        let resumed: [String]
        let silent: [String]
    }

    private struct Document: Encodable {
        let destinations: [HeldDestination]
        let silent: [String]
    }

    func run() async throws {
        let loaded = try topology.load()
        if let resume { return try await self.resume(resume, loaded) }
        let (destinations, silent) = try await loaded.withClient { client in await client.destinations() }
        try requireAnswers(silent, of: loaded)
        if json.isOn {
            try Console.json(Document(destinations: destinations, silent: silent))
        } else {
            show(destinations, silent)
        }
        guard destinations.allSatisfy(\.status.isWell) else { throw CommandFailure.no() }
    }

    private func resume(_ name: String, _ loaded: Topology) async throws {
        let (resumed, _, silent) = try await loaded.withClient { client in await client.resume(name) }
        try requireAnswers(silent, of: loaded)
        if json.isOn {
            try Console.json(Resumed(destination: name, resumed: resumed, silent: silent))
        } else if resumed.isEmpty {
            Console.line("No node has a destination \(name).")
        } else {
            Console.line("\(name) is told of everything again by \(resumed.joined(separator: ", ")).")
        }
        if !silent.isEmpty { Console.error("did not answer: \(silent.joined(separator: ", "))") }
        guard !resumed.isEmpty, silent.isEmpty else { throw CommandFailure.no() }
    }

    private func requireAnswers(_ silent: [String], of loaded: Topology) throws {
        guard silent.count < max(1, loaded.nodes(of: .sr).count) else {
            throw CommandFailure.unreachable(
                "no node of \(loaded.file) says what it delivers; is the cluster running? "
                    + "rollcall status \(loaded.file)")
        }
    }

    private func show(_ destinations: [HeldDestination], _ silent: [String]) {
        var nodes = Table(
            "NODE", "DESTINATION", "KIND", "STATE", "DELIVERED", "IN MEMORY", "ON DISK", "RESTATED", "LAST ERROR")
        var domains = Table("NODE", "DESTINATION", "DOMAIN", "DELIVERED", "PUBLISHED", "WAITING", "LAG", "REFUSED")
        for held in destinations {
            let status = held.status
            let state = status.state == .away ? "away \(Int(status.awaySeconds)) s" : status.state.rawValue
            nodes.row(
                held.node, status.name, status.kind, state, String(status.delivered), String(status.queuedEvents),
                String(status.spooledEvents), String(status.resyncs), status.lastError ?? "")
            for domain in status.domains {
                domains.row(
                    held.node, status.name, domain.name, domain.delivered, domain.published, String(domain.waiting),
                    domain.isBeingRestated ? "is restated" : "\(domain.lagMilliseconds) ms", domain.refusal ?? "")
            }
        }
        Console.line(nodes.isEmpty ? "No destination is set up." : nodes.text)
        if !domains.isEmpty { Console.line("\n" + domains.text) }
        if !silent.isEmpty { Console.error("did not answer: \(silent.joined(separator: ", "))") }
    }
}
