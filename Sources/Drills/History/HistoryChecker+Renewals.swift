import ClusterRuntime
import RegistrarEvents

/// Which registration of a contact is there in the end. A lost renewal leaves the contact where it is, as an earlier
/// request had left it, so that it runs out too early; the CSeq that events and lists tell shows it.
extension HistoryChecker {
    func renewals(
        _ history: History, _ contacts: ContactStates, _ byContact: [ContactNumber: [Operation]]
    ) -> [Violation] {
        contacts.states.flatMap { contact, state -> [Violation] in
            guard case .present = state, let own = byContact[contact],
                let last = own.last(where: \.isAcknowledged)
            else { return [] }
            let listed = history.listedCSeqs[contact].flatMap {
                formerState($0, after: last, among: own, "in the owner's list")
            }
            let held = history.subscribers.compactMap { subscriber -> Violation? in
                guard subscriber.set.contains(contact), subscriber.cseqs.indices.contains(contact),
                    subscriber.cseqs[contact] > 0
                else { return nil }
                return formerState(subscriber.cseqs[contact], after: last, among: own, "in \(subscriber.name)")
            }
            return (listed.map { [$0] } ?? []) + held
        }
    }

    /// - Parameters:
    ///   - cseq: of the request that left the contact as it was found.
    ///   - last: the last registration that was acknowledged before.
    /// - Returns: nil when that is what was found, or another request may have come after it.
    func formerState(_ cseq: UInt32, after last: Operation, among own: [Operation], _ place: String) -> Violation? {
        guard let expected = last.cseq, cseq != expected else { return nil }
        let text = "contact \(last.contact) is \(place) by CSeq \(cseq)"
        let renewed = "had been registered by CSeq \(expected)" + (last.position.map { " at \($0)" } ?? "")
        guard let found = own.first(where: { $0.cseq == cseq }) else {
            return Violation(.stale, contact: last.contact, "\(text), which nobody had asked for, and \(renewed)")
        }
        switch found.outcome {
        case .refused:
            return Violation(.stale, contact: last.contact, "\(text), which was refused, and \(renewed)")
        // Where it was committed was not seen.
        case .unknown, .accepted:
            if found.ended + settledAfter >= last.sent { return nil }
        // Carried out before, and once more at its position when the answer was lost.
        case .acknowledged(let position, _):
            if position > last.position ?? .start, found.sent >= last.sent { return nil }
        }
        return Violation(.lost, contact: last.contact, "\(text), and \(renewed)")
    }
}
