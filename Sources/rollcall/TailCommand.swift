import AccessTokens
import ArgumentParser
import ClusterClients
import ClusterRuntime
import Foundation
import RegistrarEvents
import Synchronization

struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Follow a domain's events, one notification a line.",
        discussion: """
            Connects to a wssubscr node, and to another one with the last position seen when the connection is cut, so \
            that no event is missing: what could not be listed any more is announced by a `clear` and restated. With \
            --snapshot it begins with the live list, with --after it resumes from a position. With --changes only what \
            changes the list is shown: no renewals, and nothing of a failover that everybody survived. Ctrl-C ends it; \
            with exit code 1 it ends when the domain is removed from the topology.

            Example: rollcall tail topology/local.yaml --domain demo.example --snapshot
                     rollcall tail topology/local.yaml --domain demo.example --after 3:1042 --json | jq .event.data
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "The domain to follow.")
    var domain: DomainName
    @Option(help: ArgumentHelp("Resume after this position.", valueName: "epoch:seq"))
    var after: Position?
    @Flag(help: "Begin with the live list.")
    var snapshot = false
    @Flag(help: "Only what changes the list.")
    var changes = false
    @OptionGroup var json: JSONOption

    /// Between attempts, when every node was tried in vain.
    static let retryInterval: Duration = .milliseconds(200)
    /// It grows to this.
    static let longestRetry: Duration = .seconds(2)
    /// Without ever having been connected, it gives up after this long.
    static let patience: Duration = .seconds(5)

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireDomain(domain)
        let tokens = try await loaded.tokens()
        guard tokens.isEnabled else {
            throw CommandFailure.badInput(
                "\(loaded.file) has no cluster secret to make a token with; start the cluster first, here or "
                    + "with its secret file copied here")
        }
        guard !loaded.nodes(of: .wssubscr).isEmpty else {
            throw CommandFailure.badInput("\(loaded.file) has no wssubscr node; expected one to follow a domain at")
        }
        signal(SIGPIPE, SIG_IGN)
        let token = try await tokens.mint(domain: domain, ttl: .seconds(7 * 86_400))
        let tail = Tail(
            topology: loaded, domain: domain, token: token, snapshot: snapshot, changes: changes, asJSON: json.isOn,
            after: after)
        _ = try await TerminationSignals.run { try await tail.run() }
    }
}

/// The position and the way from one node to the next.
private final class Tail: Sendable {
    private struct State {
        var after: Position?
        /// Everything up to `after` has been shown; false in the middle of a snapshot, which has one position.
        var isWhole = true
        var hasBeenConnected = false
        /// Something has come since the last attempt to connect.
        var isFresh = false
        var isDone = false
    }

    /// Nobody reads the output any more.
    private struct OutputClosed: Error {}

    private let nodes: [NodeSpec]
    private let domain: DomainName
    private let token: String
    private let snapshot: Bool
    private let changes: Bool
    private let asJSON: Bool
    private let state: Mutex<State>

    init(
        topology: Topology, domain: DomainName, token: String, snapshot: Bool, changes: Bool, asJSON: Bool,
        after: Position?
    ) {
        nodes = topology.nodes(of: .wssubscr)
        self.domain = domain
        self.token = token
        self.snapshot = snapshot
        self.changes = changes
        self.asJSON = asJSON
        state = Mutex(State(after: after))
    }

    func run() async throws {
        let start = SystemClock.monotonic()
        var failures = 0
        for attempt in 0... {
            let node = nodes[attempt % nodes.count]
            var problem = "the node closed the connection"
            do {
                try await follow(node)
            } catch is OutputClosed {
                return
            } catch is DomainFollower.DomainRemoved {
                throw CommandFailure.no("\(domain) was removed from the topology")
            } catch let refusal as RequestRefused where !refusal.isTransient {
                throw CommandFailure.no("\(node.name): \(refusal)")
            } catch {
                problem = "\(error)"
            }
            if Task.isCancelled { return }
            let state = state.withLock { $0 }
            if !state.hasBeenConnected, SystemClock.monotonic() - start > TailCommand.patience {
                throw CommandFailure.unreachable("no wssubscr node lets us follow \(domain); \(node.name): \(problem)")
            }
            failures = state.isFresh ? 0 : failures + 1
            self.state.withLock { $0.isFresh = false }
            if state.isFresh {
                Console.error("\(node.name): \(problem); going on after \(state.after?.description ?? "the start")")
            }
            // From the node that was lost to the next one at once; then slower and slower.
            guard failures >= nodes.count - 1 else { continue }
            let wait = TailCommand.retryInterval * (1 << min(failures / nodes.count, 8))
            try await Task.sleep(for: min(wait, TailCommand.longestRetry))
        }
    }

    private func follow(_ node: NodeSpec) async throws {
        let (after, isWhole) = state.withLock { ($0.after, $0.isWhole) }
        let follower = DomainFollower(
            domain: domain, node: node, token: token, after: isWhole ? after : nil, snapshot: snapshot || !isWhole,
            changes: changes, keepJSON: asJSON)
        // Also where nothing has happened yet: what happens from here on is not to be missed.
        let onSynced = { (position: Position?) in
            self.state.withLock { state in
                state.isWhole = true
                state.hasBeenConnected = true
                state.after = position ?? state.after
            }
        }
        try await follower.run(onSynced: onSynced) { notification in
            let text = asJSON ? notification.json : TailLine(notification).text
            guard Console.line(text) else { throw OutputClosed() }
            state.withLock { state in
                state.hasBeenConnected = true
                state.isFresh = true
                state.isWhole = !notification.isOwnClear && (state.isWhole || notification.position != state.after)
                state.after = notification.position
            }
        }
    }
}

/// A notification for people.
struct TailLine {
    private let notification: RegistrarNotification

    init(_ notification: RegistrarNotification) { self.notification = notification }

    var text: String {
        let position = notification.position.description.padding(toLength: 12, withPad: " ", startingAt: 0)
        let replay = notification.replay ? "  (replay)" : ""
        switch notification.change {
        case .registered(let kind, let account, let contact):
            return "\(position) + \(kind.name) \(account)  \(contact)\(replay)"
        case .unregistered(let kind, let account, let contact, let reason):
            return "\(position) - \(kind.name) \(account)  \(contact)  \(reason)"
        case .clear(let reason): return "\(position) = clear  \(reason)"
        case .other(let type): return "\(position) ? \(type)"
        }
    }
}
