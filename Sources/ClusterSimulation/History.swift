import ClusterRuntime
import RegistrarEvents

/// What clients and consumers saw, from the outside, and what of it breaks a promise. Knows nothing of the machines.
struct History {
    struct Acknowledgement {
        let operation: ClientOperation
        let position: Position
        let by: NodeID
        let received: MonotonicInstant
    }

    /// What is known of a contact: the last outcome that is certain, and whether something uncertain came after it.
    struct Knowledge {
        var isRegistered = false
        /// Not before this can a registration that was acknowledged run out, and by then it must have.
        var expiresNotBefore = MonotonicInstant.distantPast
        var isUncertain = false
        /// When it has run out at the latest; nil when that is not known.
        var expiresNotAfter: MonotonicInstant?
        /// Where the last acknowledged operation stands in the domain's order.
        var position = Position.start
        /// Which registration it is, of those asked for.
        var mark: Notification.Mark?
        /// Where the domain's removal ended it, as far as that was delivered.
        var endedAt = Position.start
    }

    struct ContactID: Hashable {
        let domain: DomainName
        let key: ContactKey
    }

    /// How late a copy may be told of a registration beyond what it is told of its age.
    static let lateness = Duration.milliseconds(1_500)
    /// Copies count in these.
    private static let millisecond = Duration.milliseconds(1)
    /// How much sooner than on the simulation's clock a registration may run out on one that is fast.
    var tolerance = Duration.zero
    private(set) var knowledge: [ContactID: Knowledge] = [:]
    private(set) var violations: [String] = []
    private(set) var acknowledged = 0
    private(set) var unknown = 0

    /// The node that acknowledged in each epoch of a domain.
    private var writers: [DomainName: [UInt64: NodeID]] = [:]
    /// The highest position acknowledged so far, with the time at which the client knew.
    private var latestPosition: [DomainName: [(position: Position, known: MonotonicInstant)]] = [:]
    /// When each domain's removal was last under way: what was asked for before may have ended by it.
    private var mayHaveEnded: [DomainName: MonotonicInstant] = [:]
    /// Below which epoch nothing counts, since the next one began although those that have everything may be there.
    private var forgivenBelow: [DomainName: UInt64] = [:]
    /// What was acknowledged where: the log has to have it there.
    private var claimed: [DomainName: [Position: ContactKey]] = [:]
    /// The highest epoch acknowledged so far, with the time at which the client knew.
    private var latestEpoch: [DomainName: [(epoch: UInt64, known: MonotonicInstant)]] = [:]
    /// Every committed entry that any follower was handed, to see that all were handed the same.
    private(set) var log: [DomainName: [Position: LogEntry]] = [:]

    mutating func violate(_ promise: String, _ text: String) {
        guard violations.count < 20 else { return }
        violations.append("\(promise): \(text)")
    }

    // MARK: Clients

    mutating func acknowledge(_ acknowledgement: Acknowledgement) {
        acknowledged += 1
        let operation = acknowledgement.operation
        let epoch = acknowledgement.position.epoch
        let contact = ContactID(domain: operation.domain, key: operation.key)
        if let writer = writers[operation.domain]?[epoch], writer != acknowledgement.by {
            violate(
                "one writer",
                "epoch \(epoch) of \(operation.domain): \(writer) and \(acknowledgement.by) acknowledged")
        }
        writers[operation.domain, default: [:]][epoch] = acknowledgement.by
        if epoch < forgivenBelow[operation.domain] ?? 0 { return giveUp(operation) }
        let newer = latestEpoch[operation.domain]?.first { $0.epoch > epoch && $0.known < operation.started }
        if let newer {
            violate(
                "one writer",
                "\(acknowledgement.by) acknowledged \(operation.key) in epoch \(epoch), "
                    + "asked after epoch \(newer.epoch) was known")
        }
        if latestEpoch[operation.domain]?.last?.epoch ?? 0 < epoch {
            latestEpoch[operation.domain, default: []].append((epoch, acknowledgement.received))
        }
        checkOrder(of: acknowledgement)
        let endedAt = knowledge[contact]?.endedAt ?? .start
        switch operation.kind {
        case .register(let ttl):
            knowledge[contact] = Knowledge(
                // An answer may come after what ended the domain.
                isRegistered: endedAt < acknowledgement.position,
                expiresNotBefore: operation.started + .milliseconds(Int64(ttl)),
                expiresNotAfter: acknowledgement.received + .milliseconds(Int64(ttl)) + Self.lateness,
                position: acknowledgement.position, mark: operation.mark, endedAt: endedAt)
        case .unregister: knowledge[contact] = Knowledge(position: acknowledgement.position, endedAt: endedAt)
        }
        // What has ended since may have been there again: the request was sent to the next owner, too.
        let mayHaveEnded = mayHaveEnded[operation.domain].map { operation.started <= $0 } ?? false
        if mayHaveEnded || (endedAt > .start && endedAt >= acknowledgement.position) {
            knowledge[contact]?.isUncertain = true
        }
    }

    /// What was asked for after an answer had come stands behind it; and a registration stands where its answer says.
    private mutating func checkOrder(of acknowledgement: Acknowledgement) {
        let (operation, position) = (acknowledgement.operation, acknowledgement.position)
        let earlier = latestPosition[operation.domain]?.last { $0.known < operation.started }
        if let earlier, earlier.position > position {
            violate(
                "one order",
                "\(operation.domain) \(operation.key) is acknowledged at \(position), asked after "
                    + "\(earlier.position) was known")
        }
        if position > latestPosition[operation.domain]?.last?.position ?? .start {
            latestPosition[operation.domain, default: []].append((position, acknowledgement.received))
        }
        guard case .register = operation.kind, operation.isAlone else { return }
        claimed[operation.domain, default: [:]][position] = operation.key
        if let entry = log[operation.domain]?[position] { compare(entry, at: position, of: operation.domain) }
    }

    private mutating func compare(_ entry: LogEntry, at position: Position, of domain: DomainName) {
        guard let key = claimed[domain]?[position] else { return }
        if case .registered(let contact, _, _) = entry.change, World.key(contact) == key { return }
        violate("one order", "\(domain) \(key) was acknowledged at \(position), where the log has something else")
    }

    /// A request is under way: until its outcome is known, nothing is.
    mutating func begin(_ operation: ClientOperation) {
        knowledge[ContactID(domain: operation.domain, key: operation.key), default: Knowledge()].isUncertain = true
    }

    /// The client gave up: it may have happened or not, or may happen yet.
    mutating func giveUp(_ operation: ClientOperation) {
        unknown += 1
        begin(operation)
    }

    /// For so long nobody could renew: no registration may run out the sooner for it.
    mutating func grant(_ outage: Duration, in domain: DomainName) {
        for contact in knowledge.keys where contact.domain == domain {
            knowledge[contact]?.expiresNotBefore += outage
        }
    }

    /// So much is granted to everybody at most: what a new owner took for the outage.
    mutating func allow(_ stretch: Duration, in domain: DomainName) {
        for contact in knowledge.keys where contact.domain == domain {
            knowledge[contact]?.expiresNotAfter? += stretch
        }
    }

    /// The domain is removed, or put back before its removal was through: what was acknowledged so far may have ended
    /// by that. Consumers learn it by `delete_aor` or, when the owner was lost over it, by the next one's `clear`. Or
    /// an epoch begins with what there is, as nobody that held everything came back in time.
    mutating func mayHaveEnded(_ domain: DomainName, at now: MonotonicInstant) {
        mayHaveEnded[domain] = now
        for contact in knowledge.keys where contact.domain == domain { knowledge[contact]?.isUncertain = true }
    }

    /// Owners of former epochs may not have heard of the next one yet, and go on: nothing of that counts.
    mutating func forgive(_ domain: DomainName, below epoch: UInt64) { forgivenBelow[domain] = epoch }

    // MARK: Consumers

    mutating func delivered(
        _ entry: LogEntry, epoch: UInt64, of domain: DomainName, to follower: NodeName, at now: MonotonicInstant
    ) {
        let position = Position(epoch: epoch, seq: entry.seq)
        if let known = log[domain]?[position], known != entry {
            violate("one order", "\(domain) \(position): \(follower) was handed another entry than others")
        }
        log[domain, default: [:]][position] = entry
        compare(entry, at: position, of: domain)
        switch entry.change {
        // The domain was removed: what was acknowledged before has ended by that.
        case .unregistered(let contact, .deleteAOR):
            if let key = try? contact.key() { end(ContactID(domain: domain, key: key), by: position) }  // made here
        case .clear(.storageCleared):
            for contact in knowledge.keys where contact.domain == domain { end(contact, by: position) }
        case .registered, .unregistered, .clear: break
        }
        if case .unregistered(let contact, .expiredContact) = entry.change, let key = try? contact.key() {  // made here
            let known = knowledge[ContactID(domain: domain, key: key)]
            if let known, known.position < position, known.isRegistered, !known.isUncertain,
                now + tolerance + Self.millisecond < known.expiresNotBefore
            {
                violate("deadlines", "\(domain) \(key) expired \(known.expiresNotBefore - now) too early")
            }
        }
    }

    private mutating func end(_ contact: ContactID, by position: Position) {
        guard let known = knowledge[contact], known.endedAt < position else { return }
        knowledge[contact]?.endedAt = position
        if known.position < position { knowledge[contact]?.isRegistered = false }
    }

    // MARK: At the end, and whenever a node becomes owner

    /// Holds the list of the owner against what clients know.
    /// - Parameters:
    ///   - mayOutlive: whether it is known that contacts may be listed for longer than they were granted.
    ///   - epoch: what was acknowledged from this epoch on does not count; nil when all does.
    mutating func compare(
        _ list: [ContactKey: PackedContact], of domain: DomainName, before epoch: UInt64? = nil,
        at now: MonotonicInstant, mayOutlive: Bool
    ) {
        for (contact, known) in knowledge.sorted(by: { $0.key.key < $1.key.key }) where contact.domain == domain {
            guard !known.isUncertain, epoch.map({ known.position.epoch < $0 && known.endedAt.epoch < $0 }) ?? true
            else { continue }
            let isListed = list[contact.key] != nil
            if known.isRegistered, now + tolerance < known.expiresNotBefore, !isListed {
                violate("nothing acknowledged is lost", "\(domain) \(contact.key) is not listed")
            }
            if !mayOutlive, let end = known.expiresNotAfter, end + tolerance + Self.lateness < now, isListed {
                violate("deadlines", "\(domain) \(contact.key) is listed \(now - end) after it ran out")
            }
            if !known.isRegistered, isListed {
                violate("nothing comes back", "\(domain) \(contact.key) is listed though it was unregistered")
            }
            if known.isRegistered, let mark = known.mark, let listed = list[contact.key],
                Notification.mark(listed) != mark
            {
                violate(
                    "nothing acknowledged is lost", "\(domain) \(contact.key) is listed as it was before \(mark)")
            }
        }
    }
}
