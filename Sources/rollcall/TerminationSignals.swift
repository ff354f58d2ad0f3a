// Its sources are not marked Sendable, though every one of their methods may be called from any thread.
@preconcurrency import Dispatch
import Foundation

/// SIGINT, SIGTERM and SIGHUP as a stream, instead of the sudden end they would be.
struct TerminationSignals: Sendable {
    let stream: AsyncStream<Int32>

    /// Takes the signals over from now on.
    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(4))
        self.stream = stream
        // Under nohup a terminal that goes away ends nothing.
        let sources = ([SIGINT, SIGTERM] + (Self.isIgnored(SIGHUP) ? [] : [SIGHUP])).map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
        continuation.onTermination = { _ in for source in sources { source.cancel() } }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var known = sigaction()
        guard sigaction(number, nil, &known) == 0 else { return false }
        return unsafeBitCast(known.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Runs `body` until it ends by itself or a signal comes, which cancels it.
    /// - Returns: nil when a signal came.
    static func run<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result? {
        let signals = TerminationSignals()
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                for await _ in signals.stream { break }
                return nil
            }
            group.addTask { try await body() }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}
