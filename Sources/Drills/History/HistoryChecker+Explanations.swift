import ClusterRuntime
import RegistrarEvents

/// Whether what clients asked for explains what the log says: for each event of a contact there must be a request that
/// can have brought it about, within the time in which it can have.
///
/// The log gives no times, but requests do: an event comes after every one that was acknowledged before it, so not
/// before those were sent, and before every one that was acknowledged after it, so not after those were answered.
extension HistoryChecker {
    func explanations(_ history: History, _ byContact: [ContactNumber: [Operation]]) -> [Violation] {
        let window = CommitWindows(history.operations)
        return history.events.sorted { $0.key < $1.key }.compactMap { position, event in
            guard !event.replay, let contact = event.contact, event.kind != .clear else { return nil }
            let own = byContact[contact] ?? []
            let asked = own.filter { $0.isRegister == (event.kind == .registered) && $0.mayHaveLed(to: event) }
            if asked.contains(where: { $0.position == position }) { return nil }
            let earliest = window.earliest(position)
            let latest = window.latest(position)
            let known = asked.filter { $0.sent <= latest }
            if known.contains(where: { $0.ended + settledAfter >= earliest }) { return nil }
            if event.kind == .unregistered, hasRunOut(own, before: position, by: latest) { return nil }
            return violation(event, contact, at: position, known.max { $0.ended < $1.ended }, earliest)
        }
    }

    /// Whether a registration of the contact may have come to its end by itself. What was renewed has not: only the
    /// last registration that was acknowledged before may have run out, or one of which it is not known whether or
    /// when it was carried out.
    private func hasRunOut(
        _ operations: [Operation], before position: Position, by latest: MonotonicInstant
    ) -> Bool {
        let last = operations.filter { $0.isRegister && ($0.position.map { $0 < position } ?? false) }
            .max { ($0.position ?? .start) < ($1.position ?? .start) }
        return operations.contains { operation in
            guard case .register(let ttl) = operation.kind, operation.sent + ttl <= latest else { return false }
            guard let last else { return operation.mayHaveHappened }
            switch operation.outcome {
            case .refused: return false
            case .unknown, .accepted: return operation.ended + settledAfter >= last.sent
            // Carried out in time, and once more when the answer was lost.
            case .acknowledged(let own, _): return operation == last || own > position
            }
        }
    }

    private func violation(
        _ event: LoggedEvent, _ contact: ContactNumber, at position: Position, _ last: Operation?,
        _ earliest: MonotonicInstant
    ) -> Violation {
        let kind: Violation.Kind = event.kind == .registered ? .stale : .lost
        let what = "contact \(contact) was \(event.kind) at \(position)"
        guard let last else { return Violation(kind, contact: contact, "\(what), which nobody had asked for") }
        let late = (earliest - last.ended).inMilliseconds
        return Violation(
            kind, contact: contact, "\(what), at least \(late) ms after the last request for that was given up")
    }
}

/// Between which moments each position of the log was committed.
private struct CommitWindows {
    /// By position.
    private let acknowledged: [(position: Position, sent: MonotonicInstant, ended: MonotonicInstant)]
    /// The latest `sent` of these and all before, the earliest `ended` of these and all after.
    private var earliest: [MonotonicInstant] = []
    private var latest: [MonotonicInstant] = []

    init(_ operations: [Operation]) {
        acknowledged = operations.compactMap { operation in
            operation.changedSomething ? operation.position.map { ($0, operation.sent, operation.ended) } : nil
        }.sorted { $0.position < $1.position }
        var bound = MonotonicInstant.distantPast
        for entry in acknowledged {
            bound = max(bound, entry.sent)
            earliest.append(bound)
        }
        bound = MonotonicInstant(nanoseconds: .max)
        for entry in acknowledged.reversed() {
            bound = min(bound, entry.ended)
            latest.append(bound)
        }
        latest.reverse()
    }

    func earliest(_ position: Position) -> MonotonicInstant {
        let index = firstIndex { $0 >= position }
        return index == 0 ? .distantPast : earliest[index - 1]
    }

    func latest(_ position: Position) -> MonotonicInstant {
        let index = firstIndex { $0 > position }
        return index == acknowledged.count ? MonotonicInstant(nanoseconds: .max) : latest[index]
    }

    private func firstIndex(_ isBehind: (Position) -> Bool) -> Int {
        var (low, high) = (0, acknowledged.count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(acknowledged[middle].position) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension Operation {
    fileprivate var mayHaveHappened: Bool {
        switch outcome {
        case .acknowledged, .accepted, .unknown: true
        case .refused: false
        }
    }

    /// Whether the event may tell of it, unless the two name different requests.
    fileprivate func mayHaveLed(to event: LoggedEvent) -> Bool {
        guard mayHaveHappened else { return false }
        guard let cseq, let told = event.cseq else { return true }
        return cseq == told
    }
}
