import ClusterRuntime
import RegistrarEvents

/// What a new epoch restates. Renewals would heal what a failover lost before the end of the drill, and contacts that
/// come back would cover up what it raised from the dead; the log itself tells.
extension HistoryChecker {
    func restatements(_ history: History, _ byContact: [ContactNumber: [Operation]]) -> [Violation] {
        let known = firstKnown(history)
        return raised(history, byContact, known) + forgotten(history, byContact, known)
    }

    /// When the first client was told anything of an epoch. What was sent before may have been carried out in an
    /// earlier one, its answer lost with that owner, and once more, to no effect, in this one.
    private func firstKnown(_ history: History) -> [UInt64: MonotonicInstant] {
        history.operations.reduce(into: [:]) { known, operation in
            guard let epoch = operation.position?.epoch else { return }
            known[epoch] = min(known[epoch] ?? operation.ended, operation.ended)
        }
    }

    /// Contacts restated although the last that was acknowledged of them is their end, or as an earlier registration
    /// than the last that was acknowledged had left them.
    private func raised(
        _ history: History, _ operations: [ContactNumber: [Operation]], _ known: [UInt64: MonotonicInstant]
    ) -> [Violation] {
        history.events.sorted { $0.key < $1.key }.compactMap { position, event in
            guard event.replay, let contact = event.contact else { return nil }
            let own = operations[contact] ?? []
            let last = own.filter { ($0.position ?? position) < position }.max { lastWord($0) < lastWord($1) }
            guard let last else { return nil }
            if last.isRegister {
                return event.cseq.flatMap { formerState($0, after: last, among: own, "restated at \(position)") }
            }
            guard !hasOpen(own, registering: true, since: last, in: position.epoch, known) else { return nil }
            return Violation(
                .stale, contact: contact,
                "contact \(contact) is restated at \(position), and had been unregistered at \(lastWord(last))")
        }
    }

    /// Contacts that the last epoch did not restate by the end of its replay. Earlier epochs say nothing: the next one
    /// may have begun before their replay was complete.
    private func forgotten(
        _ history: History, _ operations: [ContactNumber: [Operation]], _ known: [UInt64: MonotonicInstant]
    ) -> [Violation] {
        guard let epoch = history.events.keys.map(\.epoch).max(),
            let end = history.events.filter({ $0.key.epoch == epoch && $0.value.replay }).keys.max()
        else { return [] }
        var seen: Set<ContactNumber> = []
        for seq in 1...end.seq {
            // Without the whole replay nothing can be said of what is missing in it.
            guard let event = history.events[Position(epoch: epoch, seq: seq)] else { return [] }
            if let contact = event.contact { seen.insert(contact) }
        }
        return operations.sorted { $0.key < $1.key }.compactMap { contact, own in
            let last = own.filter { $0.position.map { $0.epoch < epoch } ?? false }.max { lastWord($0) < lastWord($1) }
            guard let last, !seen.contains(contact), case .register(let ttl) = last.kind,
                last.sent + ttl > history.takenAt, !hasOpen(own, registering: false, since: last, in: epoch, known)
            else { return nil }
            return Violation(
                .lost, contact: contact,
                "contact \(contact) was registered at \(lastWord(last)) and is not restated in epoch \(epoch)")
        }
    }

    private func lastWord(_ operation: Operation) -> Position { operation.position ?? .start }

    /// Whether an operation may have come after the acknowledged one and before the epoch: one of unknown outcome, or
    /// one acknowledged in the epoch that was sent before anyone knew of it.
    private func hasOpen(
        _ operations: [Operation], registering: Bool, since last: Operation, in epoch: UInt64,
        _ known: [UInt64: MonotonicInstant]
    ) -> Bool {
        operations.contains { operation in
            guard operation.isRegister == registering else { return false }
            switch operation.outcome {
            // Where it was committed was not seen.
            case .unknown, .accepted: return operation.sent + settledAfter >= last.sent
            case .refused: return false
            case .acknowledged(let position, _):
                guard position.epoch >= epoch, operation.sent >= last.sent else { return false }
                return known[epoch].map { operation.sent < $0 } ?? true
            }
        }
    }
}
