import RegistrarEvents
import Synchronization

/// Collects what the drill's clients do and see, from many tasks.
final class HistoryRecorder: Sendable {
    private struct State {
        var operations: [Operation] = []
        var events: [Position: LoggedEvent] = [:]
        var disagreements: [Violation] = []
        var commits: [SIPCommit: Position] = [:]
    }

    /// A phone's request, as the event of its registration names it.
    private struct SIPCommit: Hashable {
        var contact: ContactNumber
        var cseq: UInt32
    }

    private let state = Mutex(State())

    /// Most findings kept; one is enough to fail.
    private static let maximumDisagreements = 100

    func record(_ operation: Operation) {
        state.withLock { $0.operations.append(operation) }
    }

    /// Notes what a subscriber saw in the domain's log; another one must not see something else there.
    func saw(_ event: LoggedEvent, at position: Position, by subscriber: String) {
        state.withLock { state in
            guard let other = state.events.updateValue(event, forKey: position), other != event,
                state.disagreements.count < Self.maximumDisagreements
            else { return }
            state.disagreements.append(
                Violation(
                    .order, contact: event.contact, "\(subscriber) saw another event at \(position) than others did"))
        }
    }

    /// Notes at which position of the log a phone's request was seen; at the last one, when a new owner carried it out
    /// once more.
    func saw(cseq: UInt32, of contact: ContactNumber, at position: Position) {
        state.withLock { state in
            let commit = SIPCommit(contact: contact, cseq: cseq)
            state.commits[commit] = max(state.commits[commit] ?? position, position)
        }
    }

    /// The operations, those of phones with their positions, as far as a subscriber saw them.
    var located: [Operation] {
        state.withLock { state in
            state.operations.map { operation in
                guard case .accepted(let cseq) = operation.outcome,
                    let position = state.commits[SIPCommit(contact: operation.contact, cseq: cseq)]
                else { return operation }
                var operation = operation
                operation.outcome = .acknowledged(position, changed: true)
                return operation
            }
        }
    }

    var operations: [Operation] { state.withLock(\.operations) }
    var events: [Position: LoggedEvent] { state.withLock(\.events) }
    var disagreements: [Violation] { state.withLock(\.disagreements) }
}

/// The contacts of one drill run, by name: a prefix that no other run has, and the number.
struct ContactNames: Sendable {
    let prefix: String

    init() { prefix = "drill-" + String(UInt32.random(in: 0 ... .max), radix: 36) + "-" }

    func name(_ number: ContactNumber) -> String { prefix + String(number) }

    /// Nil for the contacts of others.
    func number(_ name: String) -> ContactNumber? {
        name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count)) : nil
    }

    /// The contact that is meant, by its id or, where a gateway makes the ids, by the user of its URI.
    func number(id: String, uri: String) -> ContactNumber? {
        if let number = number(id) { return number }
        guard let colon = uri.firstIndex(of: ":") else { return nil }
        return number(String(uri[uri.index(after: colon)...].prefix { $0 != "@" }))
    }
}
