import ArgumentParser
import ClusterClients
import ClusterRuntime
import RegistrarEvents
import Synchronization

struct MoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Make an sr node the owner of a domain.",
        discussion: """
            The node is filled as a standby if it is none, then the owner hands the domain over: nothing is lost, and \
            requests wait for a moment. The former owner stays as a standby until the right ones are in sync. It is no \
            pin: after a failover the domain stays where it then is.

            Exits with 1 when it is refused (the node is down or drained), given up because the node went down, or not \
            done in time; it goes on then, as it does after Ctrl-C.

            Example: rollcall move topology/local.yaml demo.example sr3
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The domain.")
    var domain: DomainName
    @Argument(help: "The node, as the topology names it.")
    var node: String
    @OptionGroup var timeout: TimeoutOption
    @OptionGroup var json: JSONOption

    private struct Document: Encodable {
        let domain: String
        let node: String
        let done: Bool
        let epoch: UInt64
        let seconds: Double
    }

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireDomain(domain)
        try loaded.requireNode(node)
        let (name, node) = (domain.rawValue, node)
        let start = SystemClock.monotonic()
        let move = Mutex(MoveProgress(name, to: node, at: start))
        let progress = MovementProgress(
            topology: loaded, order: .move(domain, to: NodeName(node)), what: "the move", timeout: timeout.duration)
        let status = try await progress.run { status in
            move.withLock { $0.look(at: status, SystemClock.monotonic()) }
        }
        let elapsed = SystemClock.monotonic() - start
        let epoch = status.domains.first { $0.name == name }?.epoch ?? 0
        if json.isOn {
            try Console.json(
                Document(domain: name, node: node, done: true, epoch: epoch, seconds: elapsed.seconds))
        } else {
            Console.line("\(node) owns \(name) in epoch \(epoch)")
        }
    }
}
