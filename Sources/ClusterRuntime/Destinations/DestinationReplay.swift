import RegistrarEvents

/// The `clear` and replay that an owner makes for one destination, part by part as it has room for them.
///
/// Each part is of the table as it is when the part is made, and goes out once everything that it shows is committed,
/// between that and what is committed after it.
/// So nothing is frozen meanwhile: the destination tells the whole of it at the position of the first part, and then
/// the log from there on, which says the same again of what has changed in between.
public struct DestinationReplay: Sendable, Hashable {
    /// A piece of the list, at its place in the order.
    public struct Part: Sendable, Hashable {
        public let epoch: UInt64
        /// Everything up to here has been published.
        public let after: UInt64
        /// Begins with `clear`.
        public let isFirst: Bool
        public let isLast: Bool
        public let contacts: [LiveContact]

        public init(epoch: UInt64, after: UInt64, isFirst: Bool, isLast: Bool, contacts: [LiveContact]) {
            self.epoch = epoch
            self.after = after
            self.isFirst = isFirst
            self.isLast = isLast
            self.contacts = contacts
        }
    }

    /// Slots of the table that a part covers.
    public static let slotsPerPart = 512

    public let destination: String
    private var nextSlot = 0
    private var isFirst = true
    /// Since when another part has been wanted; nil while none is.
    public private(set) var wantedSince: MonotonicInstant?
    private var pending: Part?
    /// Whether the last part has been taken.
    public private(set) var isOver = false

    public init(to destination: String, at now: MonotonicInstant) {
        self.destination = destination
        wantedSince = now
    }

    /// There is room for another part.
    public mutating func goOn(at now: MonotonicInstant) { wantedSince = now }

    /// The entry that has to be published, and none after it, before the part that is ready; nil when none is.
    public var due: UInt64? { pending?.after }

    /// Gets the part ready that is wanted.
    /// - Parameter last: the last entry that the table holds.
    public mutating func prepare(of replica: DomainReplica, epoch: UInt64, last: UInt64, at now: Moment) {
        guard pending == nil, wantedSince != nil else { return }
        pending = make(of: replica, epoch: epoch, last: last, at: now)
        wantedSince = nil
    }

    /// Takes the part that is ready.
    public mutating func take() -> Part? {
        defer { pending = nil }
        isOver = pending?.isLast ?? isOver
        return pending
    }

    private mutating func make(of replica: DomainReplica, epoch: UInt64, last: UInt64, at now: Moment) -> Part {
        let end = min(nextSlot + Self.slotsPerPart, replica.table.slotCount)
        var contacts: [LiveContact] = []
        for slot in nextSlot..<max(end, nextSlot) {
            // What this epoch's own replay has yet to restate comes with that.
            guard let found = replica.table.contact(inSlot: slot), found.isCurrent else { continue }
            let ttl = max(replica.remaining(found.deadline, at: now), 1)
            contacts.append(LiveContact(contact: found.contact, ttl: ttl))
        }
        nextSlot = end
        defer { isFirst = false }
        return Part(
            epoch: epoch, after: last, isFirst: isFirst, isLast: end >= replica.table.slotCount, contacts: contacts)
    }
}
