import ClusterRuntime
import RegistrarEvents

/// What a REGISTER does to an account's contacts.
///
/// Everything is checked before anything happens, so that a binding happens as a whole or not at all (RFC 3261 section
/// 10.3, step 7).
extension DomainMachine {
    mutating func bind(_ binding: Binding, _ id: UInt64, _ sender: NodeName, at now: Moment) -> [Directive] {
        let prefix = binding.accountPrefix
        var present: [PackedContact] = []
        replica.table.forEachContact(accountPrefix: prefix) { contact, _ in present.append(contact) }
        if let refusal = refusal(of: binding, present) { return [.refuse(id, refusal, to: sender)] }
        let before = owner?.ring.lastSeq
        if binding.changes.isEmpty {
            for contact in present { append(.unregistered(contact, .unregisterContact), at: now) }
        }
        for change in binding.changes {
            switch change {
            case .put(let contact, let ttl):
                append(.registered(contact, ttl: min(ttl, policy.maximumTTL), replay: false), at: now)
            case .remove(let key):
                guard let contact = replica.table.contact(key: key[...]) else { continue }
                append(.unregistered(contact, .unregisterContact), at: now)
            }
        }
        let came = owner?.ring.lastSeq == before ? now.monotonic : nil
        wait(id, sender, .bound(contacts(accountPrefix: prefix, at: now)), changedNothingAt: came)
        return []
    }

    /// What is live of an account, the newest first.
    func contacts(accountPrefix prefix: ArraySlice<UInt8>, at now: Moment) -> [LiveContact] {
        var live: [LiveContact] = []
        replica.table.forEachContact(accountPrefix: prefix) { contact, deadline in
            live.append(LiveContact(contact: contact, ttl: replica.remaining(deadline, at: now)))
        }
        return live
    }

    private func refusal(of binding: Binding, _ present: [PackedContact]) -> Refusal? {
        let entries = binding.changes.isEmpty ? present.count : binding.changes.count
        guard let owner, owner.room(policy) >= entries, entries <= max(Binding.maximumChanges, present.count)
        else { return .overloaded }
        if mayStandbysHaveMore, endsWhatIsNotHere(binding, present) { return .overloaded }
        // A contact of another account would escape the checks of this one's order and number.
        assert(binding.isOfOneAccount, "a binding of \(binding.account) in \(domain) changes another's contact")
        return brevity(of: binding) ?? disorder(of: binding, present) ?? shortage(for: binding, present)
    }

    /// Whether it ends something of which this copy has nothing, or everything, whatever there is.
    private func endsWhatIsNotHere(_ binding: Binding, _ present: [PackedContact]) -> Bool {
        binding.changes.isEmpty
            || binding.changes.contains { change in
                guard case .remove = change else { return false }
                return !present.contains(where: change.concerns)
            }
    }

    /// A time to live that is under the domain's minimum.
    private func brevity(of binding: Binding) -> Refusal? {
        let isBrief = binding.changes.contains { change in
            guard case .put(_, let ttl) = change else { return false }
            return ttl < policy.minimumTTL
        }
        return isBrief ? .intervalTooBrief(minimum: policy.minimumTTL) : nil
    }

    /// A contact that a later request of the same call has changed already.
    private func disorder(of binding: Binding, _ present: [PackedContact]) -> Refusal? {
        let isLate = present.contains { contact in
            let isConcerned = binding.changes.isEmpty || binding.changes.contains { $0.concerns(contact) }
            // What cannot be read was not written by a REGISTER.
            return isConcerned && (try? contact.wasChanged(after: binding.cseq, of: binding.callID)) == true
        }
        return isLate ? .outOfOrder : nil
    }

    /// Contacts beyond what the account or the domain may have. What the binding ends makes room for what it adds.
    private func shortage(for binding: Binding, _ present: [PackedContact]) -> Refusal? {
        var (added, ended) = (0, 0)
        for change in binding.changes {
            let isPresent = present.contains(where: change.concerns)
            switch change {
            case .put: added += isPresent ? 0 : 1
            case .remove: ended += isPresent ? 1 : 0
            }
        }
        guard added > 0 else { return nil }
        if present.count + added - ended > policy.maximumDevices {
            return .tooManyDevices(limit: policy.maximumDevices)
        }
        let isFull = replica.table.count + added - ended > policy.maximumContacts
        return isFull ? .domainFull(limit: policy.maximumContacts) : nil
    }
}
