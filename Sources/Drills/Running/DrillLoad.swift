import ClusterRuntime
import RegistrarEvents

/// What loads the cluster in a drill: clients of one kind, which record every request with its answer.
protocol DrillLoad: Sendable {
    /// Registers every contact once.
    /// - Throws: `DrillFailure` when one cannot be registered in time.
    func registerAll(within limit: Duration) async throws
    /// Runs the load until `stop`, and returns once every request is answered or given up.
    func run() async
    func stop()
    /// Removes the contacts again, as far as that is possible: for a cluster that lives on.
    func cleanUp() async
    func close() async
    /// What phones were answered; nil for other clients.
    var sip: SIPCounts? { get }
}
