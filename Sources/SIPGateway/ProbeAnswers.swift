import Synchronization

/// Which devices that are being asked have answered. Shared by all event loops: the kernel spreads senders over their
/// sockets, so an answer may come in at another loop than the one that asked.
final class ProbeAnswers: Sendable {
    /// By the branch: whether an answer has come.
    private let answered = Mutex<[ProbeBranch: Bool]>([:])
    /// Whether any question is open: until then nobody waits for the lock.
    private let isAwaiting = Atomic<Bool>(false)

    func expect(_ branches: [ProbeBranch]) {
        answered.withLock { answered in
            for branch in branches { answered[branch] = false }
            isAwaiting.store(!answered.isEmpty, ordering: .relaxed)
        }
    }

    /// An answer came in, perhaps to a question that nobody waits for any more.
    /// - Returns: whether it says something new.
    func take(_ branch: ProbeBranch) -> Bool {
        guard isAwaiting.load(ordering: .relaxed) else { return false }
        return answered.withLock { answered in
            guard answered[branch] == false else { return false }
            answered[branch] = true
            return true
        }
    }

    /// Those of the branches that have an answer.
    func answered(_ branches: [ProbeBranch]) -> [ProbeBranch] {
        answered.withLock { answered in branches.filter { answered[$0] == true } }
    }

    func forget(_ branches: [ProbeBranch]) {
        answered.withLock { answered in
            for branch in branches { answered[branch] = nil }
            isAwaiting.store(!answered.isEmpty, ordering: .relaxed)
        }
    }

    /// How many questions are open.
    var count: Int { answered.withLock { $0.count } }
}
