import ClusterRuntime
import RegistrarEvents

/// Judges a drill from the outside: from what clients asked for, were told and saw, and nothing else.
///
/// It knows nothing of how the cluster works. What it claims is sound: an operation whose outcome is unknown may have
/// happened or not, and until the cluster's deadline has passed may still happen, so whatever such an operation could
/// explain is no violation. A finding is therefore always a broken promise.
package struct HistoryChecker: Sendable {
    /// How long after it was sent an unanswered request may still take effect: the cluster's own request deadline.
    package let settledAfter: Duration

    package init(settledAfter: Duration) { self.settledAfter = settledAfter }

    package func check(_ history: History) -> [Violation] {
        let contacts = ContactStates(history.operations, settledAfter: settledAfter, at: history.takenAt)
        let byContact = Dictionary(grouping: history.operations, by: \.contact).mapValues { operations in
            operations.sorted { $0.sent < $1.sent }
        }
        var violations = compare(contacts, with: history.list, in: "the owner's list")
        for subscriber in history.subscribers {
            violations += compare(contacts, with: subscriber.set, in: subscriber.name)
            violations += subscriber.violations
        }
        violations += acknowledgementsInOrder(history.operations)
        violations += acknowledgementsMatchEvents(history)
        violations += restatements(history, byContact)
        violations += explanations(history, byContact)
        violations += renewals(history, contacts, byContact)
        return violations
    }

    private func compare(_ contacts: ContactStates, with set: Set<ContactNumber>, in place: String) -> [Violation] {
        var violations: [Violation] = []
        for (contact, state) in contacts.states {
            switch state {
            case .present where !set.contains(contact):
                violations.append(
                    Violation(
                        .lost, contact: contact,
                        "contact \(contact) was acknowledged as registered and is missing in \(place)"))
            case .absent where set.contains(contact):
                violations.append(
                    Violation(
                        .stale, contact: contact,
                        "contact \(contact) was acknowledged as unregistered and is still in \(place)"))
            case .present, .absent, .either: break
            }
        }
        // A contact that nobody ever asked for cannot be there either.
        for contact in set.sorted() where contacts[contact] == nil {
            violations.append(
                Violation(
                    .stale, contact: contact, "contact \(contact) was never registered and is in \(place)"))
        }
        return violations
    }

    /// A request sent after another was acknowledged must be acknowledged at a later position: in a lower epoch it was
    /// a deposed owner that answered, in the same one there are two orders.
    private func acknowledgementsInOrder(_ operations: [Operation]) -> [Violation] {
        let acknowledged = operations.compactMap { operation in
            operation.position.map { (operation: operation, position: $0) }
        }
        let byEnd = acknowledged.sorted { $0.operation.ended < $1.operation.ended }
        var violations: [Violation] = []
        var next = byEnd.startIndex
        var highest = Position.start
        for (operation, position) in acknowledged.sorted(by: { $0.operation.sent < $1.operation.sent }) {
            while next < byEnd.endIndex, byEnd[next].operation.ended < operation.sent {
                highest = max(highest, byEnd[next].position)
                next += 1
            }
            if position.epoch < highest.epoch {
                violations.append(
                    Violation(
                        .stale, contact: operation.contact,
                        "contact \(operation.contact) was acknowledged at \(position) by a deposed owner: \(highest) "
                            + "had been acknowledged before the request was sent"))
            } else if position < highest || (position == highest && operation.changedSomething) {
                violations.append(
                    Violation(
                        .order, contact: operation.contact,
                        "contact \(operation.contact) was acknowledged at \(position) although \(highest) had been "
                            + "acknowledged before the request was sent"))
            }
        }
        return violations
    }

    private func acknowledgementsMatchEvents(_ history: History) -> [Violation] {
        var violations: [Violation] = []
        var holders: [Position: Operation] = [:]
        for operation in history.operations.sorted(by: { $0.sent < $1.sent }) {
            guard operation.changedSomething, let position = operation.position else { continue }
            if let other = holders.updateValue(operation, forKey: position) {
                violations.append(
                    Violation(
                        .order, contact: operation.contact,
                        "contacts \(other.contact) and \(operation.contact) were both acknowledged at \(position)"))
            }
            guard let event = history.events[position] else { continue }
            let expected = LoggedEvent(
                operation.isRegister ? .registered : .unregistered, operation.contact,
                cseq: event.cseq.flatMap { _ in operation.cseq })
            if event != expected {
                violations.append(
                    Violation(
                        .order, contact: operation.contact,
                        "contact \(operation.contact) was acknowledged at \(position), where subscribers saw "
                            + "\(event.kind) of \(event.contact.map { "contact \($0)" } ?? "something else")"
                            + (event.cseq.map { " by CSeq \($0)" } ?? "")))
            }
        }
        return violations
    }
}

extension Operation {
    /// Whether it was acknowledged with an event of its own.
    var changedSomething: Bool {
        switch outcome {
        case .acknowledged(_, let changed): changed
        case .accepted, .refused, .unknown: false
        }
    }
}
