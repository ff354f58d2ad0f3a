public import ClusterRuntime
public import RegistrarEvents

/// The active router's copy of what the coordinator stores.
public struct AssignmentBook: Sendable {
    /// The highest revision stored.
    public private(set) var revision: UInt64
    private var assignments: [DomainName: Assignment]

    /// Assignments in one update, so that it stays well within a frame. The rest follows when the node has told that
    /// it has these.
    static let updateLimit = 4096

    public init(_ stored: StoredAssignments) {
        revision = stored.revision
        assignments = Dictionary(stored.assignments.map { ($0.domain, $0) }) { $0.revision > $1.revision ? $0 : $1 }
    }

    public subscript(domain: DomainName) -> Assignment? { assignments[domain] }

    /// By domain name.
    public var all: [Assignment] { assignments.values.sorted { $0.domain < $1.domain } }

    /// How many domains each node life owns.
    var ownedCounts: [NodeID: Int] {
        assignments.values.reduce(into: [:]) { counts, assignment in
            if let owner = assignment.owner { counts[owner, default: 0] += 1 }
        }
    }

    public mutating func take(_ stored: [Assignment]) {
        for assignment in stored {
            assignments[assignment.domain] = assignment
            revision = max(revision, assignment.revision)
        }
    }

    /// What a node that knows everything up to `known` has missed.
    func update(since known: UInt64, term: UInt64) -> AssignmentUpdate {
        let missed = assignments.values.filter { $0.revision > known }.sorted { $0.revision < $1.revision }
        guard missed.count > Self.updateLimit else {
            return AssignmentUpdate(term: term, from: known, to: revision, assignments: missed)
        }
        let part = Array(missed.prefix(Self.updateLimit))
        return AssignmentUpdate(term: term, from: known, to: part[part.count - 1].revision, assignments: part)
    }
}
