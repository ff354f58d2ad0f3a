import DequeModule
import Dispatch
import Foundation
import Synchronization

/// Threads for librdkafka's calls that block: as many as are wanted at a time, up to a limit, and none for long after.
///
/// They are of their own, since those of the system's queues are few and shared: Swift's tasks run on them, among them
/// the owners of domains, and so do password checks. Who waits for a broker there holds up the node.
final class BlockingThreads: Sendable {
    private struct State {
        var waiting: Deque<@Sendable () -> Void> = []
        var threads = 0
        /// Of these, how many wait for something to do.
        var idle = 0
    }

    /// A thread that has had nothing to do for so long ends.
    private static let patience = DispatchTimeInterval.seconds(10)

    private let name: String
    private let limit: Int
    private let state = Mutex(State())
    private let news = DispatchSemaphore(value: 0)

    /// - Parameter limit: threads at a time; what is beyond it waits for one.
    init(name: String, limit: Int) {
        precondition(limit > 0, "\(name) would never run anything")
        self.name = name
        self.limit = limit
    }

    /// Runs something that may block; the first that came is the first to begin.
    func run(_ body: @escaping @Sendable () -> Void) {
        let needsThread = state.withLock { state in
            state.waiting.append(body)
            guard state.waiting.count > state.idle, state.threads < limit else { return false }
            state.threads += 1
            // Until it is there it counts as one that waits: what it is for is its own.
            state.idle += 1
            return true
        }
        news.signal()
        guard needsThread else { return }
        let thread = Thread { [self] in serve() }
        thread.name = name
        thread.start()
    }

    private func serve() {
        while true {
            let isNews = news.wait(timeout: .now() + Self.patience) == .success
            let (body, isOver) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
                if let body = state.waiting.popFirst() {
                    state.idle -= 1
                    return (body, false)
                }
                if !isNews {
                    state.idle -= 1
                    state.threads -= 1
                }
                return (nil, !isNews)
            }
            if isOver { return }
            guard let body else { continue }
            body()
            state.withLock { $0.idle += 1 }
        }
    }
}
