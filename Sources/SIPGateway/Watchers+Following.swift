import ClusterRuntime
import RegistrarEvents

/// Where watchers' knowledge comes from: the domain's log, which the gateway follows.
extension Watchers {
    /// Begins to follow, unless it does so already.
    mutating func follow(at now: Moment) -> [Directive] {
        guard receiver == nil else { return [] }
        receiver = ReplicaReceiver(domain: domain, role: .follower)
        return assignment.map { replicate(.assigned($0), at: now) } ?? []
    }

    mutating func replicate(_ event: ReplicaReceiver.Event, at now: Moment) -> [Directive] {
        guard let decided = receiver?.handle(event, at: now) else { return [] }
        var directives: [Directive] = []
        for directive in decided {
            switch directive {
            case .send(let message, let peer): directives.append(.send(message, to: peer))
            case .applied(let entries, _, _): for entry in entries { take(entry, at: now.monotonic) }
            case .resynced, .replayed: directives += settle(at: now)
            case .alarm(let text): directives.append(.alarm(text))
            // Watchers are told of contacts.
            case .accounts: break
            case .store: preconditionFailure("a follower keeps no journal, but was told to store for \(domain)")
            }
        }
        return directives
    }

    /// Between a `clear` and the end of its replay nothing is told: what is restated is no news, and what is not is
    /// void only then.
    private mutating func take(_ entry: LogEntry, at now: MonotonicInstant) {
        switch entry.change {
        case .clear: isSettled = false
        case .registered(let contact, let ttl, _):
            change(contact, at: now) { account, _ in account.registered(contact, ttl: ttl, at: now) }
        case .unregistered(let contact, let reason):
            change(contact, at: now) { account, key in account.ended(key.contact, reason) }
        }
    }

    private mutating func change(
        _ contact: PackedContact, at now: MonotonicInstant,
        _ apply: (inout WatchedAccount, ContactKey) -> ContactChange?
    ) {
        // What cannot be read has no name, and so nobody watches it.
        guard isSettled, contact.kind == .sipuser, let key = try? contact.key(),
            var account = accounts[ExactText(key.account.name)]
        else { return }
        let change = apply(&account, key)
        accounts[ExactText(key.account.name)] = account
        guard let change else { return }
        for tag in account.watchers {
            watchers[tag]?.owe(change)
            queue(tag, at: now)
        }
    }

    /// The list is whole, and new: everybody is told everything.
    private mutating func settle(at now: Moment) -> [Directive] {
        isSettled = true
        for (name, account) in accounts { accounts[name] = restated(name.string, account, at: now) }
        for tag in watchers.keys.sorted() where watchers[tag]?.isOver == false {
            watchers[tag]?.oweEverything()
            queue(tag, at: now.monotonic)
        }
        return serveWaiting(at: now)
    }

    /// An account as the list has it.
    func restated(_ name: String, _ account: WatchedAccount, at now: Moment) -> WatchedAccount {
        guard let replica = receiver?.replica else { preconditionFailure("\(domain) is not followed") }
        var account = account
        let live = replica.table.contacts(of: AccountID(.sipuser, name))
        account.restate(live.map { ($0.contact, replica.remaining($0.deadline, at: now)) }, at: now.monotonic)
        return account
    }
}
