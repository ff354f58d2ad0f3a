import ClusterRuntime
import RegistrarEvents

/// How long a fault was felt, worked out from the clients' history.
package struct FaultTimes: Hashable, Sendable {
    /// From the fault until the router's status showed what follows from it.
    package var detect: Duration?
    /// From the fault until the first acknowledgement of a write that was sent after it.
    package var accept: Duration?
    /// The longest stretch without an acknowledgement: how long nobody served the domain. Where the fault brings a new
    /// epoch, from the fault until a second after it was detected; nil when it never was. Where it brings none, nobody
    /// ought to feel it, for as long as it lasts: until it is taken back.
    package var gap: Duration?
    /// From the fault until every subscriber had seen the new epoch's `clear` and its set was whole again; nil as well
    /// when the fault brought no new epoch.
    package var converge: Duration?

    package init(
        detect: Duration? = nil, accept: Duration? = nil, gap: Duration? = nil, converge: Duration? = nil
    ) {
        self.detect = detect
        self.accept = accept
        self.gap = gap
        self.converge = converge
    }
}

extension FaultTimes {
    static func accept(after fault: MonotonicInstant, _ operations: [Operation]) -> Duration? {
        operations.lazy
            .filter { $0.sent >= fault && $0.isAcknowledged }
            .map(\.ended).min().map { $0 - fault }
    }

    /// When a fault that brings no new epoch is over: when one is taken back, or the load ends.
    static func end(
        of fault: MonotonicInstant, takenBack: [MonotonicInstant], loadEnd: MonotonicInstant
    ) -> MonotonicInstant {
        takenBack.filter { $0 > fault }.min() ?? loadEnd
    }

    /// A steady load is needed for this to say something: between two writes of a slow one nothing is acknowledged
    /// either.
    static func gap(from start: MonotonicInstant, until end: MonotonicInstant, _ operations: [Operation]) -> Duration {
        let moments = operations.lazy.filter { $0.isAcknowledged && $0.ended > start && $0.ended < end }
            .map(\.ended).sorted()
        let bounds = [start] + moments + [end]
        return zip(bounds, bounds.dropFirst()).map { $1 - $0 }.max() ?? .zero
    }

    /// - Parameters:
    ///   - epoch: the epoch that the fault brought.
    ///   - subscribers: each one's eras.
    /// - Returns: nil when a subscriber never got there.
    static func converge(
        after fault: MonotonicInstant, epoch: UInt64, _ operations: [Operation], subscribers: [[SubscriberView.Era]],
        settledAfter: Duration
    ) -> Duration? {
        let required = requiredContacts(after: fault, operations, settledAfter: settledAfter)
        var latest = fault
        for eras in subscribers {
            let whole = eras.lazy.filter { $0.epoch >= epoch }.compactMap { completion(of: $0, required) }.min()
            guard let whole else { return nil }
            latest = max(latest, whole)
        }
        return latest - fault
    }

    /// The contacts that were certainly registered when the fault came, with the moment (if any) from which someone
    /// tried to unregister them, so that they are not waited for any more.
    private static func requiredContacts(
        after fault: MonotonicInstant, _ operations: [Operation], settledAfter: Duration
    ) -> [(contact: ContactNumber, until: MonotonicInstant?)] {
        let before = operations.filter { $0.sent <= fault }.map { operation in
            // What was under way at the fault is as good as unknown.
            var operation = operation
            if operation.ended > fault, operation.isAcknowledged { operation.outcome = .unknown("under way") }
            return operation
        }
        var leaving: [ContactNumber: MonotonicInstant] = [:]
        for operation in operations where operation.sent > fault && !operation.isRegister {
            leaving[operation.contact] = min(leaving[operation.contact] ?? operation.sent, operation.sent)
        }
        return ContactStates(before, settledAfter: settledAfter, at: fault).states
            .filter { $0.state == .present }
            .map { ($0.contact, leaving[$0.contact]) }
    }

    private static func completion(
        of era: SubscriberView.Era, _ required: [(contact: ContactNumber, until: MonotonicInstant?)]
    ) -> MonotonicInstant? {
        var latest = era.clearedAt
        for (contact, until) in required {
            let offset = era.firstSeen[contact]
            let seen = offset < 0 ? nil : era.clearedAt + .nanoseconds(offset)
            guard let resolved = [seen, until].compactMap(\.self).min() else { return nil }
            latest = max(latest, resolved)
        }
        return latest
    }
}
