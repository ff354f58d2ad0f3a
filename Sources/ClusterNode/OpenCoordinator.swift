import ClusterRuntime
import EmbeddedCoordinator
import EtcdCoordinator

/// The topology's coordinator, ready for a router.
struct OpenCoordinator: Sendable {
    let coordinator: any Coordinator
    private let etcd: EtcdCoordinator?

    /// - Throws: `CoordinatorError` when a file cannot be opened. Etcd is not asked for anything yet.
    init(_ environment: NodeEnvironment) throws {
        let topology = environment.keeper.started
        switch topology.coordinator {
        case .embedded(let path):
            coordinator = try EmbeddedCoordinator(path: path)
            etcd = nil
        case .etcd(let spec):
            let opened = try EtcdCoordinator(
                spec, leadership: topology.periods.leadership, logger: environment.log)
            coordinator = opened
            etcd = opened
            environment.metrics.gauges(
                "rollcall_etcd_endpoint_answers",
                help: "Whether the etcd endpoint answered (1) or not (0) when it was last asked."
            ) {
                opened.endpoints.map { .init(labels: [("endpoint", $0.url)], value: $0.answers ? 1 : 0) }
            }
        }
    }

    func close() async { await etcd?.shutDown() }
}
