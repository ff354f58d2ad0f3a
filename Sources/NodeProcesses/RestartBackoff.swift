/// How long to wait before a node is started again: 0.2 s at first, twice as long each time up to 5 s, and 0.2 s again
/// once it has lived for 10 s.
package struct RestartBackoff: Hashable, Sendable {
    package static let first: Duration = .milliseconds(200)
    package static let longest: Duration = .seconds(5)
    package static let goodLife: Duration = .seconds(10)

    private var next = Self.first

    package init() {}

    /// The wait after a life of this length.
    package mutating func wait(afterLife life: Duration) -> Duration {
        if life >= Self.goodLife { next = Self.first }
        defer { next = min(next * 2, Self.longest) }
        return next
    }
}
