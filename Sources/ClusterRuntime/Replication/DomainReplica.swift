public import RegistrarEvents

/// One node's copy of a domain: the list, how far it has come, and whether it is whole. Owner, standby, follower and
/// journal all apply the same entries to it in the same way.
public struct DomainReplica: Sendable {
    public var table = ContactTable()
    /// Every entry up to here is applied.
    public var position = Position.start
    /// Whether everything live is in the list. False from the beginning of a snapshot to its seal, and for a copy that
    /// began empty until the epoch's replay has ended.
    public var isComplete = false
    /// Whether everything live has been restated in this epoch, so that what has not been is void.
    public var isReplayed = false
    /// By how much the domain's own clock is behind the machine's: the time in which nobody could renew.
    public private(set) var stretch = Duration.zero

    public init() {}

    /// The domain's own clock in milliseconds.
    public func time(at now: Moment) -> Int64 { (now.monotonic - stretch).nanoseconds / 1_000_000 }

    /// Grants every contact the time of an outage.
    public mutating func stretch(by outage: Duration) { stretch += outage }

    /// Applies the entry that follows `position` (or, with sequence 1, begins `epoch`).
    /// - Parameter age: how long ago the owner made it, in milliseconds: so much of a time to live is over.
    /// - Returns: the contact that it replaces or ends; nil when there was none.
    @discardableResult
    public mutating func apply(
        _ entry: LogEntry, epoch: UInt64, age: UInt32 = 0, at now: Moment
    ) -> PackedContact? {
        position = Position(epoch: epoch, seq: entry.seq)
        switch entry.change {
        case .registered(let contact, let ttl, _):
            return table.put(contact, deadline: time(at: now) + Int64(ttl) - Int64(min(age, ttl)))
        case .unregistered(let contact, _):
            return table.remove(key: contact.keyBytes)
        case .clear(let reason):
            if reason == .storageCleared { table.removeAll() }
            table.beginGeneration()
            isReplayed = false
            return nil
        }
    }

    /// Empties the copy for a snapshot that is taken at `position`.
    public mutating func reset(to position: Position) {
        table.removeAll()
        self.position = position
        isComplete = false
        isReplayed = false
    }

    /// Takes in a part of a snapshot.
    public mutating func take(_ contacts: [LiveContact], at now: Moment) {
        let time = time(at: now)
        for live in contacts { table.put(live.contact, deadline: time + Int64(live.ttl)) }
    }

    /// The snapshot is whole: the list is the owner's, whatever the owner has yet to restate.
    public mutating func seal() {
        isComplete = true
        isReplayed = true
    }

    /// Everything live has been restated: what has not been is void.
    /// - Parameter lastOfAccount: is handed each contact of that whose account has none left.
    /// - Returns: that.
    @discardableResult
    public mutating func sweep(_ lastOfAccount: (PackedContact) -> Void = { _ in }) -> [PackedContact] {
        isComplete = true
        isReplayed = true
        return table.sweep(lastOfAccount)
    }

    /// What remains of a contact's time to live, in milliseconds.
    public func remaining(_ deadline: Int64, at now: Moment) -> UInt32 { UInt32(clamping: deadline - time(at: now)) }

    /// Each contact of the list that consumers hold: those restated since the last `clear`, in the order of slots.
    public func forEachLive(at now: Moment, _ body: (PackedContact, _ ttl: UInt32) -> Void) {
        forEach(at: now, includingUnrestated: false, body)
    }

    /// The same, and on demand each contact that has yet to be restated.
    public func forEach(
        at now: Moment, includingUnrestated: Bool, _ body: (PackedContact, _ ttl: UInt32) -> Void
    ) {
        for slot in 0..<table.slotCount {
            guard let found = table.contact(inSlot: slot), includingUnrestated || found.isCurrent else { continue }
            body(found.contact, remaining(found.deadline, at: now))
        }
    }
}

/// A change of a copy, as the journal keeps it. Applying a domain's records in order restores the copy.
public enum JournalRecord: Sendable, Hashable {
    /// Entries of an epoch's log, in order.
    case entries(epoch: UInt64, [LogEntry])
    /// A snapshot begins: the copy is empty, at this position.
    case reset(Position)
    /// What follows up to `sealed` says again what the copy holds already, so that older records may go.
    case checkpoint(Position)
    /// A part of a snapshot.
    case contacts([LiveContact])
    /// What has been said of the copy has yet to be restated in its epoch; what follows has been.
    case generation
    /// The snapshot is whole.
    case sealed
    /// Everything live has been restated in this epoch.
    case swept
}

extension DomainReplica {
    /// Applies a record. What it holds counts from `now`; the journal's reader takes off what has passed since.
    public mutating func apply(_ record: JournalRecord, at now: Moment) {
        switch record {
        case .entries(let epoch, let entries):
            for entry in entries { apply(entry, epoch: epoch, at: now) }
        case .reset(let position), .checkpoint(let position): reset(to: position)
        case .contacts(let contacts): take(contacts, at: now)
        case .generation: table.beginGeneration()
        case .sealed:
            seal()
            isReplayed = table.currentCount == table.count
        case .swept: sweep()
        }
    }
}
