import Synchronization

/// Which deliveries of this node's life still wait for their receipts.
///
/// A receipt is 16 bytes: what nobody else can know of this life, so that a receipt cannot be made up and none
/// of an earlier life counts, and the delivery's number.
final class ReceiptBook: Sendable {
    private enum Delivery {
        case open
        case waiting(CheckedContinuation<Void, any Error>)
        case over(Result<Void, any Error>)
    }

    private struct State {
        var next: UInt64 = 1
        var deliveries: [UInt64: Delivery] = [:]
        /// The latest delivery of which a receipt has come, be it over or not.
        var newest: UInt64 = 0
    }

    private let secret: UInt64
    private let state = Mutex(State())

    init() {
        var generator = SystemRandomNumberGenerator()
        secret = generator.next()
    }

    static let length = 16

    /// Begins a delivery.
    func open() -> UInt64 {
        state.withLock { state in
            defer { state.next += 1 }
            state.deliveries[state.next] = .open
            return state.next
        }
    }

    /// What the plugin has to send back.
    func receipt(of number: UInt64) -> [UInt8] {
        [secret, number].flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) } }
    }

    /// A receipt has come. One that is not of ours, or of a delivery that is over, is passed over.
    func take(_ receipt: [UInt8]) {
        guard receipt.count == Self.length else { return }
        let number = receipt[8...].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        // Compared as a whole: how long it takes says nothing of where they differ.
        guard self.receipt(of: number) == receipt else { return }
        state.withLock { $0.newest = max($0.newest, number) }
        end(number, .success(()))
    }

    /// The latest delivery of which a receipt has come; 0 before the first.
    var newest: UInt64 { state.withLock(\.newest) }

    /// No receipt came in time.
    struct Overdue: Error {}

    /// Waits until a delivery that was opened is over, and forgets it.
    /// - Throws: what the delivery failed with, `Overdue` or `CancellationError`
    func wait(for number: UInt64, within limit: Duration) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.wait(for: number) }
            group.addTask {
                try await Task.sleep(for: limit)
                throw Overdue()
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func wait(for number: UInt64) async throws {
        defer { state.withLock { $0.deliveries[number] = nil } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = state.withLock { state in
                    if case .over(let result)? = state.deliveries[number] { return result }
                    state.deliveries[number] = .waiting(continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            end(number, .failure(CancellationError()))
        }
    }

    /// No receipt will come for this delivery.
    func fail(_ number: UInt64, _ error: any Error) { end(number, .failure(error)) }

    /// No receipt will come for any delivery under way.
    func failAll(_ error: any Error) {
        for number in state.withLock({ Array($0.deliveries.keys) }) { end(number, .failure(error)) }
    }

    private func end(_ number: UInt64, _ result: Result<Void, any Error>) {
        let continuation: CheckedContinuation<Void, any Error>? = state.withLock { state in
            switch state.deliveries[number] {
            case .open?: state.deliveries[number] = .over(result)
            case .waiting(let continuation)?:
                state.deliveries[number] = .over(result)
                return continuation
            case .over?, nil: break
            }
            return nil
        }
        continuation?.resume(with: result)
    }
}
