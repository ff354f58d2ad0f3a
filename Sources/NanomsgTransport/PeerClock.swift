import ClusterRuntime

/// Which of what a peer sends arrives late, although clocks agree on nothing: later by more than `limit` than the
/// fastest so far.
///
/// A pure value. The difference between the receiver's clock at arrival and the sender's at sending is the time under
/// way and a constant; its least value so far stands for the constant. That value is let grow by a thousandth of the
/// time that passes, which is more than clocks drift apart, and next to nothing beside the length of a cut. When late
/// arrivals followed on each other for twice the limit and nothing else came, a clock has stood still (as a virtual
/// machine's may): the least of those is the constant from then on. A request is repeated for three times the limit,
/// so that the first one comes through. What a broken connection held back comes faster than that, and fresh arrivals
/// with it.
///
/// What it does not know: how long the fastest was under way. The first that is heard of a peer is a hello, and nothing
/// else is sent before that was answered, so it is not the past of a broken connection.
struct PeerClock {
    private let limit: Duration
    private var least: Int64?
    private var leastAt = MonotonicInstant.distantPast
    /// Since when every arrival was late, when the last was, and the least difference of those.
    private var late: (since: MonotonicInstant, last: MonotonicInstant, least: Int64)?

    private static let driftDivisor: Int64 = 1_000
    /// Arrivals further apart do not follow on each other: longer than the longest wait between two attempts.
    private static let shortestPause: Duration = .seconds(2)

    init(limit: Duration) { self.limit = limit }

    /// Takes in a stamp of the peer's clock, in nanoseconds. Any number may come: differences wrap.
    /// - Returns: whether it was under way for longer than the limit.
    mutating func isLate(_ sentAt: Int64, at now: MonotonicInstant) -> Bool {
        let difference = now.nanoseconds &- sentAt
        let drift = (now - leastAt).nanoseconds / Self.driftDivisor
        guard let least, difference &- least > drift else {
            settle(on: difference, at: now)
            return false
        }
        guard difference &- least &- drift > limit.nanoseconds else {
            late = nil
            return false
        }
        let run = lateRun(with: difference, at: now)
        late = run
        guard now - run.since >= limit * 2 else { return true }
        settle(on: run.least, at: now)
        return difference &- run.least > limit.nanoseconds
    }

    private func lateRun(
        with difference: Int64, at now: MonotonicInstant
    ) -> (since: MonotonicInstant, last: MonotonicInstant, least: Int64) {
        guard let late, now - late.last <= max(limit * 2, Self.shortestPause) else { return (now, now, difference) }
        return (late.since, now, min(late.least, difference))
    }

    private mutating func settle(on difference: Int64, at now: MonotonicInstant) {
        least = difference
        leastAt = now
        late = nil
    }
}
