import ClusterRuntime
import Logging
import RegistrarEvents
import Synchronization

/// What a node goes by: the topology that it started with, and each newer one that the routers tell of.
///
/// Reading a large topology takes long enough to be missed by those who wait for heartbeats, so it happens in a loop of
/// its own, one after the other; of several that come meanwhile, the newest counts.
final class TopologyKeeper: Sendable {
    /// What the node was put together from: listeners, periods and limits stay as in this one.
    let started: Topology
    /// What the cluster went by then.
    let startedActive: ActiveTopology
    private let node: NodeName
    private let file: ActiveTopologyFile?
    private let log: Logger
    private let state: Mutex<State>
    private let news = AsyncStream<ActiveTopology>.makeStream(bufferingPolicy: .bufferingNewest(1))

    /// Removed domains that are remembered at most.
    private static let departedLimit = 10_000

    private struct State {
        let topology: Topology
        /// The topology's domains by name.
        let domains: [DomainName: DomainSpec]
        /// Those that were removed since the node started, as they were last.
        let departed: [DomainName: DomainSpec]
        let version: UInt64
        var complaint: String?

        init(_ topology: Topology, version: UInt64, after former: State? = nil) {
            self.topology = topology
            self.version = version
            let domains = Self.byName(topology)
            self.domains = domains
            let gone = former.map { $0.departed.merging($0.domains) { _, newer in newer } } ?? [:]
            let departed = gone.filter { domains[$0.key] == nil }
            self.departed =
                departed.count <= TopologyKeeper.departedLimit
                ? departed : former?.domains.filter { domains[$0.key] == nil } ?? [:]
        }

        private static func byName(_ topology: Topology) -> [DomainName: DomainSpec] {
            Dictionary(topology.domains.map { ($0.name, $0) }) { first, _ in first }
        }
    }

    /// - Parameter file: where what was learned is kept over restarts; nil: nowhere.
    init(
        _ started: Topology, active: ActiveTopology? = nil, node: NodeName, file: ActiveTopologyFile? = nil,
        log: Logger
    ) {
        self.started = started
        startedActive = active ?? ActiveTopology(fileOf: started)
        self.node = node
        self.file = file
        self.log = log
        state = Mutex(State(started, version: startedActive.version))
    }

    /// The topology in force here.
    var current: Topology { state.withLock(\.topology) }

    /// A domain of the topology in force.
    func spec(of domain: DomainName) -> DomainSpec? { state.withLock { $0.domains[domain] } }

    /// The same, or as it was before it was removed: it has events until everything in it has ended.
    func lastSpec(of domain: DomainName) -> DomainSpec? { state.withLock { $0.domains[domain] ?? $0.departed[domain] } }

    /// The version of the topology in force, if that has the domain; else 0.
    func version(with domain: DomainName) -> UInt64 {
        state.withLock { $0.domains[domain] == nil ? 0 : $0.version }
    }

    /// What is wrong with the newest topology, in a sentence for the node's health; nil when nothing is.
    var complaint: String? { state.withLock(\.complaint) }

    /// Takes a newer version, to be gone by soon. Returns at once; may be called from any thread.
    func receive(_ active: ActiveTopology) { news.continuation.yield(active) }

    /// A newer topology that this node has read.
    struct News: Sendable {
        let active: ActiveTopology
        let topology: Topology
        /// Whether some of it waits for this node's next start.
        let needsRestart: Bool
    }

    /// Hands each newer topology over, once it was read, until cancelled. To be called once.
    func run(_ take: @Sendable (News) async -> Void) async {
        for await active in news.stream {
            guard let read = read(active) else { continue }
            await take(read)
        }
    }

    private func read(_ active: ActiveTopology) -> News? {
        guard active.version > state.withLock(\.version) else { return nil }
        let topology: Topology
        do throws(TopologyError) {
            topology = try active.topology(at: started.file)
        } catch {
            let text = "version \(active.version) of the topology cannot be used by this version of the program"
            log.error("\(text): \(error)")
            state.withLock { $0.complaint = text }
            return nil
        }
        let difference = TopologyDifference(from: started, to: topology)
        let needsRestart = difference.restarts.contains(node)
        let isGone = topology.node(named: node) == nil
        state.withLock {
            $0 = State(topology, version: active.version, after: $0)
            // The others know it no more: what it takes from clients gets nowhere.
            if isGone {
                $0.complaint = "version \(active.version) of the topology has no node \(node); it is to be stopped"
            }
        }
        if isGone { log.error("version \(active.version) of the topology has this node no more: stop it") }
        if let fault = file?.write(active) {
            log.warning("\(fault); until the routers are heard, the next start goes by an older topology")
        }
        log.notice(
            """
            goes by version \(active.version) of the topology\
            \(needsRestart ? "; some of it takes effect at the next start" : "")
            """)
        return News(active: active, topology: topology, needsRestart: needsRestart)
    }
}
