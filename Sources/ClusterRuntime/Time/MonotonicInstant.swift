/// A reading of a clock that only goes forward and counts on while the machine sleeps, in nanoseconds.
///
/// Meaningful on one machine only: no instant ever crosses the wire except to be echoed to its sender.
public struct MonotonicInstant: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Earlier than any reading.
    public static let distantPast = MonotonicInstant(nanoseconds: 0)

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    public static func + (instant: Self, duration: Duration) -> Self {
        Self(nanoseconds: instant.nanoseconds + duration.nanoseconds)
    }

    public static func - (instant: Self, duration: Duration) -> Self {
        Self(nanoseconds: instant.nanoseconds - duration.nanoseconds)
    }

    public static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }

    public static func += (instant: inout Self, duration: Duration) { instant = instant + duration }
}

/// When something happens to a machine: on the monotonic clock, by which it decides, and on the wall clock, which it
/// only writes into events (`eventts`).
public struct Moment: Hashable, Sendable {
    public var monotonic: MonotonicInstant
    /// Milliseconds since 1970.
    public var wall: Int64

    public init(monotonic: MonotonicInstant, wall: Int64) {
        self.monotonic = monotonic
        self.wall = wall
    }
}

extension Duration {
    /// The whole duration in nanoseconds; enough for 292 years.
    public var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
    /// The whole duration in milliseconds, rounded down.
    public var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
    /// In milliseconds, to a tenth, as people read it.
    package var inMilliseconds: Double { (Double(nanoseconds) / 100_000).rounded() / 10 }
}
