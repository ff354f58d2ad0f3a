/// Something took longer than it may.
public struct TimeLimitExceeded: Error, Hashable, Sendable {
    public init() {}
}

/// Runs `body`, and cancels it once it has taken longer than `limit`.
/// - Parameter body: has to end soon when it is cancelled: it is waited for even then.
/// - Throws: `TimeLimitExceeded` when the time is over, `CancellationError` when the caller is cancelled, and what
///   `body` throws.
public func withTimeLimit<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        defer { group.cancelAll() }
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        guard let first = try await group.next(), let value = first else { throw TimeLimitExceeded() }
        return value
    }
}
