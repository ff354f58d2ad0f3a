import FoundationEssentials

/// Times as people read them.
enum Timestamp {
    /// UTC in ISO 8601, such as `2025-01-31T12:00:00Z`.
    /// - Parameter milliseconds: since 1970.
    static func text(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1_000).formatted(.iso8601)
    }
}
