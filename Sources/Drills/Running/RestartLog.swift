import ClusterClients
import ClusterRuntime
import Synchronization

/// What came of a drill's rolling restarts.
final class RestartLog: Sendable {
    private struct State {
        var underWay = 0
        var reports: [RestartReport] = []
        var misses: [String] = []
    }

    private let state = Mutex(State())

    var reports: [RestartReport] { state.withLock(\.reports) }
    /// What did not go as it must.
    var misses: [String] { state.withLock(\.misses) }

    var areOver: Bool { state.withLock { $0.underWay == 0 } }

    func began() { state.withLock { $0.underWay += 1 } }

    /// - Parameter left: the node that is drained still.
    func ended(_ report: RestartReport, left: NodeName?) {
        state.withLock { state in
            state.underWay -= 1
            state.reports.append(report)
            if let reason = report.reason { state.misses.append("the rolling restart stopped: \(reason)") }
            if let left { state.misses.append("the rolling restart left \(left) drained") }
        }
    }
}
