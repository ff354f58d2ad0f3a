package import ClusterRuntime
import RegistrarEvents

/// Has a copy written anew, a part at a time, while it goes on changing.
///
/// What the log brings in between is applied by a reader to what was there before and to what is being written. So a
/// part may be newer than where the log is: what it anticipates follows, and says the same. Whatever is not simply the
/// log's next entry has the checkpoint begin anew.
///
/// A copy amid a replay is written in two passes: what has yet to be restated, then a `generation`, then what has been.
struct Checkpoint: Sendable {
    /// Slots that one turn writes at most: some four milliseconds.
    static let slotsInTurn = 4_096
    private static let contactsInRecord = 448

    private enum Pass { case earlier, current }

    /// The journal's generation that it is for.
    let generation: UInt64
    private var pass: Pass?
    private var slot = 0
    private(set) var isOver = false

    init(generation: UInt64) { self.generation = generation }

    /// Whether the checkpoint may go on where it is after these records.
    func goesOn(after records: [JournalRecord]) -> Bool {
        records.allSatisfy { record in
            guard case .entries(_, let entries) = record else { return false }
            return entries.allSatisfy { if case .clear = $0.change { false } else { true } }
        }
    }

    /// The next records, of at most so many slots. A copy that is not whole is written at once: the rest of its
    /// snapshot may follow, and nothing before that is of use.
    mutating func next(_ replica: DomainReplica, slots: Int = slotsInTurn, at now: Moment) -> [JournalRecord] {
        var records: [JournalRecord] = []
        var budget = replica.isComplete ? slots : .max
        if pass == nil {
            records.append(replica.isComplete ? .checkpoint(replica.position) : .reset(replica.position))
            pass = replica.table.currentCount == replica.table.count ? .current : .earlier
        }
        if pass == .earlier {
            write(replica, &budget, into: &records, at: now)
            guard slot == replica.table.slotCount else { return records }
            records.append(.generation)
            (pass, slot) = (.current, 0)
        }
        write(replica, &budget, into: &records, at: now)
        guard slot == replica.table.slotCount else { return records }
        if replica.isComplete { records.append(.sealed) }
        isOver = true
        return records
    }

    private mutating func write(
        _ replica: DomainReplica, _ budget: inout Int, into records: inout [JournalRecord], at now: Moment
    ) {
        var contacts: [LiveContact] = []
        while budget > 0, slot < replica.table.slotCount {
            defer { (slot, budget) = (slot + 1, budget - 1) }
            guard let found = replica.table.contact(inSlot: slot), found.isCurrent == (pass == .current)
            else { continue }
            let ttl = replica.remaining(found.deadline, at: now)
            guard ttl > 0 else { continue }
            contacts.append(LiveContact(contact: found.contact, ttl: ttl))
            guard contacts.count == Self.contactsInRecord else { continue }
            records.append(.contacts(contacts))
            contacts.removeAll(keepingCapacity: true)
        }
        if !contacts.isEmpty { records.append(.contacts(contacts)) }
    }
}

extension DomainReplica {
    /// The records that restore this copy as it is, one after the other.
    package func forEachCheckpointRecord(at now: Moment, _ body: (JournalRecord) -> Void) {
        var checkpoint = Checkpoint(generation: 0)
        while !checkpoint.isOver { checkpoint.next(self, at: now).forEach(body) }
    }
}
