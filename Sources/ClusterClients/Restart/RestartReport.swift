/// What a rolling restart did: one document.
package struct RestartReport: Codable, Hashable, Sendable {
    package struct Node: Codable, Hashable, Sendable {
        package var name: String
        package var role: String
        /// Seconds: to move everything away, to be back, and until all copies were in sync again; left out for nodes
        /// that have nothing to move or to keep in sync.
        package var drain: Double?
        package var away: Double
        package var sync: Double?

        enum CodingKeys: String, CodingKey {
            case name, role
            case drain = "drain_s"
            case away = "away_s"
            case sync = "sync_s"
        }
    }

    /// Whether every node was restarted.
    package var done = false
    package var seconds: Double = 0
    /// Those that were restarted.
    package var nodes: [Node] = []
    /// Those that were not, in their order.
    package var remaining: [String] = []
    /// Why it stopped; left out when it did not.
    package var reason: String?

    package init() {}
}

/// Why a rolling restart stopped.
package struct RestartStopped: Error, Hashable, CustomStringConvertible {
    package enum Cause: Hashable, Sendable {
        /// The cluster is not fit for it, or a node did not do as it should.
        case no
        case unreachable
    }

    package let cause: Cause
    package let description: String
}
