import ClusterRuntime

/// Decides how many connections a node takes: so many a second in the long run, twice as many at once.
///
/// Who is refused is given a place in a queue that exists in the answers alone: the n-th is told to come back when n
/// connections will have been taken. So a crowd that lost its node comes back as a slope, not as a wall.
struct ArrivalGate {
    enum Verdict: Equatable {
        case admit
        /// To come back after so many seconds.
        case refuse(retryAfter: Int)
    }

    private let rate: Double
    /// Connections that may be taken at once.
    private var tokens: Double
    /// Clients that were told to come back, and should not have yet.
    private var expected = 0.0
    private var last: MonotonicInstant

    private static let longestWait = 60

    /// - Parameter rate: connections a second.
    init(rate: Int, now: MonotonicInstant) {
        self.rate = Double(rate)
        tokens = self.rate * 2
        last = now
    }

    mutating func arrived(at now: MonotonicInstant) -> Verdict {
        let seconds = Double((now - last).nanoseconds) / 1_000_000_000
        last = now
        tokens = min(tokens + seconds * rate, rate * 2)
        expected = max(expected - seconds * rate, 0)
        guard tokens < 1 else {
            tokens -= 1
            return .admit
        }
        expected += 1
        return .refuse(retryAfter: min(1 + Int(expected / rate), Self.longestWait))
    }
}
