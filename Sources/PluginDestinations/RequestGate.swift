import Synchronization

/// Lets so many requests to a plugin be under way at once, over all domains, in the order in which they came.
///
/// While the plugin fails, one at a time: it is found to be well again by that one, and the others do not pile up
/// on it.
final class RequestGate: Sendable {
    private struct State {
        var width: Int
        var inside = 0
        var waiting: [(ticket: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        var tickets: UInt64 = 0
        /// Tickets that were given up before they began to wait.
        var cancelled: Set<UInt64> = []
    }

    private let widest: Int
    private let state: Mutex<State>

    /// - Parameter width: requests at once, at least 1
    init(width: Int) {
        widest = max(width, 1)
        state = Mutex(State(width: widest))
    }

    /// Does something when its turn comes.
    /// - Returns: nil when the caller was cancelled first
    func pass<Result: Sendable>(_ body: () async -> Result) async -> Result? {
        guard await enter() else { return nil }
        defer { leave() }
        return await body()
    }

    /// How the last request went.
    func note(isWell: Bool) {
        state.withLock { $0.width = isWell ? widest : 1 }
        admit()
    }

    private func enter() async -> Bool {
        let ticket = state.withLock { state in
            state.tickets += 1
            return state.tickets
        }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isIn: Bool? = state.withLock { state in
                    if state.cancelled.remove(ticket) != nil { return false }
                    if state.inside < state.width, state.waiting.isEmpty {
                        state.inside += 1
                        return true
                    }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                if let isIn { continuation.resume(returning: isIn) }
            }
        } onCancel: {
            let waiting: CheckedContinuation<Bool, Never>? = state.withLock { state in
                guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelled.insert(ticket)
                    return nil
                }
                return state.waiting.remove(at: index).continuation
            }
            waiting?.resume(returning: false)
        }
        // Given up in the moment in which its turn came.
        state.withLock { _ = $0.cancelled.remove(ticket) }
        return isIn
    }

    private func leave() {
        state.withLock { $0.inside -= 1 }
        admit()
    }

    private func admit() {
        while true {
            let next: CheckedContinuation<Bool, Never>? = state.withLock { state in
                guard state.inside < state.width, !state.waiting.isEmpty else { return nil }
                state.inside += 1
                return state.waiting.removeFirst().continuation
            }
            guard let next else { return }
            next.resume(returning: true)
        }
    }
}
