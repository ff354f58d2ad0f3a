import ClusterRuntime
import RegistrarEvents

/// Giving the domain up as planned, and taking it on a moment too soon.
///
/// Nothing of this is needed for safety: any in-sync standby may be promoted at any time. It is for the requests under
/// way: the owner lets them come to their end before it asks to be replaced, and refuses new ones meanwhile, so that
/// gateways hold them until the new owner is known. The new owner in turn holds what reaches it before its own
/// assignment does.
extension DomainMachine {
    /// How long an owner refuses requests for the sake of a hand-over that does not come.
    static let handOverPatience = Duration.milliseconds(250)
    /// How long it then serves before it may be ordered to stop again.
    static let handOverPause = Duration.seconds(1)
    /// How often the router is asked to make the hand-over true.
    private static let handOverInterval = Duration.milliseconds(50)

    /// A hand-over under way at the owner.
    struct HandingOver: Sendable {
        let successor: NodeID
        /// Who ordered it, and is asked to carry it out.
        var router: NodeName
        let began: MonotonicInstant
        var lastAsked: MonotonicInstant?
    }

    mutating func take(_ order: HandOver, from router: NodeName, at now: Moment) -> [Directive] {
        guard let current = owner, !current.isDeposed, order.epoch == current.epoch,
            order.revision == current.assignment.revision, current.assignment.inSync.contains(order.node),
            // Whoever takes over amid a replay would have to begin it again.
            current.replayEnd > 0
        else { return [] }
        guard current.handOver == nil else {
            // It may be another router by now, which goes on where the former one left off.
            if current.handOver?.successor == order.node { owner!.handOver?.router = router }
            return []
        }
        if let gaveUp = current.handOverGivenUp, now.monotonic - gaveUp < Self.handOverPause { return [] }
        owner!.handOver = HandingOver(successor: order.node, router: router, began: now.monotonic)
        return [.handingOver(to: order.node)]
    }

    /// Whether requests are refused so that the domain can be handed over.
    var isHandingOver: Bool { owner?.handOver != nil }

    /// Goes on serving when nothing came of it.
    mutating func endHandOverIfOverdue(at now: Moment) {
        guard let handOver = owner?.handOver, now.monotonic - handOver.began >= Self.handOverPatience else { return }
        owner!.handOver = nil
        owner!.handOverGivenUp = now.monotonic
    }

    /// Once everything is committed and the successor has it all, the router is asked to make it the owner.
    mutating func askToHandOver(at now: Moment) -> [Directive] {
        guard let current = owner, let handOver = current.handOver, current.uncommitted == 0, current.waiting.isEmpty,
            current.acknowledged(by: handOver.successor) == current.ring.lastSeq
        else { return [] }
        if let asked = handOver.lastAsked, now.monotonic - asked < Self.handOverInterval { return [] }
        owner!.handOver?.lastAsked = now.monotonic
        owner!.hasAskedToBeReplaced = true
        let change = ReplicaChange(
            domain: domain, epoch: current.epoch, revision: current.assignment.revision, kind: .handOver,
            node: handOver.successor)
        return [.send(.replicaChange(change), to: handOver.router)]
    }
}

/// Requests of an epoch that this node has not heard of yet: gateways learn of it at the same time as its owner does.
extension DomainMachine {
    /// Requests held until the assignment comes, and for how long.
    static let earlyLimit = 1_024
    static let earlyPatience = Duration.milliseconds(100)

    struct EarlyRequest: Sendable {
        let request: Request
        let sender: NodeName
        let arrived: MonotonicInstant
    }

    mutating func hold(_ request: Request, from sender: NodeName, at now: Moment) -> [Directive] {
        guard early.count < Self.earlyLimit else { return [.refuse(request.id, .notOwner, to: sender)] }
        early.append(EarlyRequest(request: request, sender: sender, arrived: now.monotonic))
        return []
    }

    /// The assignment has come: what was asked of its owner is granted, in the order in which it was asked.
    mutating func grantEarly(at now: Moment) -> [Directive] {
        let held = early
        early = []
        return held.flatMap { handle(.request($0.request, from: $0.sender), at: now) }
    }

    mutating func refuseOverdueEarly(at now: Moment) -> [Directive] {
        guard let first = early.first, now.monotonic - first.arrived >= Self.earlyPatience else { return [] }
        let held = early
        early = []
        return held.map { .refuse($0.request.id, .notOwner, to: $0.sender) }
    }
}
