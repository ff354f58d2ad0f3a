public import ClusterRuntime
public import RegistrarEvents

/// The active router's copy of what the coordinator stores.
///
/// It knows the order of changes, so that what a node has missed costs what it has missed, and not what there is.
public struct AssignmentBook: Sendable {
    /// The highest revision stored.
    public private(set) var revision: UInt64
    /// How many domains each node life owns.
    private(set) var ownedCounts: [NodeID: Int] = [:]
    /// How many standbys are not in sync, in all.
    private(set) var catchingUp = 0
    private var assignments: [DomainName: Assignment] = [:]
    /// Which domain each change was of, by revision. Of those of one domain only the last one counts.
    private var changes: [(revision: UInt64, domain: DomainName)] = []

    /// Assignments in one update, fewer when those are more than `Limits.listBytes`. The rest follows when the node has
    /// told that it has these.
    static let updateLimit = 4096

    public init(_ stored: StoredAssignments) {
        revision = stored.revision
        for assignment in stored.assignments.sorted(by: { $0.revision < $1.revision }) { take(assignment) }
    }

    public subscript(domain: DomainName) -> Assignment? { assignments[domain] }

    /// By domain name.
    public var all: [Assignment] { assignments.values.sorted { $0.domain < $1.domain } }

    /// Whether the node owns a domain or stands by for one.
    func concerns(_ name: NodeName) -> Bool {
        assignments.values.contains { assignment in
            assignment.owner?.name == name || assignment.standbys.contains { $0.node.name == name }
        }
    }

    /// Takes what was stored, in the order of revisions.
    /// - Returns: the assignment that it replaces.
    @discardableResult
    public mutating func take(_ stored: Assignment) -> Assignment? {
        let former = assignments.updateValue(stored, forKey: stored.domain)
        if let owner = former?.owner { count(owner, -1) }
        if let owner = stored.owner { count(owner, 1) }
        catchingUp += stored.catchingUp - (former?.catchingUp ?? 0)
        revision = max(revision, stored.revision)
        changes.append((stored.revision, stored.domain))
        if changes.count > 2 * assignments.count + Self.updateLimit {
            changes.removeAll { assignments[$0.domain]?.revision != $0.revision }
        }
        return former
    }

    private mutating func count(_ owner: NodeID, _ more: Int) {
        let count = (ownedCounts[owner] ?? 0) + more
        ownedCounts[owner] = count > 0 ? count : nil
    }

    /// What a node that knows everything up to `known` has missed.
    func update(since known: UInt64, term: UInt64) -> AssignmentUpdate {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].revision > known { high = middle } else { low = middle + 1 }
        }
        var missed: [Assignment] = []
        var size = 0
        for change in changes[low...] {
            guard let assignment = assignments[change.domain], assignment.revision == change.revision else { continue }
            if missed.count == Self.updateLimit || size >= Limits.listBytes {
                let reached = missed[missed.count - 1].revision
                return AssignmentUpdate(term: term, from: known, to: reached, assignments: missed)
            }
            missed.append(assignment)
            size += assignment.messageBytes
        }
        return AssignmentUpdate(term: term, from: known, to: revision, assignments: missed)
    }
}

extension Assignment {
    /// How many of its standbys are not in sync.
    var catchingUp: Int { standbys.count { !$0.inSync } }

    /// Its bytes in a message at most: beside the names only numbers.
    fileprivate var messageBytes: Int {
        let names = [owner?.name].compactMap(\.self) + standbys.map(\.node.name)
        return names.reduce(48 + domain.rawValue.utf8.count) { $0 + $1.rawValue.utf8.count + 16 }
    }
}
