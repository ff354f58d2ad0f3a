import ClusterRuntime
import RegistrarEvents

/// Requests, as the owner of the epoch they name.
extension DomainMachine {
    mutating func grant(_ request: Request, from sender: NodeName, at now: Moment) -> [Directive] {
        if case .list(let cursor, let account) = request.operation {
            return list(cursor, account, request.id, sender, at: now)
        }
        if let refusal = refusalForNow(at: now) { return [.refuse(request.id, refusal, to: sender)] }
        switch request.operation {
        case .register(let contact, let ttl): return register(contact, ttl: ttl, request.id, sender, at: now)
        case .unregister(let key, let reason):
            let contacts = replica.table.contact(key: key[...]).map { [$0] } ?? []
            guard !contacts.isEmpty || !mayStandbysHaveMore else {
                return [.refuse(request.id, .overloaded, to: sender)]
            }
            return unregister(contacts, reason, request.id, sender, at: now)
        case .deleteAccount(let account):
            guard !mayStandbysHaveMore else { return [.refuse(request.id, .overloaded, to: sender)] }
            let contacts = replica.table.contacts(of: account).map(\.contact)
            return unregister(contacts, .deleteAOR, request.id, sender, at: now)
        case .bind(let binding): return bind(binding, request.id, sender, at: now)
        case .clear: return clear(request.id, sender, at: now)
        case .list: preconditionFailure("a list was answered above")
        }
    }

    /// Whether standbys may hold something that is no more here, so that one of them, promoted now, would restate it:
    /// they keep what they had from earlier epochs until they have everything that is restated in this one. What has no
    /// entry of its own to tell them is asked for again.
    var mayStandbysHaveMore: Bool {
        guard let owner, !owner.waitsForNobody else { return false }
        return owner.replayEnd == 0 || owner.committed < owner.replayEnd
    }

    /// Why nothing at all is granted at the moment.
    private func refusalForNow(at now: Moment) -> Refusal? {
        guard let owner, owner.handOver == nil, !isRetiring else { return .notOwner }
        if owner.waitsForNobody, !mayActAlone(at: now) { return .unavailable }
        // Requests that change nothing wait as well.
        let isOverloaded = owner.room(policy) == 0 || owner.waiting.count >= policy.maximumUncommitted
        return isOverloaded ? .overloaded : nil
    }

    /// Without a standby, an acknowledgement rests on the lease and on this node's disk.
    func mayActAlone(at now: Moment) -> Bool {
        policy.acceptsWithoutLease || (now.monotonic < leaseUntil && isJournalWritable)
    }

    private mutating func register(
        _ contact: PackedContact, ttl: UInt32, _ id: UInt64, _ sender: NodeName, at now: Moment
    ) -> [Directive] {
        if let refusal = refusal(of: contact, ttl: ttl) { return [.refuse(id, refusal, to: sender)] }
        let granted = min(ttl, policy.maximumTTL)
        append(.registered(contact, ttl: granted, replay: false), at: now)
        wait(id, sender, .registered(ttl: granted))
        return []
    }

    private func refusal(of contact: PackedContact, ttl: UInt32) -> Refusal? {
        guard ttl >= policy.minimumTTL else { return .intervalTooBrief(minimum: policy.minimumTTL) }
        guard !replica.table.contains(key: contact.keyBytes) else { return nil }
        guard replica.table.count < policy.maximumContacts else { return .domainFull(limit: policy.maximumContacts) }
        let devices = replica.table.contacts(accountPrefix: contact.bytes[..<contact.accountLength]).count
        return devices < policy.maximumDevices ? nil : .tooManyDevices(limit: policy.maximumDevices)
    }

    private mutating func unregister(
        _ contacts: [PackedContact], _ reason: UnregisterReason, _ id: UInt64, _ sender: NodeName, at now: Moment
    ) -> [Directive] {
        for contact in contacts { append(.unregistered(contact, reason), at: now) }
        // Also when there was nothing to end: what ended it before may not be committed yet.
        let came = contacts.isEmpty ? now.monotonic : nil
        wait(id, sender, .unregistered(count: UInt32(clamping: contacts.count)), changedNothingAt: came)
        return []
    }

    /// - Parameter changedNothingAt: when the request came, if there is no entry of its own that it waits for.
    mutating func wait(
        _ id: UInt64, _ sender: NodeName, _ reply: Ownership.Waiting.Pending,
        changedNothingAt came: MonotonicInstant? = nil
    ) {
        let seq = owner?.ring.lastSeq ?? 0
        owner?.waiting.append(
            Ownership.Waiting(seq: seq, id: id, sender: sender, reply: reply, changedNothingAt: came))
    }

    /// An emptied list is a new epoch, which only the router can begin; its first entry then answers the request.
    private mutating func clear(_ id: UInt64, _ sender: NodeName, at now: Moment) -> [Directive] {
        guard let owner else { return [] }
        if owner.assignment.cause == .storageCleared, lastClear?.id == id, lastClear?.sender == sender {
            wait(id, sender, .unregistered(count: 0), changedNothingAt: now.monotonic)
            return []
        }
        lastClear = (sender, id)
        return [
            .askRouters(
                ReplicaChange(
                    domain: domain, epoch: owner.epoch, revision: owner.assignment.revision, kind: .clear, node: node))
        ]
    }

    // MARK: Reading

    /// Contacts in one page, fewer when those are more than `Limits.listBytes`; the next page begins at the slot after
    /// the last.
    static let pageSize = 500

    /// Answered at once by who surely is the owner, and else as other requests that change nothing are.
    private mutating func list(
        _ cursor: UInt32, _ account: AccountID?, _ id: UInt64, _ sender: NodeName, at now: Moment
    ) -> [Directive] {
        if isSurelyOwner(at: now) {
            return [.send(.reply(Reply(id: id, result: page(cursor, account, at: now))), to: sender)]
        }
        guard let owner, !owner.waitsForNobody else { return [.refuse(id, .unavailable, to: sender)] }
        guard owner.waiting.count < policy.maximumUncommitted else { return [.refuse(id, .overloaded, to: sender)] }
        wait(id, sender, .page(cursor: cursor, account), changedNothingAt: now.monotonic)
        return []
    }

    func page(_ cursor: UInt32, _ account: AccountID?, at now: Moment) -> Reply.Result {
        let replica = replica
        if let account {
            let contacts = contacts(accountPrefix: account.packedPrefix[...], at: now)
            return .page(contacts, next: 0, position: replica.position)
        }
        var contacts: [LiveContact] = []
        var slot = Int(cursor)
        var size = 0
        while slot < replica.table.slotCount, contacts.count < Self.pageSize, size < Limits.listBytes {
            if let found = replica.table.contact(inSlot: slot) {
                contacts.append(
                    LiveContact(contact: found.contact, ttl: replica.remaining(found.deadline, at: now)))
                size += found.contact.bytes.count
            }
            slot += 1
        }
        return .page(
            contacts, next: slot < replica.table.slotCount ? UInt32(slot) : 0, position: replica.position)
    }
}
