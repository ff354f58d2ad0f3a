import ClusterRuntime
import RegistrarEvents

/// What must be true of each contact at a moment, as far as its operations tell.
struct ContactStates {
    enum State: Hashable {
        /// Its last word was an acknowledged registration that has not run out.
        case present
        /// Its last word was an acknowledged unregistration, or every attempt to register it was refused.
        case absent
        /// An operation of unknown outcome, or a time to live that may have run out, leaves it open.
        case either
    }

    /// By contact, so that findings come in one order.
    let states: [(contact: ContactNumber, state: State)]
    private let byContact: [ContactNumber: State]

    init(_ operations: [Operation], settledAfter: Duration, at moment: MonotonicInstant) {
        let histories = Dictionary(grouping: operations, by: \.contact)
        byContact = histories.mapValues { Self.state($0, settledAfter: settledAfter, at: moment) }
        states = byContact.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    subscript(contact: ContactNumber) -> State? { byContact[contact] }

    private static func state(
        _ operations: [Operation], settledAfter: Duration, at moment: MonotonicInstant
    ) -> State {
        let ordered = operations.sorted { $0.sent < $1.sent }
        let last = ordered.last(where: \.isAcknowledged)
        var possible: Set<State> = [last.map { state(after: $0, at: moment) } ?? .absent]
        for operation in ordered where isOpen(operation, before: last, settledAfter: settledAfter) {
            possible.insert(operation.isRegister ? .present : .absent)
        }
        return possible.count == 1 ? possible.first ?? .either : .either
    }

    private static func state(after operation: Operation, at moment: MonotonicInstant) -> State {
        switch operation.kind {
        case .unregister: .absent
        case .register(let ttl): operation.sent + ttl > moment ? .present : .either
        }
    }

    /// Whether an operation of unknown outcome may have the last word: unless it was sent so long before the last
    /// acknowledged one that the cluster had given up on it by then.
    private static func isOpen(_ operation: Operation, before last: Operation?, settledAfter: Duration) -> Bool {
        switch operation.outcome {
        case .acknowledged, .accepted, .refused: false
        case .unknown: last.map { operation.sent + settledAfter >= $0.sent } ?? true
        }
    }
}
