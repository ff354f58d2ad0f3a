import ClusterNode
import ClusterRuntime
import Foundation
import NodeProcesses

/// Runs nodes as child processes: starts them, starts them again when they end, and stops them together.
///
/// Each life is started from the program's file as it is at that moment, so a node that restarts after the file was
/// replaced runs the new program.
actor Supervisor {
    private let topologyFile: String
    /// The nodes that it runs; they change with the topology.
    private(set) var nodes: [NodeName]
    /// Nodes that are to end and stay so.
    private var leaving: Set<NodeName> = []
    /// Nodes that are to be started.
    private let arrivals = AsyncStream<NodeName>.makeStream()
    /// Nodes that are being run, those between two lives included.
    private var kept: Set<NodeName> = []
    private let files: NodeFiles
    private let restarts: Bool
    private var running: [NodeName: (process: ChildProcess, start: MonotonicInstant)] = [:]
    private var isStopping = false
    /// Nodes whose last life ended because somebody else has their address.
    private var shutOut: Set<NodeName> = []
    private var hasToldOfAddresses = false
    /// Whether it stops because no node gets its addresses.
    private var hasGivenUp = false

    /// How long a node has to end by itself.
    private let stopGrace: Duration
    /// A node that has lived for so long has its addresses: it binds them first of all.
    static let settledAfter: Duration = .seconds(1)

    /// - Parameters:
    ///   - restarts: whether a node that ends is started again. One that was asked to restart always is.
    ///   - drain: how long nodes take to part from their clients.
    init(nodes: [NodeName], files: NodeFiles, restarts: Bool, drain: Duration) {
        stopGrace = drain + .seconds(10)
        topologyFile = files.topologyFile
        self.nodes = nodes
        self.files = files
        self.restarts = restarts
    }

    /// Runs the nodes until `stop`, or until not one of them gets its addresses, or until all have ended and stay down;
    /// returns when all of them have ended.
    /// - Returns: whether it was for the addresses.
    func run() async -> Bool {
        await withDiscardingTaskGroup { group in
            for node in nodes { arrivals.continuation.yield(node) }
            kept = Set(nodes)
            if nodes.isEmpty, isStopping || !restarts { arrivals.continuation.finish() }
            for await node in arrivals.stream {
                group.addTask { await self.keepRunning(node) }
            }
        }
        return hasGivenUp
    }

    /// Whether each node lives, and has done so for long enough to have its addresses. Who answers at the address of
    /// one that does not is a stranger.
    var allHaveSettled: Bool { nodes.allSatisfy(hasSettled) }

    private func hasSettled(_ node: NodeName) -> Bool {
        guard let life = running[node], life.process.ending == nil else { return false }
        return SystemClock.monotonic() - life.start >= Self.settledAfter
    }

    /// When nothing is left to run, a later version of the topology may bring something; but not where nodes that have
    /// ended stay down, since then somebody waits for the end of all.
    private func ended(_ node: NodeName) {
        kept.remove(node)
        if isStopping || kept.isEmpty && !restarts {
            arrivals.continuation.finish()
        } else if kept.isEmpty {
            Console.error("the topology has no node here any more; waiting for one that it is given (Ctrl-C ends this)")
        }
    }

    private func beginStopping() {
        isStopping = true
        if kept.isEmpty { arrivals.continuation.finish() }
    }

    /// Runs these nodes from now on: the others end, and those that are new are started.
    func run(_ wanted: [NodeName]) async {
        guard !isStopping else { return }
        let gone = nodes.filter { !wanted.contains($0) }
        for node in wanted where !nodes.contains(node) {
            leaving.remove(node)
            // One that leaves and has not ended yet goes on instead.
            if kept.insert(node).inserted { arrivals.continuation.yield(node) }
        }
        nodes = wanted
        leaving.formUnion(gone)
        await stop(gone)
    }

    private func stop(_ some: [NodeName]) async {
        await withDiscardingTaskGroup { group in
            for node in some {
                guard let life = running[node] else { continue }
                group.addTask { await life.process.stop(grace: self.stopGrace) }
            }
        }
    }

    /// Asks all nodes to end, and kills those that do not in time.
    func stop() async {
        beginStopping()
        await withDiscardingTaskGroup { group in
            for life in running.values { group.addTask { await life.process.stop(grace: self.stopGrace) } }
        }
    }

    /// Ends all nodes at once.
    func kill() {
        beginStopping()
        for life in running.values { life.process.signal(SIGKILL) }
    }

    private func keepRunning(_ node: NodeName) async {
        // With no suspension in between: whoever comes back is either still run here, or started anew.
        defer { ended(node) }
        var backoff = RestartBackoff()
        while !isStopping, !leaving.contains(node) {
            files.rotateLog(of: node)
            let logStart = files.logSize(of: node)
            let start = SystemClock.monotonic()
            let (ending, wasAsked) = await runOnce(node)
            guard !isStopping, !leaving.contains(node) else { return }
            let life = SystemClock.monotonic() - start
            // A life that is over at once is a fault, whatever it says.
            if wasAsked, life >= Self.settledAfter {
                Console.error("\(node) was asked to restart; starting it again")
                backoff = RestartBackoff()
                continue
            }
            let lines = files.lastLogLines(of: node, from: logStart)
            let reason = lines.last.map { "\n    \($0)" } ?? ""
            let isSaid = note(node, isShutOut: lines.last { Self.saysAddressInUse($0) })
            // One that was started again and stays has got its addresses by now.
            if nodes.allSatisfy({ shutOut.contains($0) && !hasSettled($0) }) {
                hasGivenUp = true
                isStopping = true
                for life in running.values { life.process.signal(SIGTERM) }
                return
            }
            guard restarts else {
                Console.error("\(node) ended (\(ending)) and stays down\(isSaid ? "" : reason)")
                return
            }
            let wait = backoff.wait(afterLife: life)
            if !isSaid {
                Console.error(
                    "\(node) ended (\(ending)); starting it again in \(wait.inMilliseconds) ms. "
                        + "Its log: \(files.log(of: node))"
                        + reason)
            }
            await sleep(wait)
        }
    }

    /// Keeps in mind whether a node is shut out, and says so once a node.
    /// - Parameter line: the line of its log that says so; nil when it ended for another reason.
    /// - Returns: whether all is said about its end.
    private func note(_ node: NodeName, isShutOut line: String?) -> Bool {
        guard let line else {
            shutOut.remove(node)
            return false
        }
        guard shutOut.insert(node).inserted else { return true }
        let hint = hasToldOfAddresses ? "" : " Another cluster may be running here; see: ss -ltnp"
        hasToldOfAddresses = true
        Console.error("\(node) cannot start, its address is in use.\(hint)\n    \(line)")
        return true
    }

    private static func saysAddressInUse(_ line: String) -> Bool {
        line.localizedCaseInsensitiveContains("address already in use")
            || line.contains(#/[Aa]ddress \S+ is in use/#)
    }

    /// One life of a node.
    /// - Returns: how it ended, and whether it did so to be started again at once.
    private func runOnce(_ node: NodeName) async -> (ending: String, wasAsked: Bool) {
        let command = ChildProcess.Command(
            executable: Executable.path, arguments: ["node", topologyFile, node.rawValue],
            environment: [ParentWatch.variable: String(getpid())], log: files.log(of: node))
        do {
            let process = try await ChildProcess.start(command)
            running[node] = (process, SystemClock.monotonic())
            // A stop may have come while it was being started.
            if isStopping || leaving.contains(node) { process.signal(SIGTERM) }
            let ending = await process.wait()
            running[node] = nil
            return (ending.description, ending == .exited(NodeRunner.restartExitCode))
        } catch {
            return ("\(error)", false)
        }
    }

    /// Sleeps in short steps, so that a stop is not held up.
    private func sleep(_ duration: Duration) async {
        let end = SystemClock.monotonic() + duration
        while !isStopping, SystemClock.monotonic() < end {
            try? await Task.sleep(for: .milliseconds(50))  // Nobody cancels it; `isStopping` ends it.
        }
    }
}

/// This program's own file, which children are started from.
enum Executable {
    static let path =
        // Without /proc there is still the name it was called by.
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        ?? CommandLine.arguments[0]
}
