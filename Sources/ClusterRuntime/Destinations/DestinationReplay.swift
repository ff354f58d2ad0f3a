import RegistrarEvents

/// The `clear` and replay that an owner makes for one destination, part by part as it has room for them.
///
/// Each part is of the table as it is when the part is made, and goes out once everything that it shows is committed.
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
    private var isWanted = true
    private var pending: Part?

    public init(to destination: String) { self.destination = destination }

    /// There is room for another part.
    public mutating func goOn() { isWanted = true }

    /// - Parameter committed: the last entry that is committed and published.
    /// - Parameter last: the last entry that the table holds.
    /// - Returns: the next part, if one may go out now.
    public mutating func next(
        of replica: DomainReplica, epoch: UInt64, committed: UInt64, last: UInt64, at now: Moment
    ) -> Part? {
        if isWanted, pending == nil {
            pending = make(of: replica, epoch: epoch, last: last, at: now)
            isWanted = false
        }
        guard let part = pending, committed >= part.after else { return nil }
        pending = nil
        return part
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
