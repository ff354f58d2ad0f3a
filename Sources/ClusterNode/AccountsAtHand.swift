import ClusterRuntime
import Dispatch
import Synchronization

/// The accounts for a node that does not need them for its role: opened when they are first asked for, since a file of
/// many accounts takes time and memory, and looked at for changes from then on.
final class AccountsAtHand: Sendable {
    private struct State {
        var directory: (any AccountDirectory)?
        var looked = MonotonicInstant.distantPast
    }

    private let open: @Sendable () throws(DirectoryError) -> any AccountDirectory
    private let state = Mutex(State())
    /// Reading blocks, so it is not for the threads that tasks share.
    private let queue = DispatchQueue(label: "accounts")

    init(_ open: @escaping @Sendable () throws(DirectoryError) -> any AccountDirectory) { self.open = open }

    /// - Throws: why they cannot be read here.
    func callAsFunction() async throws(DirectoryError) -> any AccountDirectory {
        if let fresh { return fresh }
        let result: Result<any AccountDirectory, DirectoryError> = await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Result { () throws(DirectoryError) in try self.read() })
            }
        }
        return try result.get()
    }

    /// The directory, if it was looked at a moment ago.
    private var fresh: (any AccountDirectory)? {
        let now = SystemClock.monotonic()
        return state.withLock { now - $0.looked < AccountSweep.interval ? $0.directory : nil }
    }

    /// On the queue: of many that ask at once, the first opens it.
    private func read() throws(DirectoryError) -> any AccountDirectory {
        if let fresh { return fresh }
        let directory: any AccountDirectory
        if let present = state.withLock(\.directory) {
            // With something wrong, what was read before stays in force; frontiers log what it is.
            _ = try? present.reloadIfChanged()
            directory = present
        } else {
            directory = try open()
        }
        state.withLock { $0 = State(directory: directory, looked: SystemClock.monotonic()) }
        return directory
    }
}
