package import ClusterRuntime

/// Why a drill could not be carried out. What a drill *finds* is no failure but a report.
package enum DrillFailure: Error, Hashable, CustomStringConvertible {
    /// The drill and its topology do not fit together, or the topology cannot be rehearsed.
    case badFile([FileProblem])
    /// A cluster of this topology runs already.
    case running(String)
    /// The cluster did not start, or cannot be spoken to.
    case unreachable(String)
    /// This machine makes no network of its own for the drill.
    case noNetwork(String)

    package var description: String {
        switch self {
        case .badFile(let problems): problems.map(\.description).joined(separator: "\n")
        case .running(let text), .unreachable(let text), .noNetwork(let text): text
        }
    }
}

/// The tokens a drill's clients show. They must be valid for as long as the drill takes.
package struct DrillCredentials: Sendable {
    /// For the admin addresses; nil where they are open.
    package var admin: String?
    /// For following the load's domain; nil where the topology has no secret.
    package var service: String?

    package init(admin: String?, service: String?) {
        self.admin = admin
        self.service = service
    }
}
