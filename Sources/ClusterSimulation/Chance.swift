import ClusterRuntime

/// Where the choices of a history come from: a seed. Or nowhere: then each is the middle of what it may be, so that a
/// history written by hand can be followed with round numbers, and a change of it stays where it was made.
struct Chance: RandomNumberGenerator {
    private var generator: SplitMix64
    private let isEven: Bool

    init(seed: UInt64) {
        generator = SplitMix64(seed: seed)
        isEven = false
    }

    private init() {
        generator = SplitMix64(seed: 0)
        isEven = true
    }

    static let even = Chance()

    mutating func next() -> UInt64 { generator.next() }

    /// True in one of `n` cases.
    mutating func oneIn(_ n: Int) -> Bool { isEven ? n == 1 : generator.oneIn(n) }

    mutating func chance(_ probability: Double) -> Bool {
        isEven ? probability > 0.5 : generator.chance(probability)
    }

    /// A duration in milliseconds.
    mutating func duration(_ range: ClosedRange<Int>) -> Duration {
        isEven ? .milliseconds((range.lowerBound + range.upperBound) / 2) : generator.duration(range)
    }

    /// A duration in microseconds.
    mutating func microseconds(_ range: ClosedRange<Int>) -> Duration {
        .microseconds(
            isEven ? (range.lowerBound + range.upperBound) / 2 : Int.random(in: range, using: &generator))
    }
}
