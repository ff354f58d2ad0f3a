import ClusterRuntime
import RegistrarEvents

/// Letting go of a domain that the topology has no more, by the active router's order.
///
/// The owner takes on nothing new, ends every registration (`delete_aor`) once all of them were restated in its epoch,
/// and has the list cleared, which begins an epoch with `clear` as its only entry. When everybody who follows has that,
/// and every destination, the router is asked to retire the domain. Whoever is owner gets the order again, so each of
/// these steps may be cut off by a failover.
///
/// The owner serves again when it learns of a topology that has the domain, and when the order is not repeated. What
/// had ended by then has ended. Once it has asked for the epoch that begins with `clear`, or to be let go, it first
/// asks for another revision instead, and waits for whatever comes: the step may be granted at any moment, and what was
/// taken in before it would be gone. A new revision makes it void.
extension DomainMachine {
    /// How long an order holds.
    static let retirementPatience = Duration.seconds(2)
    /// How long followers have to find the last epoch, and to take it in.
    static let farewell = Duration.seconds(1)
    static let longestFarewell = Duration.seconds(5)
    /// How often the router is asked for a step.
    private static let retirementInterval = Duration.milliseconds(200)
    /// Registrations that one turn ends at most.
    private static let retirementBatch = 1_024

    /// A retirement under way, over epochs.
    struct Retirement: Sendable {
        /// Who ordered it, and is asked for each step.
        var router: NodeName
        var orderedAt: MonotonicInstant
        var lastAsked: MonotonicInstant?
        /// The revision of the assignment under which a step was asked for last.
        var askedUnder: UInt64?
        /// The next slot to look at for registrations that are to end, in this epoch.
        var cursor = 0
        var epoch: UInt64
        /// The version of the topology that has the domain no more.
        var topology: UInt64

        init(_ order: Retire, from router: NodeName, at now: Moment) {
            self.router = router
            orderedAt = now.monotonic
            epoch = order.epoch
            topology = order.topology
        }
    }

    mutating func take(_ order: Retire, from router: NodeName, at now: Moment) -> [Directive] {
        guard let current = owner, !current.isDeposed, order.epoch == current.epoch,
            order.revision == current.assignment.revision, order.topology > policy.topology
        else { return [] }
        let isFirst = retirement == nil
        var next = Retirement(order, from: router, at: now)
        if let retirement, retirement.epoch == order.epoch {
            (next.cursor, next.lastAsked) = (retirement.cursor, retirement.lastAsked)
        }
        next.askedUnder = retirement?.askedUnder
        retirement = next
        return isFirst ? [.retiring] : []
    }

    /// Whether requests are refused because the domain is no more.
    public var isRetiring: Bool { owner != nil && retirement != nil }

    /// The domain was put back, or nobody orders its end any more; and no step towards it can be granted.
    mutating func endRetirementIfOver(at now: Moment) {
        guard let owner, let retirement, isOver(retirement, at: now),
            retirement.askedUnder != owner.assignment.revision
        else { return }
        self.retirement = nil
    }

    private func isOver(_ retirement: Retirement, at now: Moment) -> Bool {
        // A topology has the domain that is newer than the one that had it no more.
        retirement.topology <= policy.topology || now.monotonic - retirement.orderedAt >= Self.retirementPatience
    }

    /// An epoch that began empty and in which nothing has happened since: its `clear` is the last word.
    private func isCleared(_ owner: Ownership) -> Bool {
        owner.assignment.cause == .storageCleared && owner.ring.lastSeq == 1
    }

    /// Ends registrations, as many as a turn may and the log has room for.
    mutating func endForRetirement(at now: Moment) {
        guard let current = owner, var retirement, retirement.epoch == current.epoch, current.replayEnd > 0 else {
            return
        }
        var budget = Self.retirementBatch
        while budget > 0, owner!.room(policy) > 0, retirement.cursor < replica.table.slotCount {
            if let found = replica.table.contact(inSlot: retirement.cursor) {
                append(.unregistered(found.contact, .deleteAOR), at: now)
                budget -= 1
            }
            retirement.cursor += 1
        }
        // What was granted before the order came may have taken a slot that was passed already.
        if retirement.cursor >= replica.table.slotCount, replica.table.count > 0 { retirement.cursor = 0 }
        self.retirement = retirement
    }

    /// Once everything has ended: asks for the epoch that begins with `clear`, and then to be let go.
    mutating func askToRetire(at now: Moment) -> [Directive] {
        guard let current = owner, let retirement, current.replayEnd > 0, replica.table.count == 0,
            current.uncommitted == 0
        else { return [] }
        if let asked = retirement.lastAsked, now.monotonic - asked < Self.retirementInterval { return [] }
        let (isOver, isCleared) = (isOver(retirement, at: now), isCleared(current))
        // While nothing that was asked for can come, the next turn ends the retirement.
        if isOver, retirement.askedUnder != current.assignment.revision { return [] }
        guard isOver || !isCleared || isFarewellOver(current, at: now) else { return [] }
        self.retirement?.lastAsked = now.monotonic
        self.retirement?.askedUnder = current.assignment.revision
        let change = ReplicaChange(
            domain: domain, epoch: current.epoch, revision: current.assignment.revision,
            kind: isOver ? .remove : isCleared ? .retire : .clear, node: node)
        // Who gave the order may lead no more by then.
        return isOver ? [.askRouters(change)] : [.send(.replicaChange(change), to: retirement.router)]
    }

    /// Followers come to an epoch by themselves, so it takes a moment until the owner knows all that there are.
    /// Destinations are waited for however long they take: nobody else could tell them.
    private func isFarewellOver(_ current: Ownership, at now: Moment) -> Bool {
        let age = now.monotonic - current.began
        let end = Position(epoch: current.epoch, seq: current.ring.lastSeq)
        guard age >= Self.farewell, current.cursors.allSatisfy({ $0.position >= end }) else { return false }
        return age >= Self.longestFarewell
            || current.feeds.allSatisfy { $0.acknowledged >= current.ring.lastSeq && !$0.isInSnapshot }
    }
}
