import ArgumentParser
import ClusterClients
import ClusterRuntime
import RegistrarEvents
import Synchronization

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Have the running cluster go by a changed topology.",
        discussion: """
            Compares FILE with what the cluster goes by, shows the difference, and activates it: domains are added, \
            removed and changed, nodes join and leave, all without a restart. What only a node's next start can take \
            up is said. Nodes that are removed are drained first. Where all nodes of a group are removed, a version \
            between has others serve what they do; FILE is the version after that. `rollcall up` starts and stops \
            nodes by itself.

            The registrations of a domain that is removed end (delete_aor, then clear): that takes --yes. Ends when \
            the cluster has all of it: every domain owned and with its standbys in sync, none moving, removed ones \
            gone.

            Exits with 0 when it is done or nothing differs, 1 when it is refused or not done in time (what was \
            activated goes on then), 2 when the file is bad, 3 when no router that leads answers.

            Example: rollcall apply topology/local.yaml --dry-run
                     rollcall apply topology/local.yaml
            """)

    @OptionGroup var topology: TopologyArgument
    @Flag(name: .customLong("dry-run"), help: "Show what would happen, and change nothing.")
    var isDry = false
    @Flag(name: .customLong("yes"), help: "End the registrations of domains that are removed.")
    var mayEnd = false
    @OptionGroup var timeout: TimeoutOption
    @OptionGroup var json: JSONOption

    private struct Document: Encodable {
        let version: UInt64
        let done: Bool
        let dry_run: Bool
        /// The difference, a line each.
        let changes: [String]
        /// What would move; of a dry run alone.
        let movements: [PlannedMovement]?
        /// Nodes that take up some of it at their next start only.
        let needs_restart: [String]
        let seconds: Double
    }

    func run() async throws {
        let new = try topology.load()
        for remark in new.remarks { Console.error("\(topology.file): \(remark)") }
        let (timeout, isDry, mayEnd) = (timeout.duration, isDry, mayEnd)
        let start = SystemClock.monotonic()
        let emptied = EmptiedNodes()
        let outcome: (UInt64, TopologyDifference, [PlannedMovement]?)?
        do {
            outcome = try await TerminationSignals.run {
                try await new.withClient { client in
                    let application = try await TopologyApplication(new, client, timeout: timeout)
                    application.show()
                    if isDry {
                        let movements = try await application.preview()
                        return (application.version, application.difference, Optional(movements))
                    }
                    let reached = try await application.carryOut(endsRegistrations: mayEnd, emptied)
                    return (reached, application.difference, nil)
                }
            }
        } catch let failure as CommandFailure {
            throw failure.adding(emptied.remark)
        }
        guard let (version, difference, movements) = outcome else {
            throw CommandFailure.no(
                emptied.remark.map { "interrupted; \($0)" }
                    ?? "interrupted; what was activated goes on: rollcall status \(new.file)")
        }
        let isChanged = !difference.isEmpty && !isDry
        if json.isOn {
            try Console.json(
                Document(
                    version: version, done: !isDry, dry_run: isDry,
                    changes: difference.lines, movements: movements, needs_restart: difference.restarts.map(\.rawValue),
                    seconds: (SystemClock.monotonic() - start).seconds))
        } else if isChanged {
            Console.line("The cluster goes by version \(version) of its topology.")
            if !difference.restarts.isEmpty {
                let all = difference.restarts.count + difference.nodesAdded.count == new.nodes.count
                let only = all ? "" : " --only \(difference.restarts.map(\.rawValue).joined(separator: ","))"
                Console.error("To have all of it taken up: rollcall restart \(new.file) --rolling\(only)")
            }
        } else if difference.isEmpty {
            Console.line("\(new.file) is what the cluster goes by (version \(version)).")
        }
    }
}

/// The nodes that were drained since a topology has them no more, as long as that is not activated.
final class EmptiedNodes: Sendable {
    private let nodes = Mutex<[NodeName]>([])

    func add(_ node: NodeName) { nodes.withLock { $0.append(node) } }
    func remove(_ node: NodeName) { nodes.withLock { nodes in nodes.removeAll { $0 == node } } }

    /// They are not part of the cluster any more.
    func clear() { nodes.withLock { $0 = [] } }

    /// For whoever has to go on by hand; nil when there is nothing to do.
    var remark: String? {
        let nodes = nodes.withLock(\.self).map(\.rawValue)
        guard !nodes.isEmpty else { return nil }
        return "not activated, as far as is known, and \(nodes.joined(separator: ", ")) stays drained: repeat apply, "
            + "or take it back by the file that has it: rollcall undrain FILE \(nodes[0])"
    }
}

/// A changed topology on its way into the cluster.
struct TopologyApplication {
    /// Of the active topology that it was compared with.
    let version: UInt64
    let difference: TopologyDifference
    private let old: Topology
    private let new: Topology
    private let client: ClusterClient
    private let timeout: Duration

    static let interval: Duration = .milliseconds(100)

    init(_ new: Topology, _ client: ClusterClient, timeout: Duration) async throws {
        guard let active = await client.activeTopology() else {
            throw CommandFailure.unreachable(
                "no router of \(new.file) that leads answers\n\(await new.whyNoRouterLeads(client))")
        }
        do throws(TopologyError) {
            // Where its paths lead matters only in comparison.
            old = try active.topology(at: new.file)
        } catch {
            throw CommandFailure.no("the active topology cannot be read by this version: \(error)")
        }
        version = active.version
        difference = TopologyDifference(from: old, to: new)
        self.new = new
        self.client = client
        self.timeout = timeout
    }

    func show() {
        for line in difference.lines { Console.error(line) }
    }

    /// Says what would move.
    func preview() async throws -> [PlannedMovement] {
        var refusals = difference.refusals
        if refusals.isEmpty, !difference.leavingTogether.isEmpty {
            do throws(CommandFailure) {
                _ = try between()
                Console.error(
                    "in two steps: with version \(version + 1) others serve what \(leaving) do, and version "
                        + "\(version + 2) is \(new.file)")
            } catch {
                refusals.append(error.message)
            }
        }
        for refusal in refusals { Console.error("would be refused: \(refusal)") }
        guard refusals.isEmpty, !difference.isEmpty else { return [] }
        guard let movements = await client.preview(of: new.source) else {
            throw CommandFailure.unreachable(
                "no router of \(new.file) that leads says what would move\n\(await new.whyNoRouterLeads(client))")
        }
        for movement in movements.prefix(Self.shownMovements) {
            Console.error(
                "\(movement.domain): \(movement.part.rawValue) \(movement.from ?? "none") -> "
                    + "\(movement.to ?? "none"), because \(movement.why)")
        }
        let more = movements.count - Self.shownMovements
        if more > 0 { Console.error("and \(more) more; all of them with --json") }
        return movements
    }

    private static let shownMovements = 200

    /// - Parameter emptied: is told which nodes are drained, until the topology is activated.
    /// - Returns: the version that the cluster goes by then.
    /// - Throws: `CommandFailure`.
    func carryOut(endsRegistrations: Bool, _ emptied: EmptiedNodes) async throws -> UInt64 {
        guard difference.refusals.isEmpty else {
            throw CommandFailure.no(difference.refusals.map { "\(new.file): \($0)" }.joined(separator: "\n"))
        }
        guard !difference.isEmpty else { return version }
        guard difference.domainsRemoved.isEmpty || endsRegistrations else {
            let names = difference.domainsRemoved.prefix(8).map(\.rawValue).joined(separator: ", ")
            throw CommandFailure.no(
                "\(new.file) has \(names) no more, which ends all registrations there; repeat it with --yes if you "
                    + "mean that")
        }
        let deadline = SystemClock.monotonic() + timeout
        var version = version
        if !difference.leavingTogether.isEmpty {
            let between = try between()
            Console.error("others are to serve first what \(leaving) do")
            version = try await activate(between, after: version, movesDomains: true, until: deadline)
        }
        let removed = difference.nodesRemoved.filter { $0.role == .sr }
        // All at one time, so that none of them gives the others what these have to give away again.
        for node in removed {
            // From before it is ordered: the order may be taken although nobody hears so.
            emptied.add(node.name)
            let answer = await client.order(.drain(node.name))
            if case .refused = answer { emptied.remove(node.name) }
            try answered(answer)
        }
        for node in removed {
            try await wait(until: deadline, "the drain of \(node.name) goes on") {
                Self.look(at: node.name.rawValue, $0)
            }
        }
        return try await activate(
            new, after: version, movesDomains: difference.movesDomains, until: deadline, emptied)
    }

    /// - Returns: its version, once the cluster has all of it.
    private func activate(
        _ topology: Topology, after version: UInt64, movesDomains: Bool, until deadline: MonotonicInstant,
        _ emptied: EmptiedNodes? = nil
    ) async throws -> UInt64 {
        try answered(await client.activate(topology.source, after: version))
        emptied?.clear()
        Console.error("version \(version + 1) is activated")
        let progress = TopologyProgress(topology, version: version + 1, difference, movesDomains: movesDomains)
        try await wait(until: deadline, "it goes on") { progress.look(at: $0) }
        return version + 1
    }

    private var leaving: String { difference.leavingTogether.map(\.name.rawValue).joined(separator: ", ") }

    /// What the cluster goes by while a whole group leaves.
    private func between() throws(CommandFailure) -> Topology {
        let kept: Topology
        do throws(TopologyError) {
            kept = try new.keeping(difference.nodesRemoved.filter { $0.role == .sr })
        } catch {
            throw .no(
                "\(new.file): \(leaving) are all that may serve some domains, and cannot stay until others do "
                    + "(\(error.problems.map(\.description).joined(separator: "; "))); do it in two steps, the domains "
                    + "first")
        }
        let refusals = TopologyDifference(from: old, to: kept).refusals
        guard refusals.isEmpty else {
            throw .no(refusals.map { "\(new.file), as long as \(leaving) are there: \($0)" }.joined(separator: "\n"))
        }
        return kept
    }

    private func answered(_ answer: OrderAnswer) throws {
        switch answer {
        case .accepted: return
        case .refused(let why): throw CommandFailure.no(why)
        case .unanswered(let said):
            throw CommandFailure.unreachable("no router of \(new.file) that leads took the order\n\(said)")
        }
    }

    /// Whether a node that is to go is empty.
    private static func look(at node: String, _ status: ClusterStatus) -> ProgressLook {
        let held = status.domains.count { domain in
            domain.owner == node || domain.standbys.contains { $0.name == node }
        }
        let entry = status.nodes.first { $0.name == node }
        if held == 0, entry?.status == .drained || entry?.status == .down { return .done }
        return .underWay("\(node) still serves \(held) of \(status.domains.count) domains")
    }

    /// - Parameter rest: what happens when nobody waits any more.
    private func wait(
        until deadline: MonotonicInstant, _ rest: String, _ judge: (ClusterStatus) -> ProgressLook
    ) async throws {
        var told: String?
        var isAnswered = true
        while SystemClock.monotonic() < deadline {
            let status = await client.status()
            isAnswered = status != nil
            switch status.flatMap({ $0.isConclusive ? judge($0) : nil }) {
            case .done: return
            case .givenUp(let why): throw CommandFailure.no(why)
            case .underWay(let text):
                if text != told { Console.error(text) }
                told = text
            case nil: break
            }
            try await Task.sleep(for: Self.interval)
        }
        throw isAnswered
            ? CommandFailure.no(
                "not done within \(timeout.components.seconds) s; \(rest): rollcall status \(new.file)")
            : CommandFailure.unreachable("no router answers any more; \(rest) when one leads again")
    }
}
