import Dispatch
import Synchronization

/// A number that one thread raises and another waits for.
final class Progress: Sendable {
    private let value = Atomic<UInt64>(0)
    private let changed = DispatchSemaphore(value: 0)

    func reach(_ value: UInt64) {
        self.value.max(value, ordering: .acquiringAndReleasing)
        changed.signal()
    }

    var reached: UInt64 { value.load(ordering: .acquiring) }

    /// - Returns: false when it took longer than the limit.
    func wait(for target: UInt64, seconds: Int = 60) -> Bool {
        let deadline = DispatchTime.now() + .seconds(seconds)
        while reached < target {
            if changed.wait(timeout: deadline) == .timedOut { return reached >= target }
        }
        return true
    }

    /// The same for what must come: a benchmark that stands still has nothing to report.
    func expect(_ target: UInt64, _ what: String) {
        precondition(wait(for: target), "\(what) came to a halt at \(reached) of \(target)")
    }
}

/// Counts from any thread.
final class Counter: Sendable {
    private let value = Atomic<UInt64>(0)

    func add(_ count: Int) -> UInt64 { value.add(UInt64(count), ordering: .acquiringAndReleasing).newValue }
}
