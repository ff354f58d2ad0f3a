import Synchronization

/// A bounded queue in front of an actor: anyone posts without waiting, the actor takes everything at once.
///
/// The poster that finds the mailbox idle starts the turn; everyone else only adds to what that turn, or the next,
/// takes. So the cost of reaching an actor is shared by all that arrives meanwhile.
public final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var isTurnPending = false
        var dropped: UInt64 = 0
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: elements that may wait; what comes beyond is dropped and counted.
    public init(limit: Int) { self.limit = limit }

    /// How many elements were dropped.
    public var dropped: UInt64 { state.withLock { $0.dropped } }

    /// Adds elements.
    /// - Parameter isVital: these few come in however full the mailbox is; nobody would send them again.
    /// - Returns: whether the caller has to start a turn.
    public func post(_ elements: some Collection<Element>, isVital: Bool = false) -> Bool {
        state.withLock { state in
            let room = isVital ? elements.count : max(0, limit - state.elements.count)
            state.elements.append(contentsOf: elements.prefix(room))
            state.dropped += UInt64(max(0, elements.count - room))
            defer { state.isTurnPending = true }
            return !state.isTurnPending
        }
    }

    /// Takes everything. Nil, and the turn is over, when nothing has come.
    public func take() -> [Element]? {
        state.withLock { state in
            guard !state.elements.isEmpty else {
                state.isTurnPending = false
                return nil
            }
            defer { state.elements = [] }
            return state.elements
        }
    }
}
