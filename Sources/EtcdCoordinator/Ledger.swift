import ClusterRuntime
import Foundation
import RegistrarEvents

/// What a leading router knows of the stored assignments: at which of etcd's own revisions each key was last written,
/// so that a store can name what it replaces.
///
/// Invariant: good for one term. Within it nobody else writes, and when somebody does all the same, the next store
/// finds a conflict and the ledger is read anew.
struct Ledger: Sendable {
    private struct Entry {
        /// Of the assignment.
        var revision: UInt64
        /// Of etcd.
        var modified: Int64
    }

    let term: UInt64
    /// The term's record as etcd has it: a store is done only while it is still the same.
    let fence: Data
    private let keys: Keyspace
    /// The highest revision given out, and where that is stored.
    private var counter: Entry
    private var entries: [DomainName: Entry]
    /// Where the active topology was last written; 0 before the first.
    var topologyModified: Int64

    /// Nil when nobody leads in the latest term.
    init?(_ contents: Contents, _ keys: Keyspace) {
        guard let latest = contents.term, latest.record.holder != nil else { return nil }
        term = latest.record.term
        fence = latest.bytes
        self.keys = keys
        topologyModified = contents.topologyModified
        counter = Entry(revision: contents.stored.revision, modified: contents.counterModified)
        entries = Dictionary(
            zip(contents.stored.assignments, contents.modified).map { assignment, modified in
                (assignment.domain, Entry(revision: assignment.revision, modified: modified))
            }
        ) { $1 }
    }

    /// The assignments with the revisions they are to have, and the transaction that stores them.
    /// - Parameter floor: revisions given out are above it.
    /// - Returns: nil when one is not at its expected revision.
    func plan(
        _ changes: [AssignmentChange], _ wishes: MovementWishes? = nil, above floor: UInt64 = 0
    ) -> (assignments: [Assignment], transaction: Gateway.Transaction)? {
        var assignments: [Assignment] = []
        var compare = [
            Gateway.Compare.value(of: keys.term, is: fence),
            .change(of: keys.revision, isAt: counter.modified),
        ]
        var puts: [Gateway.Operation] = []
        let counted = max(counter.revision, floor)
        for change in changes {
            var assignment = change.assignment
            let entry = entries[assignment.domain]
            guard (entry?.revision ?? 0) == change.expected else { return nil }
            assignment.revision = counted + UInt64(assignments.count) + 1
            let key = keys.assignment(of: assignment.domain)
            compare.append(.change(of: key, isAt: entry?.modified ?? 0))
            puts.append(.put(key, JSONForm.bytes(AssignmentRecord(assignment))))
            assignments.append(assignment)
        }
        let last = assignments.last?.revision ?? counted
        puts.append(.put(keys.revision, Data(String(last).utf8)))
        if let wishes { puts.append(.put(keys.wishes, Data(wishes.text.utf8))) }
        return (assignments, Gateway.Transaction(compare: compare, success: puts, failure: [.get(keys.term)]))
    }

    mutating func took(_ assignments: [Assignment], at modified: Int64) {
        for assignment in assignments {
            entries[assignment.domain] = Entry(revision: assignment.revision, modified: modified)
        }
        counter = Entry(revision: assignments.last?.revision ?? counter.revision, modified: modified)
    }
}

/// Everything that is stored, as it was at one of etcd's revisions.
struct Contents: Sendable {
    struct Term: Sendable {
        var record: TermRecord
        var bytes: Data
    }

    var term: Term?
    var stored = StoredAssignments(revision: 0, assignments: [])
    /// Where each assignment was last written, in the same order.
    var modified: [Int64] = []
    var counterModified: Int64 = 0
    var topologyModified: Int64 = 0

    mutating func take(_ pair: Gateway.KeyValue, _ keys: Keyspace) throws(EtcdFault) {
        if pair.key == keys.term {
            term = Term(record: try JSONForm.read(TermRecord.self, from: pair), bytes: pair.value ?? Data())
        } else if pair.key == keys.revision {
            guard let counted = UInt64(String(decoding: pair.value ?? Data(), as: UTF8.self)) else {
                throw JSONForm.unreadable(pair.key)
            }
            stored.revision = max(stored.revision, counted)
            counterModified = pair.mod_revision.value
        } else if pair.key == keys.wishes {
            guard let wishes = MovementWishes(text: String(decoding: pair.value ?? Data(), as: UTF8.self)) else {
                throw JSONForm.unreadable(pair.key)
            }
            stored.wishes = wishes
        } else if pair.key == keys.topology {
            guard let topology = ActiveTopology(record: String(decoding: pair.value ?? Data(), as: UTF8.self)) else {
                throw JSONForm.unreadable(pair.key)
            }
            stored.topology = topology
            topologyModified = pair.mod_revision.value
        } else if keys.isAssignment(pair.key) {
            guard let assignment = try JSONForm.read(AssignmentRecord.self, from: pair).assignment,
                keys.assignment(of: assignment.domain) == pair.key
            else { throw JSONForm.unreadable(pair.key) }
            stored.assignments.append(assignment)
            modified.append(pair.mod_revision.value)
            // Should the counter have been lost, what was given out must not be given out again.
            stored.revision = max(stored.revision, assignment.revision)
        }
        // The leader's key is looked at by itself, and what else is there may be of a later version.
    }
}
