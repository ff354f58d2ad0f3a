import Synchronization

/// A number that only grows while the process lives. Adding costs one atomic instruction.
public final class Counter: Sendable {
    private let number = Atomic<UInt64>(0)

    public init() {}

    public var value: UInt64 { number.load(ordering: .relaxed) }

    public func add(_ count: UInt64 = 1) { number.wrappingAdd(count, ordering: .relaxed) }
}
