package import ClusterRuntime
package import RegistrarEvents

/// One subscriber's set, kept by the three rules a consumer needs (`clear` empties, `*_registered` adds,
/// `*_unregistered` removes), and its check of positions.
///
/// Legal: in an epoch each event has the seq after the one before; an epoch begins with `clear` at seq 1 and is higher
/// than the one before. A `clear` for this subscriber alone (snapshot, resync) stands at the position it was taken at,
/// as do the events that restate the set after it; it may skip what the subscriber missed, and never goes back.
package struct SubscriberView: Sendable {
    /// One event as it came.
    package struct Event: Hashable, Sendable {
        package enum Change: Hashable, Sendable {
            case registered(ContactNumber?)
            case unregistered(ContactNumber?)
            /// `own` when it was made for this subscriber and is not in the domain's log.
            case clear(own: Bool)
        }
        package var position: Position
        package var replay: Bool
        package var change: Change
        /// Of a registration by SIP; nil where it was not told.
        package var cseq: UInt32?

        package init(_ position: Position, _ change: Change, replay: Bool = false, cseq: UInt32? = nil) {
            self.position = position
            self.change = change
            self.replay = replay
            self.cseq = cseq
        }
    }

    /// What was seen since one `clear`: when it came, and when each contact was restated.
    package struct Era: Sendable {
        package var epoch: UInt64
        package var clearedAt: MonotonicInstant
        /// By contact, nanoseconds since `clearedAt` of the first event that says it is registered; -1: none yet.
        package var firstSeen: [Int64]
    }

    package let name: String
    package private(set) var position = Position.start
    /// Whether each contact of the drill is in the set.
    package private(set) var holds: [Bool]
    /// Of each contact in the set, by which request it was registered or renewed last; 0 where that was not told.
    private var cseqs: [UInt32]
    package private(set) var violations: [Violation] = []
    package private(set) var violationCount = 0
    /// The latest eras, oldest first; more than these are not needed to time the faults of one drill.
    package private(set) var eras: [Era] = []
    package private(set) var eventCount = 0
    /// Where the set of this subscriber alone is being restated, if it is.
    private var restating: Position?

    static let maximumViolations = 100
    static let maximumEras = 8

    package init(name: String, contacts: Int) {
        self.name = name
        holds = Array(repeating: false, count: contacts)
        cseqs = Array(repeating: 0, count: contacts)
    }

    package var record: SubscriberRecord {
        let set = holds.indices.filter { holds[$0] }
        return SubscriberRecord(name: name, set: Set(set), cseqs: cseqs, violations: violations)
    }

    /// Takes in an event.
    /// - Returns: whether it is of the domain's log, and not a copy made for this subscriber.
    package mutating func apply(_ event: Event, at now: MonotonicInstant) -> Bool {
        eventCount += 1
        let inLog = checkPosition(event)
        switch event.change {
        case .clear:
            for index in holds.indices { holds[index] = false }
            beginEra(event.position.epoch, at: now)
        case .registered(let contact):
            guard let contact, holds.indices.contains(contact) else { break }
            holds[contact] = true
            cseqs[contact] = event.cseq ?? 0
            markSeen(contact, at: now)
        case .unregistered(let contact):
            if let contact, holds.indices.contains(contact) { holds[contact] = false }
        }
        return inLog
    }

    private mutating func checkPosition(_ event: Event) -> Bool {
        let next = event.position
        if case .clear(own: true) = event.change {
            if next < position { report(.order, "a snapshot at \(next) after \(position)") }
            position = next
            restating = next
            return false
        }
        if event.replay, next == restating { return false }
        restating = nil
        defer { position = max(position, next) }
        if case .clear(own: false) = event.change {
            checkClear(next)
        } else if next == Position(epoch: position.epoch, seq: position.seq + 1) {
            // The one right position.
        } else if next.epoch == position.epoch, next.seq <= position.seq {
            report(.duplicated, "\(next) came again after \(position)")
            return false
        } else if next < position {
            report(.order, "\(next) came after \(position)")
        } else if next.epoch > position.epoch {
            report(.order, "epoch \(next.epoch) began at \(next) without a clear, after \(position)")
        } else {
            report(.order, "\(next) came after \(position): events in between are missing")
        }
        return true
    }

    private mutating func checkClear(_ next: Position) {
        if next == Position(epoch: position.epoch, seq: 1), position.seq == 0 { return }
        if next == Position(epoch: position.epoch, seq: 1) {
            report(.duplicated, "the clear at \(next) came again after \(position)")
        } else if next.epoch <= position.epoch {
            report(.order, "a clear at \(next) after \(position)")
        } else if next.seq != 1 {
            report(.order, "a clear at \(next), not at seq 1 of its epoch")
        }
    }

    private mutating func beginEra(_ epoch: UInt64, at now: MonotonicInstant) {
        if eras.count == Self.maximumEras { eras.removeFirst() }
        eras.append(Era(epoch: epoch, clearedAt: now, firstSeen: Array(repeating: -1, count: holds.count)))
    }

    private mutating func markSeen(_ contact: ContactNumber, at now: MonotonicInstant) {
        guard let last = eras.indices.last, eras[last].firstSeen[contact] < 0 else { return }
        eras[last].firstSeen[contact] = (now - eras[last].clearedAt).nanoseconds
    }

    private mutating func report(_ kind: Violation.Kind, _ text: String) {
        violationCount += 1
        if violations.count < Self.maximumViolations { violations.append(Violation(kind, "\(name): \(text)")) }
    }
}
