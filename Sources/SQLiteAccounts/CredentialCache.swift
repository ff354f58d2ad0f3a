import ClusterRuntime
import RegistrarEvents

/// Credentials at hand, as many as the limit allows; the account that was added first goes first.
struct CredentialCache {
    struct Key: Hashable {
        let domain: DomainName
        let account: AccountID
    }

    /// Grows with each `forget`, so that what was read before does not come in after.
    private(set) var generation = 0
    private let limit: Int
    private var entries: [Key: Credentials] = [:]
    private var order: [Key] = []
    private var oldest = 0

    init(limit: Int) {
        self.limit = limit
        // Never grown on an event loop. Memory that is not used yet costs nothing.
        entries.reserveCapacity(limit)
        order.reserveCapacity(limit)
    }

    subscript(key: Key) -> Credentials? { entries[key] }

    /// - Parameter generation: of this cache when the credentials were read.
    mutating func add(_ credentials: Credentials, for key: Key, generation: Int) {
        guard limit > 0, generation == self.generation, entries.updateValue(credentials, forKey: key) == nil else {
            return
        }
        if order.count < limit {
            order.append(key)
        } else {
            entries[order[oldest]] = nil
            order[oldest] = key
            oldest = (oldest + 1) % limit
        }
    }

    /// An empty cache to take this one's place, so that this one is freed by whoever forgets.
    func forgotten() -> CredentialCache {
        var empty = CredentialCache(limit: limit)
        empty.generation = generation + 1
        return empty
    }
}
