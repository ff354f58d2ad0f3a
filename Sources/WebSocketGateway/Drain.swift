import ClusterRuntime

/// How connections are closed over a time.
enum Drain {
    /// How many of them have to be closed by now.
    static func due(of total: Int, after elapsed: Duration, over time: Duration) -> Int {
        guard elapsed < time else { return total }
        // At the very beginning there is one already, so that a lone client does not wait.
        return min(total, 1 + Int(Double(total) * (Double(elapsed.nanoseconds) / Double(time.nanoseconds))))
    }
}
