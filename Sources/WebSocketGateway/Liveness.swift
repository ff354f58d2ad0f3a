import ClusterRuntime

/// Decides when a client is asked whether it is still there, and when it is not.
struct Liveness {
    enum Action {
        case none
        case ping
        /// Silent for too long.
        case giveUp
    }

    private let interval: Duration
    private var lastHeard: MonotonicInstant
    private var pinged: MonotonicInstant?

    init(interval: Duration, now: MonotonicInstant) {
        self.interval = interval
        lastHeard = now
    }

    /// Something came from the client, whatever it was.
    mutating func heard(at now: MonotonicInstant) {
        lastHeard = now
        pinged = nil
    }

    /// Time goes by.
    mutating func tick(at now: MonotonicInstant) -> Action {
        if now - lastHeard >= interval * 3 { return .giveUp }
        guard now - max(lastHeard, pinged ?? .distantPast) >= interval else { return .none }
        pinged = now
        return .ping
    }
}
