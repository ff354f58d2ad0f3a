import RegistrarEvents
import Synchronization

/// Collects what the drill's clients do and see, from many tasks.
final class HistoryRecorder: Sendable {
    private struct State {
        var operations: [Operation] = []
        var events: [Position: LoggedEvent] = [:]
        var disagreements: [Violation] = []
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
}
