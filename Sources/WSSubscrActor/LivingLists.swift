/// How many lists of a domain are in memory: the newest, and those that somebody who reads slowly is still being sent.
///
/// Each holds a reference to every contact there was, also to those that were replaced since.
struct LivingLists: Sendable {
    private struct Reference: Sendable {
        weak var list: (any AnyObject & Sendable)?
    }

    private var references: [Reference] = []

    /// From so many on whoever comes is given the newest one, however old, and then the events since. Own decision.
    static let enough = 4

    var count: Int { references.count { $0.list != nil } }
    var areEnough: Bool { count >= Self.enough }

    mutating func add(_ list: any AnyObject & Sendable) {
        references.removeAll { $0.list == nil }
        references.append(Reference(list: list))
    }
}
