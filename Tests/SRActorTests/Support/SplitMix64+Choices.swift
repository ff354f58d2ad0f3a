import ClusterRuntime

/// Choices by which every run of a seed is the same run.
extension SplitMix64 {
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    mutating func happens(_ percent: Int) -> Bool { below(100) < percent }
}
